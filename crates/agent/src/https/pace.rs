//! The least rate that a peer must keep.

use std::sync::Mutex;

/// A least rate, as an average over a while of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// Bytes per second; 0 for no least rate.
    pub rate: u32,
    /// Milliseconds of waiting over which it is measured.
    pub over: u64,
}

/// Watches the rate of one peer. Only time spent waiting for it counts: a slow
/// flash or the bandwidth limit is no fault of the peer.
#[derive(Debug)]
pub struct Pace {
    least: Least,
    window: Mutex<Window>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    waited: u64,
    bytes: u64,
    too_slow: bool,
}

impl Pace {
    /// Nothing was waited for yet.
    pub fn new(least: Least) -> Self {
        Self { least, window: Mutex::default() }
    }

    /// `bytes` arrived after `waited` milliseconds. Says whether that keeps the rate.
    pub fn arrived(&self, bytes: usize, waited: u64) -> bool {
        let Ok(mut window) = self.window.lock() else { return false };
        window.waited = window.waited.saturating_add(waited);
        window.bytes = window.bytes.saturating_add(bytes as u64);
        if window.waited < self.least.over || self.least.over == 0 {
            return true;
        }
        let want = u64::from(self.least.rate).saturating_mul(window.waited) / 1000;
        let too_slow = window.bytes < want;
        *window = Window { too_slow, ..Window::default() };
        !too_slow
    }

    /// Whether the peer was too slow when it was last measured.
    pub fn too_slow(&self) -> bool {
        self.window.lock().is_ok_and(|window| window.too_slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arrivals: &[(usize, u64)], kept: bool) {
        let pace = Pace::new(Least { rate: 1000, over: 5000 });
        let all = arrivals.iter().all(|(bytes, waited)| pace.arrived(*bytes, *waited));
        assert_eq!((all, pace.too_slow()), (kept, !kept), "{arrivals:?}");
    }

    #[test]
    fn the_average_counts() {
        check(&[(1, 1000); 4], true);
        check(&[(1, 1000); 5], false);
        check(&[(1000, 1000); 50], true);
        check(&[(0, 4000), (5000, 1000)], true);
        check(&[(0, 4000), (4999, 1000)], false);
        check(&[(1, 0); 1000], true);
    }

    #[test]
    fn no_least_rate_is_always_kept() {
        assert!(Pace::new(Least { rate: 0, over: 0 }).arrived(0, 1 << 40));
        assert!(Pace::new(Least { rate: 0, over: 1 }).arrived(0, 1 << 40));
    }
}
