//! `run`: the agent itself.

use super::End;
#[cfg(feature = "upkeep")]
use super::partitions::reset_if_marked;
use super::screen::Screen;
use super::terminal::{self, Sources, Terminal};
use agent::config::Config;
use agent::platform::clock::{self, Stopwatch};
use agent::platform::contain;
use agent::platform::lock::{self, Lock};
use agent::platform::stop::Stop;
use agent::platform::watchdog::{Keeper, Pulse, Unfed};
use agent::{DeviceError, Status, Turn};
use anyhow::{Context, bail};
use engine::Phase;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Milliseconds between two looks at how far it is.
const SAY: u64 = 500;
/// How long commands that only look at the terminal's state may hold it.
const OTHERS: Duration = Duration::from_secs(2);

/// How long an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until it is stopped.
    Stopped,
    /// Until there is nothing to do.
    Idle,
}

/// Runs the agent.
pub(super) fn run(config: &Config, until: Until) -> anyhow::Result<End> {
    terminal::make_directories(config)?;
    let path = terminal::state_file(config, "lock");
    let lock = lock::take_within(&path, OTHERS).context("cannot lock the state directory")?;
    let Some(_lock) = lock else { bail!("another agent runs on this terminal") };
    terminal::lock_media(config);
    let stop = Stop::on_signals().context("cannot listen to signals")?;
    let calls = clock::listen_for_calls(&terminal::wake_path(config));
    let calls = calls.context("cannot listen to calls")?;
    let mut terminal = terminal::assemble(config, Sources::All, &stop, Some(calls))?;
    #[cfg(feature = "upkeep")]
    if let Some(end) = reset_if_marked(config, terminal.device.is_idle())? {
        return Ok(end);
    }
    for gap in contain::gaps() {
        eprintln!("refit-agent: the worker is contained less than it could be: {gap}");
    }
    let pulse = Pulse::default();
    let keeper = terminal::keep_watchdog(config, &pulse);
    #[cfg(feature = "page")]
    open_page(config, &pulse)?;
    #[cfg(feature = "dbus")]
    join_bus(config)?;
    let unfed = keeper.as_ref().map(Keeper::unfed).unwrap_or_default();
    let mut told = Told::new(terminal::status_path(config), unfed);
    let mut screen = Screen::new(config);
    // Whoever started this waits for its first word.
    told.tell_now(&mut terminal, None)?;
    while !stop.asked() {
        pulse.beat();
        let turn = terminal.device.step();
        told.tell(&mut terminal, &turn)?;
        match turn {
            Ok(Turn::Moved) if is_writing(&terminal) => pulse.mend(),
            Ok(Turn::Moved) => {}
            Ok(Turn::Idle) if until == Until::Idle => break,
            Ok(turn) if screen.ask(&mut terminal.device, turn)? => {}
            _ => {
                pulse.rest();
                rest(&mut terminal)?;
            }
        }
    }
    told.tell_now(&mut terminal, None)?;
    if let Some(keeper) = keeper {
        keeper.stop();
    }
    Ok(End::Done)
}

/// Whether what runs next is being fetched, written or looked at.
fn is_writing(terminal: &Terminal) -> bool {
    matches!(terminal.device.state().phase(), Phase::Downloading | Phase::Verifying)
}

#[cfg(feature = "page")]
fn open_page(config: &Config, pulse: &Pulse) -> anyhow::Result<()> {
    let Some(page) = &config.page else { return Ok(()) };
    let upload = page.upload.clone();
    let setup = agent::page::Setup {
        desk: terminal::desk(config)?,
        listen: page.listen,
        hosts: page.hosts.clone(),
        password_file: page.password_file.clone(),
        upload: upload.unwrap_or_else(|| terminal::state_file(config, "upload.zip")),
        upload_limit: u64::from(page.upload_mib) << 20,
        pulse: pulse.clone(),
    };
    agent::page::serve(setup).context("cannot start a thread for the local page")
}

#[cfg(feature = "dbus")]
fn join_bus(config: &Config) -> anyhow::Result<()> {
    let Some(dbus) = &config.dbus else { return Ok(()) };
    let desk = terminal::desk(config)?;
    agent::bus::serve(desk, dbus.bus.clone()).context("cannot start a thread for the bus")
}

/// Takes the lock that makes this the only agent; `None` when there is another one.
pub(super) fn lock(config: &Config) -> anyhow::Result<Option<Lock>> {
    lock::take(&terminal::state_file(config, "lock")).context("cannot lock the state directory")
}

fn rest(terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.device.rest();
    if terminal.asked.take() {
        terminal.device.rest_no_longer();
        terminal.device.ask_all().context("cannot ask the sources")?;
    }
    Ok(())
}

/// What was said about the terminal, on standard error and in the status file.
struct Told {
    path: PathBuf,
    watch: Stopwatch,
    last: Option<Said>,
    unfed: Unfed,
}

#[derive(PartialEq)]
struct Said {
    phase: String,
    waiting: Option<String>,
    trouble: Option<String>,
}

impl Told {
    fn new(path: PathBuf, unfed: Unfed) -> Self {
        Self { path, watch: Stopwatch::start(), last: None, unfed }
    }

    /// Tells what is new, and how far it is now and then.
    fn tell(
        &mut self,
        terminal: &mut Terminal,
        turn: &Result<Turn, DeviceError>,
    ) -> anyhow::Result<()> {
        let trouble = turn.as_ref().err().map(|error| ErrorChain(error).to_string());
        if let Some(trouble) = &trouble {
            eprintln!("refit-agent: {trouble}");
        }
        let moved = matches!(turn, Ok(Turn::Moved));
        let phase = terminal.device.state().phase().as_str();
        let same = self.last.as_ref().is_some_and(|last| last.phase == phase);
        if moved && same && self.watch.millis() < SAY {
            return Ok(());
        }
        self.tell_now(terminal, trouble)
    }

    /// Tells how it is; `trouble` is what the last step came to grief with.
    fn tell_now(&mut self, terminal: &mut Terminal, trouble: Option<String>) -> anyhow::Result<()> {
        self.watch = Stopwatch::start();
        let mut status = terminal.device.status().context("cannot say what goes on")?;
        status.trouble = trouble.or(status.trouble);
        status.watchdog = self.unfed.why();
        write_status(&self.path, &status)?;
        let said = Said {
            phase: status.phase.to_string(),
            waiting: status.waiting.clone(),
            trouble: status.trouble.clone(),
        };
        if self.last.as_ref() != Some(&said) {
            eprintln!("refit-agent: {}", line(&status));
        }
        self.last = Some(said);
        Ok(())
    }
}

fn line(status: &Status) -> String {
    let mut line = status.phase.to_string();
    if let Some(version) = &status.version {
        line.push_str(&format!(" {version}"));
    }
    for why in [&status.waiting, &status.trouble].into_iter().flatten() {
        line.push_str(&format!("; {why}"));
    }
    line
}

/// Replaces the status file; it need not survive.
pub(super) fn write_status(path: &Path, status: &Status) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let bytes = serde_json::to_vec(status)?;
    std::fs::write(&new, bytes)
        .and_then(|()| std::fs::rename(&new, path))
        .context("cannot say what goes on")
}

/// An error and its causes, in one line.
struct ErrorChain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
