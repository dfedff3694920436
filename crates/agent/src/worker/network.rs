//! How packages are fetched, and how long a worker may take for it.

use super::message::Limits;

/// Milliseconds that a worker has for its own work, on top of the network's limits.
pub(super) const OWN_WORK: u64 = 60_000;

/// How packages are fetched.
#[derive(Debug, Clone)]
pub struct Network {
    /// The operator's certificates, DER.
    pub roots: Vec<Vec<u8>>,
    /// Milliseconds since 1970 that have passed for certain.
    pub floor: i64,
    /// Milliseconds to be connected.
    pub connect_ms: u64,
    /// Milliseconds between two pieces that arrive.
    pub read_ms: u64,
    /// Bytes that may be under way without having been taken.
    pub window: u32,
    /// Bytes per second that a server must keep, on the average of `least_over_ms`.
    pub least_rate: u32,
    /// Milliseconds of waiting over which the least rate is measured.
    pub least_over_ms: u64,
    /// Bytes per second that are fetched at most; 0 for as fast as it goes.
    pub bandwidth: u32,
}

impl Network {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            connect: self.connect_ms,
            read: self.read_ms,
            window: self.window,
            least_rate: self.least_rate,
            least_over: self.least_over_ms,
            bandwidth: self.bandwidth,
        }
    }

    /// Milliseconds after which a worker that owes `bytes` is given up: it must have
    /// given up itself before, if it does what it should.
    pub(super) fn patience(&self, bytes: u64) -> u64 {
        let least = u64::from(self.least_rate.max(1));
        let rate = match u64::from(self.bandwidth / 2) {
            0 => least,
            allowed => least.min(allowed),
        };
        let network = self.connect_ms + self.read_ms + self.least_over_ms;
        OWN_WORK + 2 * network + bytes.saturating_mul(1000) / rate
    }
}
