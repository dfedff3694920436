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
    /// Bytes of packages for all of them, at most: deltas make it less.
    pub bytes: u64,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    /// How many.
    pub count: u32,
    /// At most five of them.
    pub examples: Vec<DeviceId>,
}

/// One wave as it would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveForecast {
    /// How many would come in with it.
    pub count: u32,
    /// Bytes of packages for them, at most.
    pub bytes: u64,
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
