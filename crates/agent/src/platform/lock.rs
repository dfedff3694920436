//! One agent per terminal.

use super::clock::Stopwatch;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Between two looks at a lock that someone holds.
const LOOK: Duration = Duration::from_millis(20);

/// Held as long as it lives; the system lets go of it when the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file lets go of the lock")] File);

/// Takes the lock at `path`; `None` when another process holds it.
///
/// # Errors
/// The file cannot be made or locked.
pub fn take(path: &Path) -> io::Result<Option<Lock>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The same, where whoever holds it may let go within `patience`: who only looks at the
/// state holds it for a moment.
///
/// # Errors
/// The file cannot be made or locked.
pub fn take_within(path: &Path, patience: Duration) -> io::Result<Option<Lock>> {
    let watch = Stopwatch::start();
    loop {
        let lock = take(path)?;
        if lock.is_some() || u128::from(watch.millis()) >= patience.as_millis() {
            return Ok(lock);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = take(&path).unwrap();
        assert!(first.is_some());
        assert!(take(&path).unwrap().is_none());
        drop(first);
        assert!(take(&path).unwrap().is_some());
    }

    #[test]
    fn who_lets_go_soon_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = take(&path).unwrap();
        assert!(take_within(&path, 2 * LOOK).unwrap().is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| take_within(&path, Duration::from_secs(60)));
            drop(first);
            assert!(second.join().unwrap().unwrap().is_some());
        });
    }
}
