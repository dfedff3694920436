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
        settle!(async {
            let mut entry = self.begin(now).await?;
            for report in reports {
                entry.file(terminal, report).await?;
            }
            entry.commit().await
        })?;
        lock(terminal).seen = Some(now);
        Ok(reports.iter().map(|report| report.attempt).collect())
    }
}

impl Entry<'_> {
    async fn file(&mut self, terminal: &Shared, report: &Report) -> Stored<()> {
        let device = lock(terminal).stored.device.clone();
        let offered = self.attempt(terminal, report.attempt).is_some();
        if !offered && self.tx.count_reports(&device).await? >= KEPT {
            return Ok(());
        }
        if !self.tx.put_report(&device, report, self.now).await? || !offered {
            return Ok(());
        }
        self.event(terminal, report.attempt, Event::Report(report.outcome)).await?;
        self.note_cost(terminal, report).await?;
        // The heartbeat that showed the release may have come before the report.
        if let Some(shows) = self.shows_now(terminal, report.attempt) {
            self.event(terminal, report.attempt, Event::Heartbeat(shows)).await?;
        }
        Ok(())
    }

    async fn note_cost(&mut self, terminal: &Shared, report: &Report) -> Stored<()> {
        let Some(mut attempt) = self.attempt(terminal, report.attempt) else { return Ok(()) };
        attempt.detail = report.detail.clone();
        attempt.spent = report.spent;
        attempt.served = served(terminal, report.attempt).unwrap_or(attempt.served);
        self.put_attempt(terminal, attempt).await
    }

    /// What the last heartbeat showed of an attempt, if it showed the release. That
    /// it showed the old one says nothing: it may be older than the report.
    fn shows_now(&self, terminal: &Shared, attempt: AttemptId) -> Option<fleet::Shows> {
        let locked = lock(terminal);
        let tried = locked.tried(attempt)?;
        let course = self.course(&tried.stored.rollout)?;
        let shows = tried.shows(&course.rollout.images, &locked.stored.running);
        (shows == fleet::Shows::New).then_some(shows)
    }
}

fn served(terminal: &Shared, attempt: AttemptId) -> Option<u64> {
    let locked = lock(terminal);
    locked.tried(attempt).map(|tried| tried.served.load(std::sync::atomic::Ordering::Relaxed))
}
