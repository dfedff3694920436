//! What the agent says of its terminal while it runs: a line on standard error when
//! something is new, and the status file.

use super::terminal::Terminal;
use agent::platform::clock::Stopwatch;
use agent::platform::watchdog::Unfed;
use agent::{DeviceError, Status, Turn};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Milliseconds between two looks at how far it is.
const SAY: u64 = 500;
/// What was said about the terminal, on standard error and in the status file.
pub(super) struct Told {
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
    pub(super) fn new(path: PathBuf, unfed: Unfed) -> Self {
        Self { path, watch: Stopwatch::start(), last: None, unfed }
    }

    /// Tells what is new, and how far it is now and then.
    pub(super) fn tell(
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
    pub(super) fn tell_now(
        &mut self,
        terminal: &mut Terminal,
        trouble: Option<String>,
    ) -> anyhow::Result<()> {
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
