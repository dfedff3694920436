//! Memory that threads share: who needs more than is free waits for the others.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that there are.
pub(super) struct Shared {
    all: u64,
    free: Mutex<u64>,
    more: Condvar,
}

/// Bytes that are taken until this is dropped.
pub(super) struct Taken<'a> {
    shared: &'a Shared,
    bytes: u64,
}

impl Shared {
    pub(super) fn new(all: u64) -> Self {
        Self { all, free: Mutex::new(all), more: Condvar::new() }
    }

    /// How many there are in all.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    /// Waits until so many are free, or all of them where there are fewer. Whoever has
    /// some must not ask for more.
    pub(super) fn take(&self, bytes: u64) -> Taken<'_> {
        let bytes = bytes.min(self.all);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .more
            .wait_while(free, |free| *free < bytes)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Taken { shared: self, bytes }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.shared.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.shared.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_taken_than_there_is() {
        let (shared, now) = (Shared::new(10), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (shared, now) = (&shared, &now);
                scope.spawn(move || {
                    for turn in 0..500 {
                        let bytes = (thread * 7 + turn) % 14;
                        let taken = shared.take(bytes);
                        let sum = now.fetch_add(taken.bytes, Ordering::SeqCst) + taken.bytes;
                        assert!(sum <= 10 && taken.bytes == bytes.min(10));
                        now.fetch_sub(taken.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*shared.free.lock().unwrap(), 10);
    }
}
