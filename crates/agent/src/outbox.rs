//! Reports that wait to be delivered, and the last ones that were.

use serde::{Deserialize, Serialize};
use types::{AttemptId, Report};

/// The most reports kept, delivered ones included.
const REPORTS_MAX: usize = 16;

/// The terminal's last reports. Stored as JSON in the document `outbox`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outbox {
    entries: Vec<Entry>,
}

/// One report and whether its source has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    report: Report,
    delivered: bool,
    /// Whether its source asked for the attempt's log and does not have it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    wants_log: bool,
}

impl Outbox {
    /// The document's name in the store.
    pub const NAME: &'static str = "outbox";

    /// Puts a report in; the same attempt's earlier report is replaced. Where there
    /// is no room, the oldest delivered report goes, else the oldest.
    pub fn put(&mut self, report: Report) {
        self.entries.retain(|entry| entry.report.attempt != report.attempt);
        if self.entries.len() >= REPORTS_MAX {
            let delivered = self.entries.iter().position(|entry| entry.delivered);
            self.entries.remove(delivered.unwrap_or(0));
        }
        self.entries.push(Entry { report, delivered: false, wants_log: false });
    }

    /// Reports that nobody has confirmed yet.
    pub fn pending(&self) -> impl Iterator<Item = &Report> {
        self.entries.iter().filter(|entry| !entry.delivered).map(|entry| &entry.report)
    }

    /// Whether the report of `attempt` is here.
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.entries.iter().any(|entry| entry.report.attempt == attempt)
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Report> {
        self.entries.iter().map(|entry| &entry.report)
    }

    /// The last report.
    pub fn last(&self) -> Option<&Report> {
        self.entries.last().map(|entry| &entry.report)
    }

    /// The source has the report of `attempt`.
    pub fn delivered(&mut self, attempt: AttemptId) {
        for entry in self.entries.iter_mut().filter(|e| e.report.attempt == attempt) {
            entry.delivered = true;
        }
    }

    /// Reports whose source asked for the log of their attempt.
    pub fn log_wanted(&self) -> impl Iterator<Item = &Report> {
        self.entries.iter().filter(|entry| entry.wants_log).map(|entry| &entry.report)
    }

    /// The source asks for the log of `attempt`.
    pub fn want_log(&mut self, attempt: AttemptId) {
        for entry in self.entries.iter_mut().filter(|e| e.report.attempt == attempt) {
            entry.wants_log = true;
        }
    }

    /// The source has the log of `attempt`, or there is none.
    pub fn told(&mut self, attempt: AttemptId) {
        for entry in self.entries.iter_mut().filter(|e| e.report.attempt == attempt) {
            entry.wants_log = false;
        }
    }

    /// Delivers the report of `attempt` once more; says whether there is one.
    pub fn send_again(&mut self, attempt: AttemptId) -> bool {
        let entry = self.entries.iter_mut().find(|entry| entry.report.attempt == attempt);
        entry.is_some_and(|entry| {
            entry.delivered = false;
            true
        })
    }
}
