//! A plan that anything that serves files may serve (`fleet::static_plan`).
//!
//! The terminal reads it, believes it under the operator's key, and decides for itself.
//! Where it knows a server too, it asks that one what the plan leaves open, tells it
//! what is new, and otherwise leaves it alone. What a release is, only the maker's
//! signatures say: whoever holds the operator's key chooses among those.

mod memory;

use crate::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError, Store};
use crate::https::{Agent, HttpError};
use crate::log::Said;
use crate::sources::native::abilities;
use engine::policy::consent::Urgency;
use engine::{Again, Locator, Order, Phase, Standing};
use fleet::static_plan::{Coverage, Peer, StaticPlan, Verdict};
use fleet::{Attempt, DeviceFacts, Labels, Offer, Track, Zone};
use memory::{By, Memory};
use std::io;
use trust::{PublicKey, TrustError, Verified, verify_statement};
use types::{
    AttemptId, Digest, Elsewhere, Mode, Name, Report, Sealed, Seconds, Statement, Text, Timestamp,
};

// RFC 9110 15.
const OK: u16 = 200;
const NOT_MODIFIED: u16 = 304;
const NOT_FOUND: u16 = 404;

/// After how many milliseconds the server is told that this terminal is alive.
const SIGN: u64 = 24 * 3600 * 1000;

/// Where the plan is, and what is believed of it.
pub struct Place {
    /// `https://host[:port][/path]`, without a slash at the end.
    pub url: String,
    /// The channel that this terminal follows.
    pub channel: Option<Name>,
    /// The operator's keys, of which one must have signed.
    pub keys: Vec<PublicKey>,
    /// The rule of this terminal's time zone, where it knows it.
    pub zone: Option<Zone>,
}

/// The plan, and the server behind it where there is one.
pub struct PlanSource<S> {
    name: Name,
    place: Place,
    agent: Agent,
    store: S,
    server: Option<Box<dyn Source>>,
    held: Option<Held>,
    /// What the server was told last, and when.
    told: Option<(Digest, u64)>,
}

/// The plan that was read last.
struct Held {
    etag: Option<String>,
    plan: Verified<StaticPlan>,
}

impl<S: Store> PlanSource<S> {
    /// Orders and reports name the server as their source, or `name` where there is
    /// none; what this terminal tried is kept in `store`.
    pub fn new(
        name: Name,
        place: Place,
        agent: Agent,
        store: S,
        server: Option<Box<dyn Source>>,
    ) -> Self {
        let name = server.as_ref().map_or(name, |server| server.name().clone());
        Self { name, place, agent, store, server, held: None, told: None }
    }

    fn address(&self, product: &Name) -> String {
        let channel = self.place.channel.as_ref().map_or("-", Name::as_str);
        format!("{}/p/{product}/{channel}.json", self.place.url)
    }

    /// Reads the plan, if it is another than the one that is held.
    fn read(&mut self, me: &Heartbeat, now: Timestamp) -> Result<(), SourceError> {
        let etag = self.held.as_ref().and_then(|held| held.etag.as_deref());
        let lines: Vec<_> = etag.into_iter().map(|etag| ("If-None-Match", etag)).collect();
        let answer = self.agent.get(&self.address(&me.product), &lines);
        let mut answer = answer.map_err(|e| self.unreachable(&e))?;
        match (answer.status(), &self.held) {
            (NOT_MODIFIED, Some(held)) if now < held.plan.expires() => return Ok(()),
            (NOT_MODIFIED, _) => {
                self.held = None;
                return Err(self.refused("the one that is held has expired"));
            }
            (OK, _) => {}
            (NOT_FOUND, _) => return Err(self.refused("there is none")),
            (status, _) => return Err(self.refused(&format!("status {status}"))),
        }
        let etag = answer.line("etag").map(str::to_string);
        let limit = u64::from(StaticPlan::LIMIT) + 1;
        let bytes = answer.bytes(limit);
        let bytes = bytes.map_err(|e| self.unreachable(&e))?;
        let plan = self.believed(&bytes, me, now)?;
        self.held = Some(Held { etag, plan });
        Ok(())
    }

