//! What a terminal tells of one attempt beside its report: for people, and for nothing
//! that is decided.

use super::RULE_LIMIT;
use crate::json::Message;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{AttemptId, Line, Timestamp};

/// The most lines of a log.
pub const LOG_LINES_LIMIT: usize = 96;

/// The log of one attempt. Sent after the server accepted the attempt's report and
/// named it in [`super::Accepted::logs`]; the first one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLog {
    /// Which attempt.
    pub attempt: AttemptId,
    /// At most [`LOG_LINES_LIMIT`], first things first.
    pub lines: Vec<LogLine>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, by the terminal's clock, which may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What the terminal was doing, as a stable word: a phase of an update, or of a
    /// hook (`before-activate`).
    pub phase: String,
    /// What it did, saw or was told.
    pub text: Line,
}

impl LogLine {
    fn is_sound(&self) -> bool {
        let allowed = |c: u8| c.is_ascii_lowercase() || c == b'-';
        (1..=RULE_LIMIT).contains(&self.phase.len()) && self.phase.bytes().all(allowed)
    }
}

impl Message for AttemptLog {
    const KIND: &'static str = "log";
    // As much as a server reads of a body before it decides anything.
    const LIMIT: usize = 60 << 10;
    fn fault(&self) -> Option<&'static str> {
        let sound = self.lines.iter().all(LogLine::is_sound);
        (self.lines.len() > LOG_LINES_LIMIT)
            .then_some("has more than 96 lines")
            .or((!sound).then_some("has a line whose phase is no word"))
    }
}
