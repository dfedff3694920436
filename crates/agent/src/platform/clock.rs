//! The device's clock, and the wake-up calls that end a wait early.
//!
//! The one file of the agent that reads a clock.

use super::files;
use super::stop::Stop;
use super::wait::poll;
use crate::edges::{Clock, Now};
use rustix::event::{PollFd, PollFlags};
use std::cell::Cell;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use types::{Seconds, Timestamp};

/// No agent of this source runs before 2026-01-01: a device whose clock was lost
/// starts from here, and not from 1970, where no certificate is valid yet.
const BUILT: Timestamp = Timestamp(1_767_225_600_000);

/// The longest wake-up call, in bytes.
const CALL_MAX: usize = 16;

/// What a wake-up call wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Look at the switches and documents again.
    Look,
    /// Ask the sources now.
    Ask,
}

impl Call {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Look => b"look",
            Self::Ask => b"ask",
        }
    }
}

/// Whether a call wanted the sources to be asked, since that was last looked at.
pub type Asked = Rc<Cell<bool>>;

/// Milliseconds since 1970 as the system says, and never below `floor`.
pub fn wall(floor: Timestamp) -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the device's clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let system = since.ok().and_then(|d| i64::try_from(d.as_millis()).ok()).unwrap_or(0);
    Timestamp(system).max(floor)
}

/// What has passed since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at 0.
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the device's clock")]
        let start = Instant::now();
        Self(start)
    }

    /// Milliseconds since the start.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The latest time that this device is certain has passed, in a file. It is moved
/// when a server was reached whose certificate was valid then, once a day at most.
#[derive(Debug, Clone)]
pub struct TimeFloor {
    path: PathBuf,
    floor: Timestamp,
}

/// How much later it must be before the file is written again, in milliseconds.
const STEP: i64 = 24 * 3600 * 1000;

impl TimeFloor {
    /// The floor in the file at `path`, or the time of this source. A file that
    /// does not read counts as none.
    pub fn load(path: &Path) -> Self {
        let bytes = files::read(path, 64).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let stored = text.and_then(|text| text.trim().parse::<Timestamp>().ok());
        Self { path: path.into(), floor: stored.map_or(BUILT, |stored| stored.max(BUILT)) }
    }

    /// The time that has passed for certain.
    pub fn at(&self) -> Timestamp {
        self.floor
    }

    /// It is certain that `time` has passed.
    ///
    /// # Errors
    /// The file cannot be written; the old floor stands there.
    pub fn raise(&mut self, time: Timestamp) -> io::Result<()> {
        if time.0.saturating_sub(self.floor.0) < STEP {
            return Ok(());
        }
        self.floor = time;
        files::replace(&self.path, time.to_string().as_bytes())
    }
}

/// The clock of a device that runs Linux.
#[derive(Debug)]
pub struct LinuxClock {
    floor: Timestamp,
    start: Stopwatch,
    calls: Option<UnixDatagram>,
    asked: Asked,
    stop: Stop,
}

/// A wait for which the program's code need not stay in memory: mapping again what is
/// used after it takes less than a millisecond.
const LONG_WAIT: Seconds = Seconds(10);

impl LinuxClock {
    /// A clock that never says less than `floor`. A wait ends early by a call to
    /// `calls` (see [`listen_for_calls`]) or when `stop` is asked for.
    pub fn new(floor: Timestamp, calls: Option<UnixDatagram>, stop: Stop) -> Self {
        Self { floor, start: Stopwatch::start(), calls, asked: Asked::default(), stop }
    }

    /// What calls wanted during a wait.
    pub fn asked(&self) -> Asked {
        Rc::clone(&self.asked)
    }

    fn take_calls(&self) {
        let Some(calls) = &self.calls else { return };
        let mut call = [0; CALL_MAX];
        while let Ok(len) = calls.recv(&mut call) {
            if call.get(..len) == Some(Call::Ask.bytes()) {
                self.asked.set(true);
            }
        }
    }
}

impl Clock for LinuxClock {
    fn now(&self) -> Now {
        Now { wall: wall(self.floor), monotonic: self.start.millis() }
    }

    fn wait(&mut self, at_most: Seconds) {
        let mut fds = vec![PollFd::new(&self.stop, PollFlags::IN)];
        fds.extend(self.calls.as_ref().map(|calls| PollFd::new(calls, PollFlags::IN)));
        if at_most >= LONG_WAIT {
            super::resident::give_program_back();
        }
        // An error is a wait that ended early.
        let _ = poll(&mut fds, Duration::from_secs(at_most.0.into()));
        self.take_calls();
    }

    fn chance(&mut self) -> u32 {
        let mut bytes = [0; 4];
        match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
            Ok(_) => u32::from_ne_bytes(bytes),
            // Too early after power-on: what the clock says differs between devices.
            Err(_) => u32::try_from(self.start.millis() % 65_537).unwrap_or(0),
        }
    }
}

/// Listens for wake-up calls at `path`, as the user of this process only.
///
/// # Errors
/// The socket cannot be made.
pub fn listen_for_calls(path: &Path) -> io::Result<UnixDatagram> {
    files::remove(path)?;
    let calls = UnixDatagram::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    calls.set_nonblocking(true)?;
    Ok(calls)
}

/// Calls the agent that listens at `path`.
///
/// # Errors
/// No agent listens there, or it is another user's.
pub fn call(path: &Path, call: Call) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match socket.send_to(call.bytes(), path) {
        // It has more calls waiting than it can hold: it will wake up anyway.
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
        done => done.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::stop::by_hand;

    fn clock(calls: Option<UnixDatagram>) -> (by_hand::Asker, LinuxClock) {
        let (asker, stop) = by_hand::stop().unwrap();
        (asker, LinuxClock::new(BUILT, calls, stop))
    }

    #[test]
    fn a_call_ends_a_wait_and_is_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wake");
        let (_asker, mut clock) = clock(Some(listen_for_calls(&path).unwrap()));
        for what in [Call::Look, Call::Ask, Call::Look] {
            call(&path, what).unwrap();
        }
        clock.wait(Seconds(3600));
        assert!(clock.asked().take());
        let before = clock.now().monotonic;
        clock.wait(Seconds(1));
        assert!(clock.now().monotonic - before >= 900);
        assert!(!clock.asked().take());
        drop(clock);
        assert!(call(&path, Call::Look).is_err());
    }

    #[test]
    fn the_wish_to_stop_ends_every_wait() {
        let (asker, mut clock) = clock(None);
        asker.ask().unwrap();
        clock.wait(Seconds(3600));
        clock.wait(Seconds(3600));
    }

    #[test]
    fn time_never_falls_below_its_floor() {
        let later = Timestamp(wall(BUILT).0 + 1_000_000);
        assert_eq!(wall(later), later);
        assert!(wall(Timestamp(0)) >= Timestamp(0));
    }

    #[test]
    fn a_floor_is_remembered_and_only_rises() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("time");
        let day = |n: i64| Timestamp(BUILT.0 + n * STEP);
        let mut floor = TimeFloor::load(&path);
        assert_eq!(floor.at(), BUILT);
        for (raised, held) in [(day(3), day(3)), (day(2), day(3)), (Timestamp(0), day(3))] {
            floor.raise(raised).unwrap();
            assert_eq!(TimeFloor::load(&path).at(), held);
        }
        std::fs::write(&path, "no time").unwrap();
        assert_eq!(TimeFloor::load(&path).at(), BUILT);
    }
}