    /// The plan in `bytes`, if it is this terminal's and no older than one it has seen.
    fn believed(
        &mut self,
        bytes: &[u8],
        me: &Heartbeat,
        now: Timestamp,
    ) -> Result<Verified<StaticPlan>, SourceError> {
        let plan = verify_statement::<StaticPlan>(&self.place.keys, &Sealed::from(bytes), now);
        let plan = plan.map_err(|error| self.refused(&sentence(&error)))?;
        if plan.product != me.product || plan.channel != self.place.channel {
            return Err(self.refused("it is for another product or channel"));
        }
        let seen = self.held.as_ref().map_or(0, |held| held.plan.version);
        let mut memory = Memory::load(&self.store);
        let newest = seen.max(memory.version());
        if plan.version < newest {
            let (made, newest) = (made(plan.version), made(newest));
            let what = format!("it was made at {made}, and one of {newest} was seen");
            return Err(self.refused(&what));
        }
        if memory.see(plan.version, plan.plan.generation) {
            self.keep(&memory)?;
        }
        Ok(plan)
    }

    /// Does what the plan that is held says.
    fn follow(&mut self, now: Now, me: &Heartbeat) -> Result<Heard, SourceError> {
        let Some(held) = self.held.take() else { return Ok(Heard::default()) };
        let followed = self.decide(&held.plan, now, me);
        self.held = Some(held);
        followed
    }

    fn decide(
        &mut self,
        plan: &StaticPlan,
        now: Now,
        me: &Heartbeat,
    ) -> Result<Heard, SourceError> {
        let mut memory = Memory::load(&self.store);
        let attempts = memory.attempts(plan, &me.running);
        let labels = Labels {
            channel: self.place.channel.clone(),
            zone: self.place.zone.clone(),
            ..Labels::default()
        };
        let abilities = abilities();
        let facts = facts(plan, me, &labels, &abilities, &attempts);
        let peer = if self.server.is_some() { Peer::Server } else { Peer::Nobody };
        let heard = match plan.answer(&facts, now.wall, peer) {
            Verdict::Decided(offer) => {
                let heard = self.heard(plan, offer, me, &mut memory)?;
                let place = offer.track().map_or(Elsewhere::Refuse, |track| track.place(&facts));
                Heard { elsewhere: place, ..heard }
            }
            Verdict::Ask(asks) => {
                let heard = self.ask_server(now, me)?;
                let why = Text::from(format!("only a server can decide: {asks}"));
                return Ok(heard.unwrap_or_else(|| quiet(plan, why)));
            }
        };
        if self.server.is_some() && self.is_due(now, me) {
            // It learns the same with the next report.
            drop(self.ask_server(now, me));
        }
        Ok(heard)
    }

    /// From an answer to what the loop is told.
    fn heard(
        &mut self,
        plan: &StaticPlan,
        offer: Offer<'_>,
        me: &Heartbeat,
        memory: &mut Memory,
    ) -> Result<Heard, SourceError> {
        let mut heard = quiet(plan, Text::from(offer.to_string()));
        let ordered = match offer {
            Offer::Install(track) => {
                let attempt = memory.begin(track, me);
                // Before anything is begun that would otherwise be begun again.
                self.keep(memory)?;
                Some((track, attempt))
            }
            Offer::Continue(track, attempt) => Some((track, attempt)),
            _ => None,
        };
        if let Some((track, attempt)) = ordered {
            heard.order = Some(self.order(track, attempt, memory)?);
            heard.urgency = urgency(track.terms.mode);
        }
        let gone = |attempt| {
            let listed = memory.rollout(attempt).is_some_and(|of| plan.track(of).is_some());
            let withdrawn = matches!(offer, Offer::Withdrawn(_, id) if id == attempt);
            withdrawn || (!listed && plan.coverage == Coverage::Whole)
        };
        if me.attempt.filter(|_| me.phase != Phase::Idle).is_some_and(gone) {
            heard.standing = Standing::Withdrawn;
        }
        Ok(heard)
    }

    fn order(
        &self,
        track: &Track,
        attempt: AttemptId,
        memory: &Memory,
    ) -> Result<Order, SourceError> {
        let base = format!("{}/r/{}/", self.place.url, track.release.manifest);
        let locator = Locator::new(&base).map_err(|e| self.refused(&e.to_string()))?;
        let again = if memory.is_retry(attempt) { Again::Yes } else { Again::No };
        Ok(Order { attempt, source: self.name.clone(), locator, again })
    }

