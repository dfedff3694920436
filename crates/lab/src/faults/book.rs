//! What the terminals were told, so that nothing can be lost unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far a release may be let out: in each wave so many terminals in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Terminals of each wave, counted over the whole rollout.
    pub(super) waves: &'static [usize],
    /// The most that update at once.
    pub(super) in_flight: usize,
}

/// Of a wave, so many percent must have confirmed before the next opens.
const OPENS_AT: usize = 90;

/// The book of one rollout.
#[derive(Debug)]
pub(super) struct Book {
    rules: Rules,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Terminals that were offered the release.
    pub(super) offered: BTreeSet<String>,
    /// Attempts whose terminal began to report its end.
    pub(super) ended: BTreeSet<String>,
    /// Of these, those that tell of success.
    pub(super) well: BTreeSet<String>,
    /// Reports that a server acknowledged: terminal and attempt.
    pub(super) acknowledged: BTreeMap<String, BTreeSet<String>>,
    /// Reports sent, repetitions included.
    pub(super) sent: usize,
    /// What should never have happened.
    pub(super) faults: Vec<String>,
}

impl Book {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, pages: Mutex::default() }
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `terminal` was offered the release. Judged by what the terminals themselves
    /// know: whatever a server counted, so many must have ended before.
    pub(super) fn offer(&self, terminal: &str) {
        let mut pages = self.pages();
        if !pages.offered.insert(terminal.to_owned()) {
            return;
        }
        let (offered, well) = (pages.offered.len(), pages.well.len());
        let flying = offered.saturating_sub(pages.ended.len());
        if flying > self.rules.in_flight {
            pages.faults.push(format!("{flying} update at once"));
        }
        for wave in self.rules.waves {
            if offered > *wave && well * 100 < wave * OPENS_AT {
                pages.faults.push(format!("{offered} have it, {well} of wave {wave} confirmed"));
            }
        }
    }

    /// `terminal` is about to report how `attempt` ended.
    pub(super) fn end(&self, attempt: &str, well: bool) {
        let mut pages = self.pages();
        pages.sent += 1;
        pages.ended.insert(attempt.to_owned());
        if well {
            pages.well.insert(attempt.to_owned());
        }
    }

    /// A server said that it has the report.
    pub(super) fn acknowledge(&self, terminal: &str, attempt: &str) {
        let mut pages = self.pages();
        let mine = pages.acknowledged.entry(terminal.to_owned()).or_default();
        mine.insert(attempt.to_owned());
    }

    /// How many terminals have reported and were acknowledged.
    pub(super) fn done(&self) -> usize {
        self.pages().acknowledged.len()
    }
}
