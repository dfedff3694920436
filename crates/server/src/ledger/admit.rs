//! Lets a terminal start, or takes back that it may.

use super::{Entry, Move};
use crate::roster::{Shared, Tried, fingerprint, lock};
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::{Stored, StoredAttempt, settle};
use fleet::operator::Rollout;
use fleet::{Event, Offer, Standing, offer};
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
        settle!(self.try_admit(terminal, rollout, now))
    }

    async fn try_admit(&self, terminal: &Shared, rollout: &Name, now: Timestamp) -> Stored<bool> {
        let mut entry = self.begin(now).await?;
        entry.take(std::slice::from_ref(terminal)).await?;
        let Some(mut course) = entry.course(rollout).await? else { return Ok(false) };
        // Asked again: between the first answer and this lock others may have started.
        if !self.may_install(terminal, rollout, now) {
            return Ok(false);
        }
        let last = last_attempt(terminal, rollout);
        let retry = last.as_ref().map_or(0, |last| last.retry.saturating_add(1));
        let attempt = new_attempt(terminal, &course.rollout, retry, now);
        if !self.enter_site(&mut entry, &course, &attempt).await? {
            return Ok(false);
        }
        let limit = self.snapshot().limit(&course.rollout);
        let tally = course.rollout.tally;
        course.rollout.tally = match last {
            // The device is counted already: it changes its class, as by an order.
            Some(last) => tally.moved(last.standing, Standing::Offered),
            None if entry.tx.count_admitted(rollout, limit).await? => tally.admitted(),
            None => return Ok(false),
        };
        entry.courses.insert(rollout.clone(), course);
        entry.put_attempt(terminal, attempt);
        entry.commit().await?;
        self.wake.notify_one();
        Ok(true)
    }

    /// Counts the terminal at its site, where the rollout limits sites. Returns whether
    /// there was room.
    async fn enter_site(
        &self,
        entry: &mut Entry<'_>,
        course: &Course,
        attempt: &StoredAttempt,
    ) -> Stored<bool> {
        let limit = course.rollout.terms.site.as_ref().map(|site| site.in_flight);
        let (Some(site), Some(limit)) = (&attempt.site, limit) else { return Ok(true) };
        if entry.tx.enter_site(&attempt.rollout, site, limit).await? {
            entry.sites.push((attempt.rollout.clone(), site.clone(), Move::Enters));
            return Ok(true);
        }
        // Another server let others in: known from now on.
        self.change_snapshot(|snapshot| {
            let sites = snapshot.sites.entry(attempt.rollout.clone()).or_default();
            sites.insert(site.clone(), limit);
            snapshot.compile();
        });
        Ok(false)
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
        settle!(async {
            let mut entry = self.begin(now).await?;
            entry.take(std::slice::from_ref(terminal)).await?;
            entry.event(terminal, attempt, Event::GivenUp).await?;
            entry.commit().await
        })
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
    let origin = locked.release.as_ref().map(|release| &release.version).or(running);
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
