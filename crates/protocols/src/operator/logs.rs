//! What terminals told of their attempts, found again.

use crate::native::LogLine;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{AttemptId, DeviceId, Name, Timestamp, Version};

/// Logs that were found, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogList {
    /// The logs; there may be none though there are more behind `next`.
    pub logs: Vec<LogView>,
    /// The `after` of the next question, if not all was looked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The log of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// When the server got it.
    pub received: Timestamp,
    /// Whose.
    pub device: DeviceId,
    /// Of which attempt.
    pub attempt: AttemptId,
    /// In which rollout, if in one of this fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Name>,
    /// The version that was ordered, where it became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The number of the attempt's outcome.
    pub outcome: u16,
    /// The outcome in words.
    pub sentence: String,
    /// First things first.
    pub lines: Vec<LogLine>,
}
