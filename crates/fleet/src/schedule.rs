//! When a device may be offered something: a start, windows and quiet hours, by the
//! clock on its own wall.
//!
//! What that clock shows decides. Where summer time begins, an hour that it does not
//! show opens nothing; where it ends, an hour that it shows twice counts twice.

use crate::Zone;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Disambiguation, TimeZone};
use serde::{Deserialize, Serialize};
use types::{Seconds, Timestamp};

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// How many days are searched for an opening: a week, and one that falls out.
const SEARCHED: i64 = 15;
/// The most windows, and the most quiet hours.
pub const WINDOWS_LIMIT: usize = 32;

/// When devices may be offered something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// Nothing before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// Only then; always, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Not then, whatever the windows say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Window>,
    /// The zone of devices that name none; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

/// Hours of some days of the week, in minutes since midnight. Where the end is not
/// behind the start, it is that of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// The days on which it starts: bit 0 is Monday.
    days: u8,
    from: u16,
    until: u16,
}

impl Schedule {
    /// Whether it depends on what the clock on a device's wall shows.
    pub fn is_local(&self) -> bool {
        !(self.windows.is_empty() && self.quiet.is_empty())
    }

    /// Whether devices in `zone` may be offered something at `now`.
    pub fn allows(&self, zone: Option<&Zone>, now: Timestamp) -> bool {
        if self.starts.is_some_and(|starts| now < starts) {
            return false;
        }
        if !self.is_local() {
            return true;
        }
        // Outside of the years 1 to 9999 no clock shows anything.
        wall(&self.zone(zone), now).is_some_and(|(date, time)| self.open(date, time))
    }

    /// From when on they may: `now` where they may already, nothing where they may not
    /// for two weeks.
    pub fn next(&self, zone: Option<&Zone>, now: Timestamp) -> Option<Timestamp> {
        let from = self.starts.map_or(now, |starts| starts.max(now));
        if self.allows(zone, from) {
            return Some(from);
        }
        let at = self.changes(&self.zone(zone), from);
        at.into_iter().filter(|at| *at > from && self.allows(zone, *at)).min()
    }

    fn zone(&self, own: Option<&Zone>) -> TimeZone {
        let zone = own.or(self.zone.as_ref());
        zone.map_or(TimeZone::UTC, |zone| zone.time_zone().clone())
    }

    fn open(&self, date: Date, time: u16) -> bool {
        let holds = |window: &Window| window.contains(date.weekday(), time);
        let windows = self.windows.is_empty() || self.windows.iter().any(holds);
        windows && !self.quiet.iter().any(holds)
    }

    /// Every moment from `from` on at which the answer may change.
    fn changes(&self, zone: &TimeZone, from: Timestamp) -> Vec<Timestamp> {
        let mut out = Vec::new();
        let Some((today, _)) = wall(zone, from) else { return out };
        let edges = self.windows.iter().map(|w| w.from).chain(self.quiet.iter().map(|w| w.until));
        let mut minutes: Vec<u16> = edges.chain([0]).map(|minute| minute % DAY).collect();
        minutes.sort_unstable();
        minutes.dedup();
        for day in 0..SEARCHED {
            let Ok(date) = today.checked_add(jiff::Span::new().days(day)) else { break };
            out.extend(minutes.iter().flat_map(|minute| moments(zone, date, *minute)));
        }
        let start = jiff::Timestamp::from_millisecond(from.0).ok();
        let turns = start.into_iter().flat_map(|start| zone.following(start).take(2));
        out.extend(turns.map(|turn| Timestamp(turn.timestamp().as_millisecond())));
        out
    }
}

/// What the clocks of `zone` show: the date, and the minute of the day.
fn wall(zone: &TimeZone, now: Timestamp) -> Option<(Date, u16)> {
    let shown = zone.to_datetime(jiff::Timestamp::from_millisecond(now.0).ok()?);
    let minute = u16::try_from(shown.hour()).ok()? * 60 + u16::try_from(shown.minute()).ok()?;
    Some((shown.date(), minute))
}

/// When the clocks of `zone` show that minute: once, twice, or at the end of the gap
/// that it falls into.
fn moments(zone: &TimeZone, date: Date, minute: u16) -> Vec<Timestamp> {
    let (hour, minute) = (minute / 60, minute % 60);
    let time = i8::try_from(hour).ok().zip(i8::try_from(minute).ok());
    let Some(Ok(time)) = time.map(|(hour, minute)| Time::new(hour, minute, 0, 0)) else {
        return Vec::new();
    };
    let either = [Disambiguation::Earlier, Disambiguation::Later];
    let moment = |how| zone.to_ambiguous_timestamp(date.to_datetime(time)).disambiguate(how).ok();
    let found = either.into_iter().filter_map(moment);
    found.map(|moment| Timestamp(moment.as_millisecond())).collect()
}

impl Window {
    const NAMES: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const EVERY_DAY: u8 = 0x7f;

    fn contains(&self, day: Weekday, time: u16) -> bool {
        let on = |day: Weekday| self.days & (1 << day.to_monday_zero_offset()) != 0;
        if self.from < self.until {
            return on(day) && (self.from..self.until).contains(&time);
        }
        (on(day) && time >= self.from) || (on(day.previous()) && time < self.until)
    }

    /// How long it is open on a day without a change of the clocks.
    pub fn length(&self) -> Seconds {
        let end = if self.from < self.until { self.until } else { self.until + DAY };
        Seconds(u32::from(end - self.from) * 60)
    }
}

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no window: write 02:00-05:00, mon-fri 22:00-04:30 or sat,sun 00:00-24:00")]
pub struct WindowError(String);

impl FromStr for Window {
    type Err = WindowError;
    fn from_str(text: &str) -> Result<Self, WindowError> {
        read(text).ok_or_else(|| WindowError(text.chars().take(64).collect()))
    }
}

fn read(text: &str) -> Option<Window> {
    let (days, hours) = match text.trim().split_once(' ') {
        Some((names, hours)) => {
            (names.split(',').try_fold(0, |all, d| Some(all | days(d)?))?, hours)
        }
        None => (Window::EVERY_DAY, text.trim()),
    };
    let (from, until) = hours.trim().split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < DAY && from != until).then_some(Window { days, from, until })
}

/// `mon`, or `fri-mon` over the week's end.
fn days(text: &str) -> Option<u8> {
    let day = |name: &str| Window::NAMES.iter().position(|known| *known == name);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + 7 - first) % 7;
    Some((0..=count).fold(0, |all, step| all | 1 << ((first + step) % 7)))
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let plain = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(hour) || !plain(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= DAY).then_some(whole)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != Self::EVERY_DAY {
            let names = Self::NAMES.iter().enumerate();
            let on = names.filter(|(bit, _)| self.days & (1 << bit) != 0);
            let on: Vec<&str> = on.map(|(_, name)| *name).collect();
            write!(f, "{} ", on.join(","))?;
        }
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{}-{}", clock(self.from), clock(self.until))
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;
    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests;
