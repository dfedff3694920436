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
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// A watchdog that tells what is done with it.
    struct Fake(Sender<&'static str>);

    impl Watchdog for Fake {
        fn feed(&mut self) -> io::Result<()> {
            self.0.send("fed").map_err(io::Error::other)
        }
        fn stop(&mut self) -> io::Result<()> {
            self.0.send("stopped").map_err(io::Error::other)
        }
    }

    fn exists(path: &Path, within: u32) -> Check {
        let command = vec!["/usr/bin/test".into(), "-e".into(), path.display().to_string()];
        Check::command(command, Seconds(within))
    }

    #[test]
    fn a_check_that_fails_for_long_withholds() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("healthy");
        std::fs::write(&mark, "").unwrap();
        let mut vigil = Vigil::new(vec![exists(&mark, 10)], Pulse::default());
        assert_eq!(vigil.fault(0), None);
        std::fs::remove_file(&mark).unwrap();
        assert_eq!(vigil.fault(20_000), None);
        assert_eq!(vigil.fault(30_000), None);
        assert!(vigil.fault(30_001).is_some());
        std::fs::write(&mark, "").unwrap();
        assert_eq!(vigil.fault(31_000), None);
        std::fs::remove_file(&mark).unwrap();
        assert_eq!(vigil.fault(90_000), None, "it may fail anew");
    }

    #[test]
    fn who_mends_is_not_interrupted_by_a_check() {
        let pulse = Pulse::default();
        pulse.rest();
        let mut vigil = Vigil::new(vec![exists(Path::new("/no/such"), 10)], pulse.clone());
        let mending = u64::from(MENDING) * 1000;
        assert_eq!(vigil.fault(0), None);
        pulse.mend();
        assert_eq!(vigil.fault(10_001), None);
        assert_eq!(vigil.fault(10_001 + mending), None);
        assert!(vigil.fault(10_002 + mending).is_some(), "it is fed for health after that");
        pulse.mend();
        pulse.beat();
        assert_eq!(vigil.fault(20_000 + mending), None);
        let hung = 20_001 + mending + u64::from(BUSY) * 1000;
        pulse.mend();
        assert!(vigil.fault(hung).is_some(), "an agent that hangs mends nothing");
    }

    #[test]
    fn an_agent_that_hangs_withholds() {
        let pulse = Pulse::default();
        let mut vigil = Vigil::new(Vec::new(), pulse.clone());
        let busy = u64::from(BUSY) * 1000;
        pulse.beat();
        assert_eq!(vigil.fault(5), None);
        assert_eq!(vigil.fault(busy + 5), None);
        assert!(vigil.fault(busy + 6).is_some());
        pulse.beat();
        assert_eq!(vigil.fault(busy + 7), None);
        pulse.rest();
        assert_eq!(vigil.fault(9 * busy), None, "resting is no hanging");
        pulse.beat();
        assert_eq!(vigil.fault(9 * busy + 1), None);
        assert!(vigil.fault(11 * busy).is_some());
    }

    #[test]
    fn it_is_fed_while_all_is_well_and_stopped_at_the_end() {
        let (sender, heard) = channel();
        let dir = tempfile::tempdir().unwrap();
        let vigil = Vigil::new(vec![exists(dir.path(), 0)], Pulse::default());
        let keeper = Keeper::start(Box::new(Fake(sender)), vigil, Seconds(0), || {});
        assert_eq!(heard.recv(), Ok("fed"));
        assert_eq!(heard.recv(), Ok("fed"));
        keeper.stop();
        assert_eq!(heard.iter().last(), Some("stopped"));
    }

    #[test]
    fn it_runs_before_anything_is_checked() {
        struct First(std::path::PathBuf, Sender<bool>);
        impl Watchdog for First {
            fn feed(&mut self) -> io::Result<()> {
                self.1.send(self.0.exists()).map_err(io::Error::other)
            }
            fn stop(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("checked");
        let command = vec!["/usr/bin/touch".into(), mark.display().to_string()];
        let vigil = Vigil::new(vec![Check::command(command, Seconds(0))], Pulse::default());
        let (sender, checked) = channel();
        let keeper = Keeper::start(Box::new(First(mark, sender)), vigil, Seconds(0), || {});
        assert_eq!(checked.recv(), Ok(false), "it runs");
        assert_eq!(checked.recv(), Ok(true), "it is fed because of a check");
        keeper.stop();
    }

    /// As long as another program has it, and as soon as that lets go.
    #[test]
    fn one_that_another_program_has_is_tried_again() {
        struct Held(Arc<AtomicBool>, Sender<&'static str>);
        impl Watchdog for Held {
            fn feed(&mut self) -> io::Result<()> {
                if self.0.load(Ordering::SeqCst) {
                    self.1.send("tried").map_err(io::Error::other)?;
                    return Err(io::Error::other("it is held"));
                }
                self.1.send("fed").map_err(io::Error::other)
            }
            fn stop(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, heard) = channel();
        let held = Arc::new(AtomicBool::new(true));
        let vigil = Vigil::new(Vec::new(), Pulse::default());
        let watchdog = Box::new(Held(Arc::clone(&held), sender));
        let (told, news) = channel();
        let keeper = Keeper::start(watchdog, vigil, Seconds(0), move || told.send(()).unwrap());
        let unfed = keeper.unfed();
        assert_eq!((heard.recv(), heard.recv()), (Ok("tried"), Ok("tried")));
        assert_eq!(unfed.why().as_deref(), Some("it is held"));
        held.store(false, Ordering::SeqCst);
        // One telling of what holds it, one of that it is fed.
        assert_eq!((news.recv(), news.recv()), (Ok(()), Ok(())));
        assert_eq!(unfed.why(), None);
        keeper.stop();
        assert!(news.recv().is_err());
    }

    #[test]
    fn what_is_no_watchdog_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watchdog");
        let mut watchdog = LinuxWatchdog::at(&path, Seconds(30));
        for _ in 0..2 {
            let refused = watchdog.feed().unwrap_err().to_string();
            assert!(refused.contains("cannot use `") && refused.contains("watchdog"), "{refused}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(watchdog.feed().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        watchdog.stop().unwrap();
    }
}
