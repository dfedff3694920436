//! How much strangers may ask: so many requests per address and minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use types::Timestamp;

/// The most addresses remembered. When they are too many, all are forgotten: an
/// attacker with that many addresses is not stopped by a quota.
const ADDRESSES: usize = 65_536;

/// A bucket per address that refills with time.
pub(crate) struct Quota {
    per_minute: u32,
    spent: Mutex<HashMap<IpAddr, Spent>>,
}

/// What one address has used.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// Thousandths of requests.
    milli: u64,
    at: Timestamp,
}

impl Quota {
    /// A quota of so many requests per minute, and at once.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, spent: Mutex::default() }
    }

    /// Counts one request of `address`. Returns whether it may be served.
    pub(crate) fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= ADDRESSES {
            spent.clear();
        }
        let entry = spent.entry(address).or_insert(Spent { milli: 0, at: now });
        let elapsed = u64::try_from(now.0.saturating_sub(entry.at.0)).unwrap_or(0);
        let refilled = elapsed.saturating_mul(u64::from(self.per_minute)) / 60;
        let left = entry.milli.saturating_sub(refilled);
        let admits = left + 1000 <= u64::from(self.per_minute) * 1000;
        *entry = Spent { milli: if admits { left + 1000 } else { left }, at: now };
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_quota_and_others_keep_theirs() {
        let quota = Quota::new(3);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let ask = |address, ms| quota.admits(address, Timestamp(ms));
        assert_eq!([ask(one, 0), ask(one, 0), ask(one, 0), ask(one, 0)], [true, true, true, false]);
        assert!(ask(other, 0));
        assert!(!ask(one, 19_000));
        assert!(ask(one, 20_000), "a third of a minute gives one of three");
        assert!(!ask(one, 20_000));
        assert!(!ask(one, 0), "a clock that goes back gives nothing");
    }
}
