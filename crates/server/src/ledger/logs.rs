//! What terminals tell of their attempts: durable before it is acknowledged, kept once,
//! and only beside a report.

use super::Entry;
use super::together::Word;
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::{Stored, StoredLog};
use protocols::native::AttemptLog;
use std::sync::Arc;
use types::{AttemptId, DeviceId, Kind, Report, Timestamp};

/// Which logs an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Logs {
    /// Those of every attempt.
    All,
    /// Those of attempts that did not end with the release running.
    Failures,
    /// None: terminals are not asked, and what they tell is not kept.
    None,
}

impl Logs {
    /// Whether the log of an attempt that ended so is wanted.
    fn wants(self, report: &Report) -> bool {
        match self {
            Self::All => true,
            Self::Failures => report.outcome.kind() != Kind::Done,
            Self::None => false,
        }
    }
}

impl Server {
    /// The attempts of `reports` whose logs are wanted.
    pub(crate) fn wanted_logs(&self, reports: &[Report]) -> Vec<AttemptId> {
        let wanted = reports.iter().filter(|report| self.settings.logs.wants(report));
        wanted.map(|report| report.attempt).collect()
    }

    /// Keeps what a terminal tells of an attempt, where it is wanted and the attempt's
    /// report is kept. Either way it need not be sent again.
    pub(crate) async fn keep_log(
        &self,
        terminal: &Shared,
        log: AttemptLog,
        now: Timestamp,
    ) -> Stored<()> {
        if self.settings.logs == Logs::None {
            return Ok(());
        }
        self.write_down(terminal, Word::Log(Arc::new(log)), now).await?;
        Ok(())
    }
}

impl Entry<'_> {
    /// Takes up logs: of attempts whose reports are kept, and no others, so that a
    /// terminal that invents attempts fills nothing.
    pub(super) async fn take_logs(&mut self, logs: &[(&Shared, &AttemptLog)]) -> Stored<()> {
        let device = |terminal: &Shared| lock(terminal).stored.device.clone();
        let named: Vec<(DeviceId, AttemptId)> =
            logs.iter().map(|(terminal, log)| (device(terminal), log.attempt)).collect();
        let reports = self.tx.reports_of(&named).await?;
        for ((terminal, log), key) in logs.iter().zip(named) {
            let Some(report) = reports.get(&key) else { continue };
            if !self.server.settings.logs.wants(report) {
                continue;
            }
            self.logs.push(StoredLog {
                rollout: self.attempt(terminal, key.1).map(|attempt| attempt.rollout),
                device: key.0,
                attempt: key.1,
                received: self.now,
                version: report.version.clone(),
                outcome: report.outcome.code(),
                lines: log.lines.clone(),
            });
        }
        Ok(())
    }
}
