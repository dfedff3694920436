//! The only place of the server that reads clocks. Everything else takes `now`.
//!
//! The server's time goes on evenly, whatever is done to the system's clock. When that
//! was set, the server first brings its plans to the new time and then takes it over.

use std::sync::{PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use types::Timestamp;

/// By how much the two differ when the system's clock was set and not corrected, in
/// milliseconds: a part of a plan's lease.
const STEP: u64 = 1000;

/// The time that was taken over last, and when that was.
static TAKEN: RwLock<Option<(Timestamp, Instant)>> = RwLock::new(None);

/// What time it is for the server.
pub(crate) fn now() -> Timestamp {
    match *TAKEN.read().unwrap_or_else(PoisonError::into_inner) {
        None => system(),
        Some((time, then)) => later(time, then),
    }
}

/// What the system's clock was set to, if that is another time than the server's.
pub(crate) fn was_set() -> Option<Timestamp> {
    Some(system()).filter(|system| system.0.abs_diff(now().0) > STEP)
}

/// Takes over what the system's clock says.
pub(crate) fn take_over() {
    *TAKEN.write().unwrap_or_else(PoisonError::into_inner) = Some((system(), passed()));
}

fn later(time: Timestamp, then: Instant) -> Timestamp {
    let since = i64::try_from((passed() - then).as_millis()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(since))
}

/// 1970 where the clock is set to before that.
#[expect(clippy::disallowed_methods, reason = "the server's one clock")]
fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "tells time that passed from a clock that was set")]
fn passed() -> Instant {
    Instant::now()
}
