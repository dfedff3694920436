//! What the programs of packages said during the last update, bounded.

use serde::{Deserialize, Serialize};
use types::AttemptId;

/// The most entries; the oldest goes.
const ENTRIES_MAX: usize = 24;
/// The most bytes of what one program said.
const SAID_MAX: usize = 1024;

/// What was said during one attempt. Stored as JSON in the document `log`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// During which.
    pub attempt: Option<AttemptId>,
    /// What, in order.
    pub entries: Vec<Said>,
}

/// What one program said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// When it ran.
    pub phase: String,
    /// What it is called.
    pub name: String,
    /// Why it did not pass.
    pub fault: Option<String>,
    /// The first of its words.
    pub said: String,
}

impl Log {
    /// The document's name in the store.
    pub const NAME: &'static str = "log";

    /// Adds to what was said during `attempt`; what belongs to another one goes.
    pub(crate) fn add(&mut self, attempt: AttemptId, said: Said) {
        if self.attempt != Some(attempt) {
            *self = Self { attempt: Some(attempt), entries: Vec::new() };
        }
        let cut = said.said.floor_char_boundary(SAID_MAX);
        let short = said.said.get(..cut).unwrap_or_default().to_string();
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.remove(0);
        }
        self.entries.push(Said { said: short, ..said });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_of_one_attempt_and_bounded() {
        let mut log = Log::default();
        let said = |text: &str| Said { said: text.into(), ..Said::default() };
        log.add(AttemptId([1; 16]), said("old"));
        for n in 0..30 {
            log.add(AttemptId([2; 16]), said(&format!("{n} {}", "ä".repeat(2000))));
        }
        assert_eq!((log.attempt, log.entries.len()), (Some(AttemptId([2; 16])), ENTRIES_MAX));
        assert!(log.entries[0].said.starts_with("6 ") && log.entries[0].said.len() <= SAID_MAX);
    }
}
