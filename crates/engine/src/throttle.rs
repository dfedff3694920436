//! Bandwidth limit: a token bucket over milliseconds that someone else counts.

/// Keeps an average of `rate` bytes per second, with bursts of at most a quarter
/// of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    rate: u32,
    /// The millisecond up to which bytes are paid for.
    paid_until: u64,
}

impl Throttle {
    /// A limit of `rate` bytes per second; 0 means no limit.
    pub fn new(rate: u32) -> Self {
        Self { rate, paid_until: 0 }
    }

    /// The same limit with another rate from now on: what was taken is paid for as it was.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// Takes `bytes` at millisecond `now` and says how many milliseconds to wait
    /// before the next ones.
    pub fn take(&mut self, bytes: u32, now: u64) -> u64 {
        if self.rate == 0 {
            return 0;
        }
        let cost = u64::from(bytes) * 1000 / u64::from(self.rate);
        let from = self.paid_until.max(now.saturating_sub(250));
        self.paid_until = from + cost;
        self.paid_until.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_the_rate() {
        let mut throttle = Throttle::new(64 << 10);
        let mut now = 1_000;
        for _ in 0..100 {
            now += throttle.take(16 << 10, now);
        }
        let seconds = (now - 1_000) as f64 / 1000.0;
        assert!((24.0..=25.1).contains(&seconds), "{seconds}");
    }

    #[test]
    fn no_limit_never_waits() {
        assert_eq!(Throttle::new(0).take(u32::MAX, 5), 0);
    }
}
