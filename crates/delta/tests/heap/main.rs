//! What applying takes of the heap is what the patch declares, in each class of
//! terminals and with each codec; what making takes is what there may be.

#[expect(unsafe_code, reason = "whoever counts what C libraries take has to be their malloc")]
mod counted;

#[cfg(test)]
mod applying;
#[cfg(test)]
mod images;
#[cfg(test)]
mod making;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Only one test takes memory at a time, and counts it.
#[cfg(test)]
fn alone() -> MutexGuard<'static, ()> {
    static COUNTS: Mutex<()> = Mutex::new(());
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}