    /// Asks the server, where there is one, and remembers what it orders.
    fn ask_server(&mut self, now: Now, me: &Heartbeat) -> Result<Option<Heard>, SourceError> {
        let Some(server) = &mut self.server else { return Ok(None) };
        let heard = server.listen(now, me)?;
        self.told = Some((told(me), now.monotonic));
        if let (Some(order), Some(held)) = (&heard.order, &self.held) {
            let mut memory = Memory::load(&self.store);
            if memory.note(&held.plan, order.attempt, me) {
                self.keep(&memory)?;
            }
        }
        Ok(Some(heard))
    }

    /// Whether the server does not know what this terminal is and runs, or has not
    /// heard of it for a day.
    fn is_due(&self, now: Now, me: &Heartbeat) -> bool {
        let fresh = |(what, at): &(Digest, u64)| {
            *what == told(me) && now.monotonic.saturating_sub(*at) < SIGN
        };
        !self.told.as_ref().is_some_and(fresh)
    }

    fn keep(&mut self, memory: &Memory) -> Result<(), SourceError> {
        let kept = memory.save(&mut self.store);
        kept.map_err(|e: io::Error| SourceError::Unreachable(self.place.url.clone(), e.into()))
    }

    fn unreachable(&self, error: &HttpError) -> SourceError {
        SourceError::Unreachable(self.place.url.clone(), error.to_string().into())
    }

    fn refused(&self, why: &str) -> SourceError {
        SourceError::Refused(self.place.url.clone(), Text::from(why).as_str().into())
    }
}

impl<S: Store> Source for PlanSource<S> {
    fn name(&self) -> &Name {
        &self.name
    }

    fn listen(&mut self, now: Now, me: &Heartbeat) -> Result<Heard, SourceError> {
        let busy = me.attempt.filter(|_| me.phase != Phase::Idle);
        let by_server = |attempt| Memory::load(&self.store).by(attempt) != Some(By::Plan);
        if self.server.is_some() && busy.is_some_and(by_server) {
            return Ok(self.ask_server(now, me)?.unwrap_or_default());
        }
        match self.read(me, now.wall) {
            Ok(()) => self.follow(now, me),
            // Whoever brings the plan down must not bring everybody to the server.
            Err(trouble) if self.server.is_none() || !self.is_due(now, me) => Err(trouble),
            Err(trouble) => {
                let heard = self.ask_server(now, me)?.unwrap_or_default();
                let why = Text::from(format!("{trouble}; {}", heard.why));
                Ok(Heard { why, ..heard })
            }
        }
    }

    /// The server counts it, where there is one; else it stays in the outbox.
    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError> {
        let mut memory = Memory::load(&self.store);
        if memory.end(report) {
            self.keep(&memory)?;
        }
        match &mut self.server {
            Some(server) => server.deliver(report),
            None => Ok(Delivered::Later),
        }
    }

    fn tell(&mut self, attempt: AttemptId, said: &[Said]) -> Result<Delivered, SourceError> {
        match &mut self.server {
            Some(server) => server.tell(attempt, said),
            None => Ok(Delivered::Later),
        }
    }
}

/// This terminal as the rules see it.
fn facts<'a>(
    plan: &'a StaticPlan,
    me: &'a Heartbeat,
    labels: &'a Labels,
    abilities: &'a [Name],
    attempts: &'a [Attempt],
) -> DeviceFacts<'a> {
    DeviceFacts {
        id: &me.device,
        product: &me.product,
        hardware: &me.hardware,
        variant: me.variant.as_ref(),
        region: me.region.as_ref(),
        running: &me.running,
        release: plan.release(&me.running),
        // The plan leaves to the server what depends on it.
        enrolled: Timestamp(0),
        labels,
        abilities,
        attempts,
    }
}

fn urgency(mode: Mode) -> Urgency {
    match mode {
        Mode::Soft => Urgency::Soft,
        Mode::Forced => Urgency::Forced,
        Mode::DownloadOnly => Urgency::DownloadOnly,
    }
}

/// Nothing to do, and why.
fn quiet(plan: &StaticPlan, why: Text) -> Heard {
    Heard { poll: Some(Seconds(plan.poll_seconds)), why, ..Heard::default() }
}

/// What the server is told of this terminal.
fn told(me: &Heartbeat) -> Digest {
    let told = (&me.hardware, &me.variant, &me.region, me.slot, &me.running);
    Digest::of(&serde_json::to_vec(&told).unwrap_or_default())
}

/// When a plan of this version was made.
fn made(version: u64) -> Timestamp {
    Timestamp(i64::try_from(version).unwrap_or(i64::MAX))
}

fn sentence(error: &TrustError) -> String {
    protocols::json::sentence(error)
}
