//! The only place of the server that reads clocks. Everything else takes `now`.
//!
//! The server's time goes on evenly, whatever is done to a clock. It is that of the
//! system, or, where several servers share a database, that of the database: what they
//! write for each other is then of one clock, however far theirs are apart. When that
//! clock was set, the server first brings its plans to the new time and then takes it
//! over.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use types::Timestamp;

/// By how much the two differ when a clock was set and not corrected, in milliseconds: a
/// part of a plan's lease.
const STEP: i64 = 1000;
/// An answer that took longer is not exact enough to correct a clock by.
const SLOW: Duration = Duration::from_millis(500);

/// The time that was taken over last, and when that was.
static TAKEN: RwLock<Option<(Timestamp, Instant)>> = RwLock::new(None);

/// Rings when a clock that was set was taken over.
pub(crate) static SET: Notify = Notify::const_new();

/// What a clock said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    time: Timestamp,
    /// When it said so, as far as that is known.
    at: Instant,
    /// How long it took to ask.
    took: Duration,
}

/// A clock that was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// To this time.
    pub(crate) to: Timestamp,
    /// By so many milliseconds.
    pub(crate) by: i64,
}

/// What time it is for the server.
pub(crate) fn now() -> Timestamp {
    match *TAKEN.read().unwrap_or_else(PoisonError::into_inner) {
        None => system(),
        Some((time, then)) => later(time, then),
    }
}

/// Milliseconds that pass evenly, from a time that nobody knows.
pub(crate) fn passed() -> u64 {
    static START: RwLock<Option<Instant>> = RwLock::new(None);
    let known = *START.read().unwrap_or_else(PoisonError::into_inner);
    let start = known.unwrap_or_else(|| {
        *START.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(instant)
    });
    u64::try_from((instant() - start).as_millis()).unwrap_or(u64::MAX)
}

/// What the system's clock says.
pub(crate) fn own() -> Told {
    Told { time: system(), at: instant(), took: Duration::ZERO }
}

/// What another clock says, where `asking` asks for it.
pub(crate) async fn told<E>(asking: impl Future<Output = Result<Timestamp, E>>) -> Result<Told, E> {
    let before = instant();
    let time = asking.await?;
    let took = instant() - before;
    Ok(Told { time, at: before + took / 2, took })
}

impl Told {
    /// How the clock was set, if it says another time than the server's.
    pub(crate) fn step(&self) -> Option<Step> {
        let to = later(self.time, self.at);
        let by = to.0.saturating_sub(now().0);
        let doubt = i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX);
        (by.saturating_abs() > STEP.saturating_add(doubt)).then_some(Step { to, by })
    }

    /// From now on the server's time is this clock's.
    pub(crate) fn take_over(&self) {
        let mut taken = TAKEN.write().unwrap_or_else(PoisonError::into_inner);
        *taken = Some((self.time, self.at));
    }

    /// The same, where nobody set it; but for what came too slowly to be exact.
    pub(crate) fn correct(&self) {
        if self.took < SLOW {
            self.take_over();
        }
    }
}

fn later(time: Timestamp, then: Instant) -> Timestamp {
    let since = i64::try_from((instant() - then).as_millis()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(since))
}

/// 1970 where the clock is set to before that.
#[expect(clippy::disallowed_methods, reason = "the server's one clock")]
fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "tells time that passed from a clock that was set")]
fn instant() -> Instant {
    Instant::now()
}
