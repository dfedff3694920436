//! The demo's server and terminals.

use super::prepare::{FACTORY, Releases};
use super::show::{Show, runs};
use crate::boot::BootLoop;
use crate::clock::now;
use crate::operator::Operator;
use crate::process::Programs;
use crate::terminal::{Factory, Server, Settings, Terminal};
use anyhow::{Result, bail, ensure};
use protocols::operator::AttemptView;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::Outcome;

/// How long the fleet may take to say what it runs.
const SEEN: Duration = Duration::from_secs(120);
/// How often the operator looks for them.
const LOOK: Duration = Duration::from_millis(200);

/// Bytes per second that each terminal fetches, so that there is something to watch
/// and the storm has something to strike.
const BANDWIDTH: u32 = 5 << 20;
/// Lines of a terminal's log that are shown when something went wrong.
const TAIL: usize = 12;

/// The server and all terminals, running.
pub(super) struct Fleet {
    // Terminals first: they are switched off before the server goes.
    pub(super) terminals: Vec<BootLoop>,
    pub(super) operator: Operator,
    /// What the server keeps in a folder of its own.
    pub(super) data: PathBuf,
}

impl Fleet {
    /// Starts the server and `count` terminals that run the factory's image.
    pub(super) fn start(
        programs: &Programs,
        folder: &Path,
        releases: &Releases,
        count: usize,
        options: &[String],
    ) -> Result<Self> {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let place = folder.join("server");
        let operator = Operator::start_with(programs, &place, &releases.root, &options)?;
        let ca = operator.ca();
        let mut terminals = Vec::new();
        for (index, token) in operator.tokens(count)?.iter().enumerate() {
            let server = Server { url: operator.address(), ca: &ca, token };
            let settings = Settings { bandwidth: BANDWIDTH, ..Settings::default() };
            let factory = Factory {
                programs,
                root: &releases.root,
                image: &releases.factory,
                version: FACTORY,
                slot_size: releases.slot_size,
                server: Some(server),
                settings: &settings,
            };
            let name = format!("terminal-{:02}", index + 1);
            terminals.push(BootLoop::start(Terminal::make(&name, folder, &factory)?));
        }
        Ok(Self { terminals, operator, data: place })
    }

    /// How many terminals there are.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.terminals.len()).unwrap_or(u32::MAX)
    }

    /// Waits until every terminal is enrolled and has said what it runs.
    pub(super) fn wait_for_all(&self, show: &Show) -> Result<()> {
        self.wait_for_version(FACTORY, show)?;
        show.say(&format!("{} terminals enrolled; they run {FACTORY}", self.terminals.len()));
        Ok(())
    }

    /// Waits until every terminal says that it runs `version`.
    pub(super) fn wait_for_version(&self, version: &str, show: &Show) -> Result<()> {
        let began = now();
        loop {
            let devices = self.operator.devices()?;
            let there = devices.iter().filter(|view| runs(view) == version).count();
            if there == self.terminals.len() {
                return Ok(());
            }
            self.check()?;
            let all = self.terminals.len();
            ensure!(now() - began < SEEN, "only {there} of {all} terminals run {version}");
            show.pause(LOOK)?;
        }
    }

    /// Prints what is known of terminals that are not well, for whoever has to find
    /// out why.
    pub(super) fn tell_troubles(&self) {
        for terminal in &self.terminals {
            let terminal = terminal.terminal();
            let Ok(detail) = self.operator.device(terminal.name()) else { continue };
            let failed = |a: &&AttemptView| a.outcome.is_some_and(|o| o != Outcome::Ok);
            for attempt in detail.attempts.iter().filter(failed).take(1) {
                eprintln!("{}: {}: {}", terminal.name(), attempt.version, attempt.detail);
                let log = std::fs::read_to_string(terminal.file("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
                tail.iter().for_each(|line| eprintln!("  {line}"));
            }
        }
    }

    /// Whether all boot loops are still at it.
    pub(super) fn check(&self) -> Result<()> {
        for terminal in &self.terminals {
            if let Some(fault) = terminal.fault() {
                bail!("{} cannot go on: {fault}", terminal.terminal().name());
            }
        }
        Ok(())
    }
}
