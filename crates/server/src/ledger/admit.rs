//! Lets a terminal start, or takes back that it may.

use crate::roster::{Shared, fingerprint, lock};
use crate::server::Server;
use crate::store::{Stored, StoredAttempt, settle};
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
        let limit = self.snapshot().limit(&course.rollout);
        if !entry.tx.count_admitted(rollout, limit).await? {
            return Ok(false);
        }
        course.rollout.tally = course.rollout.tally.admitted();
        entry.courses.insert(rollout.clone(), course);
        entry.put_attempt(terminal, new_attempt(terminal, rollout, 0, now));
        entry.commit().await?;
        self.wake.notify_one();
        Ok(true)
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

/// A fresh attempt of `terminal` in `rollout`.
pub(super) fn new_attempt(
    terminal: &Shared,
    rollout: &Name,
    retry: u32,
    now: Timestamp,
) -> StoredAttempt {
    let locked = lock(terminal);
    let device = locked.stored.device.clone();
    StoredAttempt {
        attempt: AttemptId::new(rollout.as_str(), &device, retry),
        device,
        rollout: rollout.clone(),
        retry,
        before: fingerprint(&locked.stored.running),
        standing: Standing::Offered,
        detail: Text::default(),
        spent: Spent::default(),
        served: 0,
        offered: now,
        changed: now,
        seen: now,
    }
}
