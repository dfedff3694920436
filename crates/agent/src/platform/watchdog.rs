//! The hardware's watchdog, fed because the terminal is healthy.
//!
//! A thread of its own looks at the health checks and at the agent's own pulse, and
//! feeds the watchdog while both are well. That it runs is no reason to feed it. A
//! check may fail for as long as the configuration gives it; an agent may be busy with
//! one thing for [`BUSY`] seconds. What is withheld for the watchdog's whole time ends
//! in a reset, which the bootloader counts. Where no release is healthy, resets mend
//! nothing: while an update is written, or a person is at the local page, checks may fail.

use super::clock::Stopwatch;
use super::health::Check;
use crate::edges::Watchdog;
use rustix::io::Errno;
use rustix::ioctl::{self, Updater, opcode};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use types::{Seconds, Text};

/// Seconds that the agent may be busy with one thing.
pub const BUSY: u32 = 900;
/// Seconds for which checks may fail after someone was last seen mending the terminal.
pub const MENDING: u32 = 900;
/// How often in the watchdog's time it is looked whether to feed it.
const LOOKS: u32 = 4;
/// How often the thread looks whether it is to end.
const STEP: Duration = Duration::from_millis(100);
/// The letter that says that closing it is meant (`watchdog-api`).
const STOP: &[u8] = b"V";
/// `WDIOC_SETTIMEOUT` of `linux/watchdog.h`.
const SET_TIMEOUT: ioctl::Opcode = opcode::read_write::<i32>(b'W', 6);

/// A watchdog of Linux. It is opened, which starts it, when it is fed first; where that
/// fails, as it does while another program has it, each feeding tries again.
#[derive(Debug)]
pub struct LinuxWatchdog {
    path: PathBuf,
    time: Seconds,
    open: Option<File>,
}

impl LinuxWatchdog {
    /// The watchdog at `path`, which is to have this time. Nothing is opened.
    pub fn at(path: &Path, time: Seconds) -> Self {
        Self { path: path.into(), time, open: None }
    }

    fn start(&self) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        let mut seconds = i32::try_from(self.time.0).map_err(io::Error::other)?;
        match set_timeout(&file, &mut seconds) {
            Ok(()) => Ok(file),
            Err(e) if e.raw_os_error() == Some(Errno::NOTTY.raw_os_error()) => Err(e),
            Err(e) => {
                // It runs since it was opened, with a time that nobody chose.
                file.write_all(STOP)?;
                Err(e)
            }
        }
    }

    fn named(&self, what: &str, e: &io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("cannot {what} `{}`: {e}", self.path.display()))
    }
}

#[expect(unsafe_code, reason = "rustix has no safe call for a watchdog's time")]
fn set_timeout(file: &File, seconds: &mut i32) -> io::Result<()> {
    // SAFETY: WDIOC_SETTIMEOUT reads one int and writes the time in use into it.
    unsafe { ioctl::ioctl(file, Updater::<SET_TIMEOUT, i32>::new(seconds)) }?;
    Ok(())
}

impl Watchdog for LinuxWatchdog {
    fn feed(&mut self) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.start().map_err(|e| self.named("use", &e))?,
        };
        let fed = file.write_all(b"\0");
        // Closed without the letter, it goes on.
        self.open = Some(file);
        fed.map_err(|e| self.named("feed", &e))
    }

    fn stop(&mut self) -> io::Result<()> {
        let Some(mut file) = self.open.take() else { return Ok(()) };
        file.write_all(STOP).map_err(|e| self.named("stop", &e))
    }
}

/// The agent's sign of life.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug, Default)]
struct Beat {
    turns: AtomicU32,
    rests: AtomicBool,
    mends: AtomicU32,
}

impl Pulse {
    /// The agent did something.
    pub fn beat(&self) {
        self.0.rests.store(false, Ordering::SeqCst);
        self.0.turns.fetch_add(1, Ordering::SeqCst);
    }

    /// The agent waits for something to do.
    pub fn rest(&self) {
        self.0.rests.store(true, Ordering::SeqCst);
    }

    /// What runs is about to be replaced: the agent writes an update, or a person asks for
    /// something.
    pub fn mend(&self) {
        self.0.mends.fetch_add(1, Ordering::SeqCst);
    }
}

/// One check and since when it fails, in milliseconds.
#[derive(Debug)]
struct Watched {
    check: Check,
    since: Option<u64>,
}

/// Decides whether the watchdog is fed.
#[derive(Debug)]
pub struct Vigil {
    checks: Vec<Watched>,
    pulse: Pulse,
    turns: u32,
    turned: u64,
    mends: u32,
    mended: Option<u64>,
}

impl Vigil {
    /// Watches these checks and this pulse.
    pub fn new(checks: Vec<Check>, pulse: Pulse) -> Self {
        let checks = checks.into_iter().map(|check| Watched { check, since: None }).collect();
        Self { checks, pulse, turns: 0, turned: 0, mends: 0, mended: None }
    }

