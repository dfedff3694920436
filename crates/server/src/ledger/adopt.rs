//! Attempts that terminals began by a static plan: this server first hears of them when
//! they have ended.

use super::Entry;
use super::admit::{last_attempt, new_attempt};
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::{Stored, settle};
use fleet::operator::Rollout;
use fleet::{RETRIES_LIMIT, Standing};
use types::{AttemptId, Name, Report, Timestamp};

impl Server {
    /// Counts the terminal into the rollouts whose attempts `reports` are of, where it
    /// began them by itself: from then on they are as any other.
    pub(super) async fn adopt(
        &self,
        terminal: &Shared,
        reports: &[Report],
        now: Timestamp,
    ) -> Stored<()> {
        if self.plans.get().is_none() {
            return Ok(());
        }
        let begun = reports.iter().filter_map(|report| self.begun(terminal, report.attempt));
        for (rollout, retry) in begun.collect::<Vec<_>>() {
            settle!(async {
                let mut entry = self.begin(now).await?;
                entry.take(std::slice::from_ref(terminal)).await?;
                entry.adopt(terminal, &rollout, retry).await?;
                entry.commit().await
            })?;
        }
        Ok(())
    }

    /// The started rollout, and which try of it, that an attempt of `terminal` names
    /// which nobody knows yet. Ids are computed, so nobody had to be told.
    fn begun(&self, terminal: &Shared, id: AttemptId) -> Option<(Name, u32)> {
        let snapshot = self.snapshot();
        let locked = lock(terminal);
        if locked.tried(id).is_some() {
            return None;
        }
        let (device, product) = (&locked.stored.device, &locked.stored.facts.product);
        let mine = |rollout: &&Rollout| rollout.audience.product == *product;
        let try_of = |rollout: &Rollout| {
            let mut retries = 0..=u32::from(RETRIES_LIMIT);
            retries.find(|retry| AttemptId::new(rollout.id.as_str(), device, *retry) == id)
        };
        let started = snapshot.started().map(|course| &course.rollout).filter(mine);
        let mut found = started.filter_map(|rollout| Some((rollout, try_of(rollout)?)));
        found.next().map(|(rollout, retry)| (rollout.id.clone(), retry))
    }
}

impl Entry<'_> {
    async fn adopt(&mut self, terminal: &Shared, rollout: &Name, retry: u32) -> Stored<()> {
        let last = last_attempt(terminal, rollout);
        let Some(mut course) = self.course(rollout).await? else { return Ok(()) };
        if last.as_ref().is_some_and(|last| last.retry >= retry) {
            return Ok(());
        }
        let tally = course.rollout.tally;
        course.rollout.tally = match last {
            Some(last) => tally.moved(last.standing, Standing::Offered),
            // It has started: there is no room to ask for.
            None => tally.admitted(),
        };
        let attempt = new_attempt(terminal, &course.rollout, retry, self.now);
        self.courses.insert(rollout.clone(), course);
        self.put_attempt(terminal, attempt);
        Ok(())
    }
}
