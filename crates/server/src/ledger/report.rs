//! Reports: durable before they are acknowledged, counted once.

use super::Entry;
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::{Stored, settle};
use fleet::Event;
use types::{AttemptId, Report, Timestamp};

/// The most reports kept of one terminal. Those of attempts that this server never
/// offered (a card, another server) are kept too; a terminal that invents them
/// cannot fill the disk.
const KEPT: u64 = 4096;

impl Server {
    /// Keeps `reports` of one terminal, in one transaction with everything that
    /// follows: the tally, and a halt if they cause one. Returns which need not be
    /// sent again.
    pub(crate) async fn file(
        &self,
        terminal: &Shared,
        reports: &[Report],
        now: Timestamp,
    ) -> Stored<Vec<AttemptId>> {
        self.adopt(terminal, reports, now).await?;
        settle!(async {
            let mut entry = self.begin(now).await?;
            entry.take(std::slice::from_ref(terminal)).await?;
            entry.file(terminal, reports).await?;
            entry.commit().await
        })?;
        lock(terminal).seen = Some(now);
        Ok(reports.iter().map(|report| report.attempt).collect())
    }
}

impl Entry<'_> {
    async fn file(&mut self, terminal: &Shared, reports: &[Report]) -> Stored<()> {
        let device = lock(terminal).stored.device.clone();
        let mut known = self.tx.known_reports(&device, reports).await?;
        for report in reports.iter().filter(|report| known.insert(report.attempt)) {
            if self.attempt(terminal, report.attempt).is_some() {
                self.count(terminal, report).await?;
            } else if self.tx.count_reports(&device).await? >= KEPT {
                continue;
            }
            self.reports.push((device.clone(), report.clone()));
        }
        Ok(())
    }

    /// Counts a report of an attempt that was offered.
    async fn count(&mut self, terminal: &Shared, report: &Report) -> Stored<()> {
        self.event(terminal, report.attempt, Event::Report(report.outcome)).await?;
        self.note_cost(terminal, report);
        // The heartbeat that showed the release may have come before the report.
        if let Some(shows) = self.shows_now(terminal, report.attempt).await? {
            self.event(terminal, report.attempt, Event::Heartbeat(shows)).await?;
        }
        Ok(())
    }

    fn note_cost(&mut self, terminal: &Shared, report: &Report) {
        let Some(mut attempt) = self.attempt(terminal, report.attempt) else { return };
        attempt.detail = report.detail.clone();
        attempt.spent = report.spent;
        self.signs.extend(lock(terminal).sign(report.attempt, self.now));
        self.put_attempt(terminal, attempt);
    }

    /// What the last heartbeat showed of an attempt, if it showed the release. That
    /// it showed the old one says nothing: it may be older than the report.
    async fn shows_now(
        &mut self,
        terminal: &Shared,
        attempt: AttemptId,
    ) -> Stored<Option<fleet::Shows>> {
        let rollout = lock(terminal).tried(attempt).map(|tried| tried.stored.rollout.clone());
        let Some(rollout) = rollout else { return Ok(None) };
        let Some(course) = self.course(&rollout).await? else { return Ok(None) };
        let locked = lock(terminal);
        let shows = locked
            .tried(attempt)
            .map(|tried| tried.shows(&course.rollout.images, &locked.stored.running));
        Ok(shows.filter(|shows| *shows == fleet::Shows::New))
    }
}
