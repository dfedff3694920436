//! Time, kept apart: what the calendar says and what has passed.

use types::{Seconds, Timestamp};

/// One point in time, seen twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the calendar, never below the device's time floor; may jump.
    pub wall: Timestamp,
    /// Milliseconds since some start; never goes back.
    pub monotonic: u64,
}

/// The device's clock.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Now;

    /// Waits for at most so long; returns early when something wants attention.
    fn wait(&mut self, at_most: Seconds);

    /// A random number, for jitter only.
    fn chance(&mut self) -> u32;
}
