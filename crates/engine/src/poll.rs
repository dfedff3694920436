//! When to ask the server again.

use types::Seconds;

/// How often a terminal asks when nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// Seconds between two heartbeats.
    pub every: Seconds,
}

impl Poll {
    /// The most often: a typing error in a configuration must not flood a server.
    pub const LEAST: Seconds = Seconds(1);
    /// The least often: a week.
    pub const MOST: Seconds = Seconds(7 * 24 * 3600);

    /// An interval within the bounds.
    pub fn new(every: Seconds) -> Self {
        Self { every: every.clamp(Self::LEAST, Self::MOST) }
    }

    /// The interval with a jitter of up to a tenth, so that a fleet that rebooted
    /// together does not ask together for ever. `chance` is any random number.
    pub fn next(self, chance: u32) -> Seconds {
        let tenth = self.every.0 / 10;
        Seconds(self.every.0 - tenth / 2 + chance % tenth.max(1))
    }
}

/// Exponential rest after failures: 1, 2, 4 … 512 seconds, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u8,
}

impl Backoff {
    /// One more failure: how long to rest. `chance` is any random number.
    pub fn failed(&mut self, chance: u32) -> Seconds {
        let rest = 1_u32 << self.failures.min(9);
        self.failures = self.failures.saturating_add(1);
        Seconds(rest + chance % rest.div_ceil(2))
    }

    /// Something worked: the next failure rests shortly again.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth() {
        let poll = Poll::new(Seconds(300));
        for chance in [0, 1, 29, u32::MAX] {
            assert!((285..=315).contains(&poll.next(chance).0));
        }
        assert_eq!(Poll::new(Seconds(0)).next(7), Seconds(1));
    }

    #[test]
    fn rests_double_up_to_eight_minutes_and_start_anew() {
        let mut backoff = Backoff::default();
        let rests: alloc::vec::Vec<u32> = (0..12).map(|_| backoff.failed(0).0).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512]);
        backoff.worked();
        assert_eq!(backoff.failed(0), Seconds(1));
    }
}
