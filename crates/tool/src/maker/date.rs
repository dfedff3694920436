//! Dates as people write them.

use serde::Deserialize;
use std::str::FromStr;
use types::{Seconds, Timestamp};

/// One year of 365 days.
const YEAR: Seconds = Seconds(365 * 24 * 3600);

/// A day (`2031-12-31`, its first second in UTC) or a time (`2031-12-31T23:59:59Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Date(pub(crate) Timestamp);

/// A text that is no date.
#[derive(Debug, thiserror::Error)]
#[error("a date looks like 2031-12-31 or 2031-12-31T23:59:59Z")]
pub(crate) struct DateError;

impl FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, DateError> {
        let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        whole.parse().map(Self).map_err(|_| DateError)
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;
    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

/// `date`, or so many years after `now`, at a whole second.
pub(crate) fn or_years(date: Option<Date>, now: Timestamp, years: u32) -> Timestamp {
    let whole = Timestamp(now.0 - now.0.rem_euclid(1000));
    date.map_or_else(|| (0..years).fold(whole, |time, _| time.after(YEAR)), |date| date.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let date = text.parse::<Date>().ok();
        assert_eq!(date.map(|date| date.0.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn dates_are_days_or_times() {
        check("2031-12-31", Some("2031-12-31T00:00:00Z"));
        check("2031-12-31T23:59:59Z", Some("2031-12-31T23:59:59Z"));
        for bad in ["", "31.12.2031", "2031-13-01", "2031-12-31 23:59", "tomorrow"] {
            check(bad, None);
        }
    }
}
