//! Waiting for descriptors.
//!
//! In milliseconds, by `poll`: the structure for more precise times has another shape on
//! 32-bit processors than some of the calls that take it.
#![expect(unsafe_code, reason = "rustix waits by the structure that is meant here")]

use rustix::event::PollFd;
use std::time::Duration;

/// Waits until one of `fds` is ready, `at_most` so long; how many are.
///
/// # Errors
/// A signal came first, or the system refuses.
pub(crate) fn poll(fds: &mut [PollFd<'_>], at_most: Duration) -> rustix::io::Result<usize> {
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or_default();
    // Less than a millisecond must not become nothing, again and again.
    let millis = at_most.as_nanos().div_ceil(1_000_000);
    let millis = libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX);
    // SAFETY: a `PollFd` has the layout of a `pollfd`, and there are `count` of them.
    let ready = unsafe { libc::poll(fds.as_mut_ptr().cast(), count, millis) };
    let failed = || rustix::io::Errno::from_io_error(&std::io::Error::last_os_error());
    usize::try_from(ready).map_err(|_| failed().unwrap_or(rustix::io::Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::PollFlags;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn it_waits_as_long_as_it_may() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let watch = crate::platform::clock::Stopwatch::start();
        let mut fds = [PollFd::new(&theirs, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Duration::from_millis(30)), Ok(0));
        assert!(watch.millis() >= 30);
        ours.write_all(b"x").unwrap();
        assert_eq!(poll(&mut fds, Duration::from_secs(60)), Ok(1));
        assert!(fds[0].revents().contains(PollFlags::IN));
    }
}
