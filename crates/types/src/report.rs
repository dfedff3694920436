//! Attempts and their reports.

use crate::digest::{read_hex, write_hex};
use crate::{Digest, Name, Outcome, Seconds, Text, Version};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// One try of one release on one terminal: 16 bytes, 32 lower-case hex digits
/// (the limit of a `CommandKey`, TR-069 A.3.2.8). Computed from rollout, device and
/// retry, so that making an offer needs no write and a repeated report counts once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AttemptId(pub [u8; 16]);

impl AttemptId {
    /// The attempt of `device` in `origin` (a rollout's or a package's id), `retry` counted from 0.
    pub fn new(origin: &str, device: &Name, retry: u32) -> Self {
        let mut hasher = crate::Hasher::default();
        hasher.update(b"refit attempt v1\0");
        hasher.update(origin.as_bytes());
        hasher.update(b"\0");
        hasher.update(device.as_str().as_bytes());
        hasher.update(b"\0");
        hasher.update(&retry.to_be_bytes());
        let Digest(full) = hasher.finish();
        let mut id = [0; 16];
        id.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for AttemptId {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read_hex(text).map(Self).ok_or("an attempt id has 32 lower-case hex digits")
    }
}

crate::text::serde_as_text!(AttemptId);

/// What an attempt has cost so far, across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Payload bytes fetched, repeated ones included.
    pub bytes: u64,
    /// Seconds spent installing.
    pub seconds: Seconds,
}

impl Spent {
    /// Both costs added, at most their largest values.
    pub fn plus(self, more: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(more.bytes),
            seconds: Seconds(self.seconds.0.saturating_add(more.seconds.0)),
        }
    }
}

/// How one attempt ended. Delivered at least once, counted once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Who ordered it and so wants to hear of it.
    pub source: Name,
    /// How it ended.
    pub outcome: Outcome,
    /// What happened, for people.
    pub detail: Text,
    /// The version that was ordered, where it became known.
    pub version: Option<Version>,
    /// What it cost.
    pub spent: Spent,
    /// How often the new slot failed to boot.
    pub failed_boots: u8,
}
