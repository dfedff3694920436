//! A time zone by its name, or by the rule that terminals keep.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The longest name or rule, in bytes.
const LENGTH_LIMIT: usize = 64;

/// A time zone: a POSIX rule (`CET-1CEST,M3.5.0,M10.5.0/3`) and, on the operator's side,
/// a name (`Europe/Berlin`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    text: String,
    zone: TimeZone,
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time zone: use a name as Europe/Berlin, UTC, or a rule as CET-1CEST,M3.5.0,M10.5.0/3"
)]
pub struct ZoneError(String);

impl Zone {
    /// Whether terminals can read it, which do not have zones by name.
    pub fn is_rule(&self) -> bool {
        self.text == "UTC" || TimeZone::posix(&self.text).is_ok()
    }

    /// What converts times.
    pub(crate) fn time_zone(&self) -> &TimeZone {
        &self.zone
    }
}

fn named(text: &str) -> Option<TimeZone> {
    #[cfg(feature = "operator")]
    if let Ok(zone) = TimeZone::get(text) {
        return Some(zone);
    }
    (text == "UTC").then_some(TimeZone::UTC)
}

impl FromStr for Zone {
    type Err = ZoneError;
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let short = Some(text).filter(|text| text.len() <= LENGTH_LIMIT);
        let zone = short.and_then(|text| named(text).or_else(|| TimeZone::posix(text).ok()));
        let zone = zone.ok_or_else(|| ZoneError(text.chars().take(LENGTH_LIMIT).collect()))?;
        Ok(Self { text: text.into(), zone })
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;
    fn try_from(text: String) -> Result<Self, ZoneError> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.text
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Zone {}
