//! Time as an argument: nothing in this crate knows what time it is.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z; RFC 3339 in UTC, whole seconds, as text
/// (`2030-01-01T00:00:00Z`, the form of TUF's `expires`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A duration in whole seconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seconds(pub u32);

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time looks like 2030-01-01T00:00:00Z")]
pub struct TimeError;

impl Timestamp {
    /// This time plus `seconds`, at most the largest representable time.
    pub fn after(self, seconds: Seconds) -> Self {
        Self(self.0.saturating_add(i64::from(seconds.0) * 1000))
    }

    /// Whole seconds from `earlier` to this time; 0 when `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> Seconds {
        let seconds = self.0.saturating_sub(earlier.0).max(0) / 1000;
        Seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if text.len() != 20 || !text.ends_with('Z') {
            return Err(TimeError);
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        Ok(Self(time.as_millisecond()))
    }
}

crate::text::serde_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn times_have_the_form_of_tuf() {
        let time: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time.0, 1_893_456_000_000);
        assert_eq!(time.to_string(), "2030-01-01T00:00:00Z");
        for bad in ["2030-01-01", "2030-01-01T00:00:00+00:00", "2030-13-01T00:00:00Z", ""] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimeError), "{bad}");
        }
    }
}
