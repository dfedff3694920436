//! The terminal's own time of day: zones with summer time, and hours of the day.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use types::Timestamp;

/// Days over which the next opening is looked for: one more than a change of summer
/// time can take away.
const DAYS: i64 = 3;

/// The rule of a time zone, as POSIX's `TZ` has it: `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that is no rule of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule of a time zone; one looks like CET-1CEST,M3.5.0,M10.5.0/3")]
pub struct ZoneError(String);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;
    fn from_str(rule: &str) -> Result<Self, ZoneError> {
        let fault = || ZoneError(rule.chars().take(64).collect());
        TimeZone::posix(rule).map(Self).map_err(|_| fault())
    }
}

impl Zone {
    fn local(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(self.0.to_datetime(at))
    }

    /// When the clocks here show `at`: the earlier time where they do so twice, and
    /// the first one after the gap where they never do.
    fn instant(&self, at: DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(at).compatible().ok()?;
        Some(Timestamp(at.as_millisecond()))
    }

    /// The time of day that the clocks here show, as `2026-11-25 19:30`.
    pub fn show(&self, at: Timestamp) -> String {
        match self.local(at) {
            // By hand: jiff's formatter knows much more, and a terminal has little room.
            Some(local) => alloc::format!("{} {}", local.date(), clock(local.time())),
            None => alloc::format!("{at}"),
        }
    }

    /// When the clocks here show the date and time `text`: `2026-11-25 19:30`, or
    /// with a `T` in the middle.
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        let bounded = text.is_ascii() && (16..=19).contains(&text.len());
        self.instant(bounded.then(|| text.parse::<DateTime>().ok())??)
    }
}

/// A time of day as clocks show it: `19:30`.
fn clock(time: Time) -> String {
    alloc::format!("{:02}:{:02}", time.hour(), time.minute())
}

/// Hours of the day, such as `22:00-06:30`; over midnight where the end is earlier.
/// The end does not belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: Time,
    to: Time,
}

/// A text that is no hours of the day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hours look like 22:00-06:30, and end at another time than they begin")]
pub struct HoursError;

impl FromStr for Hours {
    type Err = HoursError;
    fn from_str(text: &str) -> Result<Self, HoursError> {
        let (from, to) = text.split_once('-').ok_or(HoursError)?;
        let hours = Self { from: time(from)?, to: time(to)? };
        if hours.from == hours.to { Err(HoursError) } else { Ok(hours) }
    }
}

fn time(text: &str) -> Result<Time, HoursError> {
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|c| c.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten().ok_or(HoursError)
    };
    let (hour, minute) = text.split_once(':').ok_or(HoursError)?;
    Time::new(two(hour)?, two(minute)?, 0, 0).map_err(|_| HoursError)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", clock(self.from), clock(self.to))
    }
}

impl Hours {
    /// Whether the clocks of `zone` show one of these hours at `at`.
    pub fn contain(&self, zone: &Zone, at: Timestamp) -> bool {
        zone.local(at).is_some_and(|local| {
            let now = local.time();
            if self.from < self.to {
                self.from <= now && now < self.to
            } else {
                self.from <= now || now < self.to
            }
        })
    }

    /// When they next begin in `zone`; `at` itself while they last.
    pub fn next(&self, zone: &Zone, at: Timestamp) -> Timestamp {
        if self.contain(zone, at) { at } else { self.after(zone, at, self.from) }
    }

    /// When they are over in `zone`; `at` itself outside of them.
    pub fn end(&self, zone: &Zone, at: Timestamp) -> Timestamp {
        if self.contain(zone, at) { self.after(zone, at, self.to) } else { at }
    }

