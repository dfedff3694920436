//! What a rollout would do, before anything is offered.

use crate::json::Message;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{DeviceId, Release, Timestamp, Version};

/// What a rollout would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it would roll out.
    pub release: Release,
    /// Who would get it.
    pub gets: Crowd,
    /// Whose owners would be asked first, because of their region.
    #[serde(default)]
    pub asked: Crowd,
    /// Bytes for all of them.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// How they would come in.
    pub waves: Vec<WaveForecast>,
    /// When the schedule lets the first of them begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When it lets the last of them begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Until when everybody would wait for deltas, at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// Who needs releases in between, by their way.
    #[serde(default)]
    pub over: Vec<Way>,
    /// Who would not get it, by reason.
    #[serde(default)]
    pub out: Vec<Reason>,
}

/// A number of terminals, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Crowd {
    /// How many.
    pub count: u32,
    /// At most five of them.
    pub examples: Vec<DeviceId>,
}

/// Bytes that would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bytes {
    /// In full payloads.
    #[serde(rename = "bytes")]
    pub full: u64,
    /// With the deltas that there are: for each terminal the smallest that fits its memory.
    pub with_deltas: u64,
    /// How many of those are of full payloads that deltas are still to be made for.
    pub unknown: u64,
}

/// One wave as it would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveForecast {
    /// How many would come in with it.
    pub count: u32,
    /// Their part of the bytes, by their number.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// When it opens at the earliest, where time alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Timestamp>,
}

/// Terminals that get to the release over others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The versions, the release's last.
    pub versions: Vec<Version>,
    /// Who.
    #[serde(flatten)]
    pub crowd: Crowd,
}

/// Terminals that would not get the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// Who.
    #[serde(flatten)]
    pub crowd: Crowd,
}

impl Message for Forecast {
    const KIND: &'static str = "forecast";
    const LIMIT: usize = 4 << 20;
}
