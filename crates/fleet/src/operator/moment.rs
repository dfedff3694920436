//! A moment as an operator writes it: in UTC, or by the clocks of a zone that is named.

use crate::{Zone, ZoneError};
use alloc::string::{String, ToString};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use types::Timestamp;

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// It has another form.
    #[error("`{0}` is no moment: write 2030-03-01T02:00:00Z or 2030-03-01T02:00[Europe/Berlin]")]
    Form(String),
    /// Its zone is none.
    #[error("a moment has no such zone")]
    Zone(#[source] ZoneError),
    /// The clocks of its zone do not show it.
    #[error("the clocks of {zone} leave `{clock}` out: summer time begins then")]
    LeftOut {
        /// What they would show.
        clock: String,
        /// The zone.
        zone: Zone,
    },
}

/// Reads `2030-03-01T02:00:00Z`, or a date and time with the name of a zone (RFC 9557
/// without an offset) as `2030-03-01T02:00[Europe/Berlin]`. What clocks show twice is the
/// first time.
///
/// # Errors
/// It has another form, an unknown zone, or is left out by the zone's clocks.
pub fn moment(text: &str) -> Result<Timestamp, MomentError> {
    let form = || MomentError::Form(text.chars().take(64).collect());
    let Some((clock, zone)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
        return text.parse().map_err(|_| form());
    };
    let zone: Zone = zone.parse().map_err(MomentError::Zone)?;
    // An offset beside a zone could contradict it.
    let plain = clock.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'-' | b':' | b'T'));
    let shown: DateTime =
        Some(clock).filter(|_| plain).ok_or_else(form)?.parse().map_err(|_| form())?;
    let found = zone.time_zone().to_ambiguous_timestamp(shown);
    if matches!(found.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(MomentError::LeftOut { clock: clock.to_string(), zone });
    }
    found.earlier().map(|at| Timestamp(at.as_millisecond())).map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn check(text: &str, expected: &str) {
        let told = moment(text).map_or_else(|error| format!("{error}"), |at| at.to_string());
        assert!(told.starts_with(expected), "{text}: {told}");
    }

    #[test]
    fn a_moment_is_utc_or_names_its_zone() {
        check("2030-03-01T02:00:00Z", "2030-03-01T02:00:00Z");
        check("2030-03-01T02:00[Europe/Berlin]", "2030-03-01T01:00:00Z");
        check("2030-07-01T02:00:30[Europe/Berlin]", "2030-07-01T00:00:30Z");
        check("2030-07-01T02:00[CET-1CEST,M3.5.0,M10.5.0/3]", "2030-07-01T00:00:00Z");
    }

    #[test]
    fn summer_time_begins_and_ends() {
        check("2030-03-31T02:30[Europe/Berlin]", "the clocks of Europe/Berlin leave");
        check("2030-10-27T02:30[Europe/Berlin]", "2030-10-27T00:30:00Z");
        check("2030-10-27T03:00[Europe/Berlin]", "2030-10-27T02:00:00Z");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "soon", "2030-03-01", "2030-03-01T02:00", "2030-13-01T02:00[UTC]", "[UTC]"]
        {
            check(bad, &format!("`{bad}` is no moment"));
        }
        check("2030-03-01T02:00+05:00[UTC]", "`2030-03-01T02:00+05:00[UTC]` is no moment");
        check("2030-03-01T02:00[Moon/Base]", "a moment has no such zone");
    }
}
