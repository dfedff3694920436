//! Lets a terminal start, or takes back that it may.

use super::together::Word;
use super::{Entry, Move};
use crate::roster::{Shared, Tried, fingerprint, lock};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Stored, StoredAttempt};
use fleet::operator::{Rollout, State, Tally};
use fleet::{Offer, Standing, offer};
use types::{AttemptId, Name, Spent, Text, Timestamp};

impl Server {
    /// Lets `terminal` start in `rollout` if there is room. From then on it is in
    /// flight, whether or not the offer reaches it.
    pub(crate) async fn admit(
        &self,
        terminal: &Shared,
        rollout: &Name,
        now: Timestamp,
    ) -> Stored<bool> {
        let room = self.write_down(terminal, Word::Start(rollout.clone()), now).await?;
        if room {
            self.wake.notify_one();
        }
        Ok(room)
    }

    fn may_install(&self, terminal: &Shared, rollout: &Name, now: Timestamp) -> bool {
        let snapshot = self.snapshot();
        let answer = |device: &fleet::DeviceFacts<'_>| match offer(&snapshot.plan, device, now) {
            Offer::Install(track) => track.rollout == *rollout,
            _ => false,
        };
        lock(terminal).ask(answer)
    }

    /// The terminal knows nothing of an attempt that was withdrawn: it has ended.
    pub(crate) async fn give_up(
        &self,
        terminal: &Shared,
        attempt: AttemptId,
        now: Timestamp,
    ) -> Stored<()> {
        self.write_down(terminal, Word::GaveUp(attempt), now).await.map(drop)
    }
}

impl Entry<'_> {
    /// Lets `terminal` start, if there is room. The rollout's row is held, so memory
    /// and what this change made of it decide.
    pub(super) async fn admit(&mut self, terminal: &Shared, rollout: &Name) -> Stored<bool> {
        let Some(mut course) = self.course(rollout).await? else { return Ok(false) };
        // Asked again: between the first answer and this change others may have started.
        if !self.server.may_install(terminal, rollout, self.now) {
            return Ok(false);
        }
        let last = last_attempt(terminal, rollout);
        let limit = self.server.snapshot().limit(&course.rollout);
        let Some(tally) = admitted(&course.rollout, last.as_ref(), limit) else {
            return Ok(false);
        };
        let retry = last.as_ref().map_or(0, |last| last.retry.saturating_add(1));
        let attempt = new_attempt(terminal, &course.rollout, retry, self.now);
        if !self.enter_site(&course, &attempt).await? {
            return Ok(false);
        }
        course.rollout.tally = tally;
        self.courses.insert(rollout.clone(), course);
        self.put_attempt(terminal, attempt);
        Ok(true)
    }

    /// Counts the terminal at its site, where the rollout limits sites. Returns whether
    /// there was room.
    async fn enter_site(&mut self, course: &Course, attempt: &StoredAttempt) -> Stored<bool> {
        let limit = course.rollout.terms.site.as_ref().map(|site| site.in_flight);
        let (Some(site), Some(limit)) = (&attempt.site, limit) else { return Ok(true) };
        if self.tx.enter_site(&attempt.rollout, site, limit).await? {
            self.sites.push((attempt.rollout.clone(), site.clone(), Move::Enters));
            return Ok(true);
        }
        // Another server let others in: known from now on.
        self.server.change_snapshot(|snapshot| {
            let sites = snapshot.sites.entry(attempt.rollout.clone()).or_default();
            sites.insert(site.clone(), limit);
            snapshot.compile();
        });
        Ok(false)
    }
}

/// The tally with one terminal more under way, if the rollout has room for it. One that
/// had an attempt is counted already: it changes its class, as by an order.
fn admitted(rollout: &Rollout, last: Option<&StoredAttempt>, limit: u32) -> Option<Tally> {
    let Tally { exposed, in_flight, .. } = rollout.tally;
    let offers = matches!(rollout.state, State::Running | State::Finished);
    if !offers || in_flight >= rollout.in_flight {
        return None;
    }
    match last {
        Some(last) => Some(rollout.tally.moved(last.standing, Standing::Offered)),
        None => (exposed < limit).then(|| rollout.tally.admitted()),
    }
}

/// The last attempt of `terminal` in `rollout`.
pub(super) fn last_attempt(terminal: &Shared, rollout: &Name) -> Option<StoredAttempt> {
    let locked = lock(terminal);
    let of_rollout = |tried: &&Tried| tried.stored.rollout == *rollout;
    locked.tries.iter().rev().find(of_rollout).map(|tried| tried.stored.clone())
}

/// A fresh attempt of `terminal` in `rollout`.
pub(super) fn new_attempt(
    terminal: &Shared,
    rollout: &Rollout,
    retry: u32,
    now: Timestamp,
) -> StoredAttempt {
    let locked = lock(terminal);
    let device = locked.stored.device.clone();
    let running = locked.stored.running.values().next().map(|state| &state.version);
    let origin = locked.release.as_ref().map(|published| &published.release.version).or(running);
    let site = rollout.terms.site.as_ref();
    StoredAttempt {
        attempt: AttemptId::new(rollout.id.as_str(), &device, retry),
        device,
        rollout: rollout.id.clone(),
        retry,
        before: fingerprint(&locked.stored.running),
        standing: Standing::Offered,
        detail: Text::default(),
        spent: Spent::default(),
        served: 0,
        offered: now,
        changed: now,
        seen: now,
        wave: u32::try_from(rollout.wave + 1).unwrap_or(u32::MAX),
        site: site.and_then(|site| locked.ask(|device| site.site(device).cloned())),
        origin: origin.map_or_else(|| "unknown".into(), |version| version.as_str().into()),
    }
}