    /// The first time after `at` when the clocks of `zone` show `time`.
    fn after(&self, zone: &Zone, at: Timestamp, time: Time) -> Timestamp {
        let days = (-1..DAYS).filter_map(|day| {
            let date = zone.local(at)?.date().checked_add(jiff::Span::new().days(day)).ok()?;
            zone.instant(date.to_datetime(time)).filter(|found| *found > at)
        });
        days.min().unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(zone: &str, hours: &str, now: &str, within: bool, next: &str, end: &str) {
        let (zone, hours): (Zone, Hours) = (zone.parse().unwrap(), hours.parse().unwrap());
        let now = at(now);
        let seen = (hours.contain(&zone, now), hours.next(&zone, now), hours.end(&zone, now));
        assert_eq!(seen, (within, at(next), at(end)), "{hours} at {now}");
    }

    #[test]
    fn hours_are_those_of_the_place() {
        let noon = "2026-11-25T12:00:00Z";
        check("UTC0", "11:00-13:00", noon, true, noon, "2026-11-25T13:00:00Z");
        check(BERLIN, "11:00-13:00", noon, false, "2026-11-26T10:00:00Z", noon);
        check("<+0545>-5:45", "17:45-18:00", noon, true, noon, "2026-11-25T12:15:00Z");
    }

    #[test]
    fn hours_may_pass_midnight() {
        let late = "2026-11-25T22:30:00Z";
        check("UTC0", "22:00-06:00", late, true, late, "2026-11-26T06:00:00Z");
        let early = "2026-11-26T05:59:59Z";
        check("UTC0", "22:00-06:00", early, true, early, "2026-11-26T06:00:00Z");
        let day = "2026-11-26T06:00:00Z";
        check("UTC0", "22:00-06:00", day, false, "2026-11-26T22:00:00Z", day);
    }

    /// In the night of 2026-03-29 the clocks go from 02:00 to 03:00 at 01:00 UTC.
    #[test]
    fn an_hour_that_summer_time_takes_away_opens_after_the_gap() {
        let evening = "2026-03-28T20:00:00Z";
        check(BERLIN, "02:15-02:45", evening, false, "2026-03-29T01:15:00Z", evening);
        check(BERLIN, "03:00-04:00", evening, false, "2026-03-29T01:00:00Z", evening);
        let within = "2026-03-29T01:30:00Z";
        check(BERLIN, "01:00-04:00", within, true, within, "2026-03-29T02:00:00Z");
    }

    /// In the night of 2026-10-25 the clocks show 02:00 to 03:00 twice.
    #[test]
    fn an_hour_that_comes_twice_counts_twice() {
        let first = "2026-10-25T00:30:00Z";
        let second = "2026-10-25T01:30:00Z";
        check(BERLIN, "02:00-03:00", first, true, first, "2026-10-25T02:00:00Z");
        check(BERLIN, "02:00-03:00", second, true, second, "2026-10-25T02:00:00Z");
        let over = "2026-10-25T02:00:00Z";
        check(BERLIN, "02:00-03:00", over, false, "2026-10-26T01:00:00Z", over);
    }

    #[test]
    fn dates_are_read_and_shown_as_the_clocks_show_them() {
        let zone: Zone = BERLIN.parse().unwrap();
        for (text, utc) in [
            ("2026-07-01 03:00", "2026-07-01T01:00:00Z"),
            ("2026-12-01T03:00", "2026-12-01T02:00:00Z"),
            ("2026-12-01T03:00:30", "2026-12-01T02:00:30Z"),
        ] {
            assert_eq!(zone.read(text), Some(at(utc)), "{text}");
            assert_eq!(zone.show(at(utc)), text[..16].replace('T', " "));
        }
        for bad in ["", "tonight", "2026-13-01 03:00", "2026-12-01", "2026-12-01T03:00:00Z"] {
            assert_eq!(zone.read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for bad in ["", "Europe/Berlin", "CET", "CET-1CEST,M3.5.0", "\0"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad:?}");
        }
        for bad in ["", "22:00", "22-23", "24:00-25:00", "1:00-2:00", "02:00-02:00", "22:00-+6:00"]
        {
            assert!(bad.parse::<Hours>().is_err(), "{bad:?}");
        }
        assert_eq!("22:00-06:30".parse::<Hours>().unwrap().to_string(), "22:00-06:30");
    }
}
