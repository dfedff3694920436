//! From a decision about a terminal to the answer that it is sent.

use crate::roster::{Shared, Terminal, lock};
use crate::server::Server;
use crate::ticket::Grant;
use fleet::{Class, Offer, offer};
use protocols::native::{Answer, Heartbeat, Mode, Offer as Offered, Standing};
use types::{AttemptId, Digest, Elsewhere, Name, Text, Timestamp};

/// What is to be done about a heartbeat.
pub(crate) enum Decision {
    /// Nothing can be decided now.
    Stale,
    /// The terminal may start in this rollout, once that is written.
    Start(Name),
    /// The attempt is withdrawn; the answer says so.
    Withdraw(AttemptId, Box<Answer>),
    /// The answer.
    Say(Box<Answer>),
}

/// Decides about a heartbeat from memory alone.
pub(crate) fn decide(
    app: &Server,
    terminal: &Shared,
    heartbeat: &Heartbeat,
    now: Timestamp,
) -> Decision {
    let snapshot = app.snapshot();
    let locked = lock(terminal);
    locked.ask(|device| {
        let offer = offer(&snapshot.plan, device, now);
        let place = offer.track().map_or(Elsewhere::Refuse, |track| track.place(device));
        let reply = Reply { app, terminal: &locked, heartbeat, offer, place, now };
        match offer {
            Offer::Stale => Decision::Stale,
            Offer::Install(track) => Decision::Start(track.rollout.clone()),
            Offer::Withdrawn(_, attempt) => Decision::Withdraw(attempt, Box::new(reply.answer())),
            _ => Decision::Say(Box::new(reply.answer())),
        }
    })
}

/// Everything that an answer is made of.
struct Reply<'a> {
    app: &'a Server,
    terminal: &'a Terminal,
    heartbeat: &'a Heartbeat,
    offer: Offer<'a>,
    place: Elsewhere,
    now: Timestamp,
}

impl Reply<'_> {
    /// The answer, with an etag that names its content.
    fn answer(&self) -> Answer {
        let standing = self.heartbeat.attempt.and_then(|attempt| self.standing(attempt));
        let withdrawn = match self.offer {
            Offer::Withdrawn(_, attempt) => vec![attempt],
            _ => self
                .heartbeat
                .attempt
                .filter(|_| standing == Some(Standing::Withdrawn))
                .into_iter()
                .collect(),
        };
        let mut answer = Answer {
            etag: String::new(),
            poll_seconds: self.app.settings.poll_seconds,
            offer: self.offered(),
            withdrawn,
            standing,
            why: Text::from(sentence(&self.offer, self.place)),
        };
        let content = Digest::of(&serde_json::to_vec(&answer).unwrap_or_default());
        answer.etag = content.to_string().chars().take(32).collect();
        answer
    }

    fn offered(&self) -> Option<Offered> {
        let Offer::Continue(track, attempt) = self.offer else { return None };
        let tried = self.terminal.tried(attempt)?;
        let device = &self.terminal.stored.device;
        let grant = Grant { attempt, device, manifest: track.release.manifest };
        let ticket = self.app.tickets.make(&grant, self.now);
        let again = tried.stored.retry > 0;
        Some(Offered {
            attempt,
            release: track.release.clone(),
            base: format!("{}/v1/a/{ticket}/", self.app.settings.public_url),
            mode: mode(track.terms.mode),
            elsewhere: self.place,
            allow_failed: again || self.terminal.tried_before(track.release.manifest, attempt),
        })
    }

    /// Whether the attempt that the terminal is on still stands; nothing, if this
    /// server never offered it.
    fn standing(&self, attempt: AttemptId) -> Option<Standing> {
        let tried = self.terminal.tried(attempt)?;
        let stands = match self.offer {
            Offer::Continue(_, current) if current == attempt => true,
            // Silence about what the terminal already reported would undo a success.
            _ => matches!(
                (tried.stored.standing.class(), tried.stored.standing.is_open()),
                (Class::Confirmed, _) | (Class::InFlight, false)
            ),
        };
        Some(if stands || self.runs(attempt) { Standing::Stands } else { Standing::Withdrawn })
    }

    /// The terminal runs the attempt's release on trial: too late to withdraw it.
    fn runs(&self, attempt: AttemptId) -> bool {
        let track = self.offer.track();
        let of_track = |t: &&fleet::Track| {
            self.terminal.tried(attempt).is_some_and(|tried| tried.stored.rollout == t.rollout)
        };
        matches!(self.offer, Offer::UpToDate(_)) && track.as_ref().is_some_and(of_track)
    }
}

/// What was decided, and whether the owner has a say in it because of the region.
pub(crate) fn sentence(offer: &Offer<'_>, place: Elsewhere) -> String {
    match (offer, place) {
        (Offer::Install(_) | Offer::Continue(..), Elsewhere::Ask) => {
            format!("{offer}; its owner is asked first, because of its region")
        }
        _ => offer.to_string(),
    }
}

fn mode(mode: types::Mode) -> Mode {
    match mode {
        types::Mode::Soft => Mode::Soft,
        types::Mode::Forced => Mode::Forced,
        types::Mode::DownloadOnly => Mode::DownloadOnly,
    }
}