    /// Why the watchdog is not fed at `now`, in milliseconds of a clock that only goes
    /// forward; `None` while all is well.
    pub fn fault(&mut self, now: u64) -> Option<Text> {
        let ill = self.checks.iter_mut().find_map(|watched| watched.fault(now));
        let mended = self.is_mended(now);
        self.hung(now).or_else(|| ill.filter(|_| !mended))
    }

    fn is_mended(&mut self, now: u64) -> bool {
        let mends = self.pulse.0.mends.load(Ordering::SeqCst);
        if mends != self.mends {
            (self.mends, self.mended) = (mends, Some(now));
        }
        self.mended.is_some_and(|at| now.saturating_sub(at) <= u64::from(MENDING) * 1000)
    }

    fn hung(&mut self, now: u64) -> Option<Text> {
        let turns = self.pulse.0.turns.load(Ordering::SeqCst);
        if turns != self.turns || self.pulse.0.rests.load(Ordering::SeqCst) {
            (self.turns, self.turned) = (turns, now);
        }
        let over = now.saturating_sub(self.turned) > u64::from(BUSY) * 1000;
        over.then(|| format!("the agent does one thing for more than {BUSY} s").into())
    }
}

impl Watched {
    /// A check that fails has the time that it is given to pass again.
    fn fault(&mut self, now: u64) -> Option<Text> {
        let Some(fault) = self.check.once() else {
            self.since = None;
            return None;
        };
        let since = *self.since.get_or_insert(now);
        (now.saturating_sub(since) > u64::from(self.check.within.0) * 1000).then_some(fault)
    }
}

/// Why the watchdog is not fed, as the thread sees it that feeds it.
#[derive(Debug, Clone, Default)]
pub struct Unfed(Arc<Mutex<Option<Text>>>);

impl Unfed {
    /// The reason, as a sentence; `None` while it is fed.
    pub fn why(&self) -> Option<String> {
        // What a thread left that panicked is still the last word.
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        why.as_ref().map(ToString::to_string)
    }

    /// Takes down what is so now; `true` when that is new.
    fn note(&self, why: Option<Text>) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *noted != why;
        *noted = why;
        is_new
    }
}

/// Keeps a watchdog in a thread.
#[derive(Debug)]
pub struct Keeper {
    over: Arc<AtomicBool>,
    unfed: Unfed,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Feeds `watchdog`, whose time is `time`, while `vigil` finds no fault; calls `tell`
    /// when it is fed again, or not any more. It runs when this returns, before anything
    /// is checked: a release may hang in its first check.
    pub fn start(
        mut watchdog: Box<dyn Watchdog + Send>,
        vigil: Vigil,
        time: Seconds,
        tell: impl Fn() + Send + 'static,
    ) -> Self {
        let (over, unfed) = (Arc::new(AtomicBool::new(false)), Unfed::default());
        let (seen, noted) = (Arc::clone(&over), unfed.clone());
        let say = move |why| {
            if noted.note(why) {
                match noted.why() {
                    Some(why) => eprintln!("refit-agent: the watchdog is not fed: {why}"),
                    None => eprintln!("refit-agent: the watchdog is fed"),
                }
                tell();
            }
        };
        say(feed(&mut *watchdog));
        let thread = std::thread::spawn(move || keep(watchdog, vigil, time, &seen, say));
        Self { over, unfed, thread }
    }

    /// Why it is not fed.
    pub fn unfed(&self) -> Unfed {
        self.unfed.clone()
    }

    /// Stops the watchdog: the agent ends on purpose. One that ends otherwise leaves it
    /// running, and who starts the agent again has its time to do so.
    pub fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        // A thread that panicked feeds nothing any more, as it should be.
        drop(self.thread.join());
    }
}

/// Why it could not be fed.
fn feed(watchdog: &mut dyn Watchdog) -> Option<Text> {
    watchdog.feed().err().map(|e| e.to_string().as_str().into())
}

fn keep(
    mut watchdog: Box<dyn Watchdog + Send>,
    mut vigil: Vigil,
    time: Seconds,
    over: &AtomicBool,
    say: impl Fn(Option<Text>),
) {
    let (watch, every) = (Stopwatch::start(), u64::from(time.0) * 1000 / u64::from(LOOKS));
    let mut next = 0;
    while !over.load(Ordering::SeqCst) {
        if watch.millis() >= next {
            next = watch.millis() + every;
            let fault = vigil.fault(watch.millis());
            say(fault.or_else(|| feed(&mut *watchdog)));
        }
        std::thread::sleep(STEP);
    }
    if let Err(error) = watchdog.stop() {
        eprintln!("refit-agent: {error}");
    }
}

#[cfg(test)]
mod tests;
