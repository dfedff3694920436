//! The wish to stop, as SIGTERM, SIGINT and SIGHUP bring it.

use super::wait::poll;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Where the signal's arrival is noted; -1 before there is such a place.
static NOTED: AtomicI32 = AtomicI32::new(-1);

/// A descriptor that becomes readable, and stays so, when a signal asks to stop.
#[derive(Debug)]
pub struct Stop(OwnedFd);

impl Stop {
    /// Listens to the signals from now on. One per process.
    ///
    /// # Errors
    /// The system has no descriptor for it, or there is one already.
    pub fn on_signals() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let first =
            NOTED.compare_exchange(-1, event.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst);
        first.map_err(|_| io::Error::other("signals are listened to already"))?;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            listen_to(signal)?;
        }
        Ok(Self(event))
    }

    /// Whether the process was asked to stop.
    pub fn asked(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Duration::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Another handle to the same wish.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[expect(unsafe_code, reason = "a signal is caught by a C function")]
fn listen_to(signal: i32) -> io::Result<()> {
    let note: extern "C" fn(i32) = note;
    // SAFETY: `note` only calls `write`, which is async-signal-safe.
    let before = unsafe { libc::signal(signal, note as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "only write(2) itself is safe in a signal handler")]
extern "C" fn note(_signal: i32) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `one` has the 8 bytes that are written; the descriptor is an eventfd
    // that is never closed while the process lives, or -1, which only fails.
    unsafe { libc::write(NOTED.load(Ordering::SeqCst), one.as_ptr().cast(), one.len()) };
}

/// A wish that the caller expresses itself, for tests and for work without signals.
pub mod by_hand {
    use super::{EventfdFlags, OwnedFd, Stop, eventfd, io};

    /// What asks to stop.
    #[derive(Debug)]
    pub struct Asker(OwnedFd);

    /// A wish and the means to express it.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn stop() -> io::Result<(Asker, Stop)> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok((Asker(event.try_clone()?), Stop(event)))
    }

    impl Asker {
        /// Asks to stop.
        ///
        /// # Errors
        /// The descriptor is broken.
        pub fn ask(&self) -> io::Result<()> {
            rustix::io::write(&self.0, &1_u64.to_ne_bytes())?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_stays() {
        let (asker, stop) = by_hand::stop().unwrap();
        let other = stop.try_clone().unwrap();
        assert!(!stop.asked());
        asker.ask().unwrap();
        assert!(stop.asked() && stop.asked() && other.asked());
    }

    #[test]
    fn a_signal_is_a_wish() {
        let stop = Stop::on_signals().unwrap();
        assert!(!stop.asked());
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP)
            .unwrap();
        let mut fds = [PollFd::new(&stop, PollFlags::IN)];
        poll(&mut fds, Duration::MAX).unwrap();
        assert!(stop.asked());
        assert!(Stop::on_signals().is_err());
    }
}
