//! Reports: durable before they are acknowledged, counted once.

use super::Entry;
use super::together::Word;
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::Stored;
use fleet::Event;
use types::{AttemptId, Outcome, Report, Timestamp};

/// The most reports kept of one terminal. Those of attempts that this server never
/// offered (a card, another server) are kept too; a terminal that invents them
/// cannot fill the disk.
const KEPT: u64 = 4096;

impl Server {
    /// Keeps `reports` of one terminal, in one transaction (that of others, too) with
    /// everything that follows: the tally, and a halt if they cause one. Returns which need not be
    /// sent again.
    pub(crate) async fn file(
        &self,
        terminal: &Shared,
        reports: &[Report],
        now: Timestamp,
    ) -> Stored<Vec<AttemptId>> {
        self.adopt(terminal, reports, now).await?;
        self.write_down(terminal, Word::Reports(reports.into()), now).await?;
        lock(terminal).seen = Some(now);
        Ok(reports.iter().map(|report| report.attempt).collect())
    }
}

impl Entry<'_> {
    pub(super) async fn file(&mut self, terminal: &Shared, reports: &[Report]) -> Stored<()> {
        let device = lock(terminal).stored.device.clone();
        for report in reports {
            if !self.kept.insert((device.clone(), report.attempt)) {
                continue;
            }
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
        if report.outcome == Outcome::Ok {
            self.note_savings(terminal, report).await?;
        }
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

    /// Counts what a terminal fetched that succeeded, and what it would have without deltas.
    async fn note_savings(&mut self, terminal: &Shared, report: &Report) -> Stored<()> {
        let Some(attempt) = self.attempt(terminal, report.attempt) else { return Ok(()) };
        let Some(mut course) = self.course(&attempt.rollout).await? else { return Ok(()) };
        let release = &course.rollout.release;
        let catalogue = &self.server.catalogue;
        let before = catalogue.named(attempt.origin.as_str(), Some(&release.product));
        let published = catalogue.find(release.manifest);
        let full = published.map_or(0, |p| p.full_bytes(before.first().map(AsRef::as_ref)));
        if full > 0 {
            course.rollout.tally = course.rollout.tally.fetched(report.spent.bytes, full);
            self.courses.insert(attempt.rollout.clone(), course);
        }
        Ok(())
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
