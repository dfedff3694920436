//! Refit: the real server, and a new terminal for each installation.

use super::cost::{Cost, Meter, Watch};
use super::memory::Places;
use super::workshop::{VERSION, Workshop};
use crate::operator::Operator;
use crate::process::Running;
use crate::terminal::{Factory, ReadBack, Server, Settings, Terminal};
use agent::platform::power::EXIT_RESTART;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use types::Slot;

/// How long the server waits for terminals that are never restarted.
const PATIENCE: &str = "86400";

/// A server with a rollout for every terminal.
pub(super) struct Refit<'a> {
    workshop: &'a Workshop,
    operator: Operator,
    tokens: Vec<String>,
}

impl<'a> Refit<'a> {
    /// Publishes the release, for `terminals` at most.
    pub(super) fn start(workshop: &'a Workshop, terminals: usize) -> Result<Self> {
        let folder = workshop.empty("server")?;
        let operator = Operator::start(&workshop.programs, &folder, &workshop.root())?;
        operator.publish(&workshop.zip())?;
        let tokens = operator.tokens(terminals)?;
        let options = ["--wave", "100%", "--not-back", PATIENCE];
        operator.roll_out("bench", VERSION, &options)?;
        Ok(Self { workshop, operator, tokens })
    }

    /// A terminal without history asks, installs, and wants to be restarted.
    pub(super) fn install(&mut self, read_back: ReadBack, watch: Watch) -> Result<Cost> {
        let token = self.tokens.pop().context("no token is left")?;
        let name = format!("terminal-{}", self.tokens.len());
        let terminal = self.terminal(&name, &token, read_back)?;
        let folder = terminal.file("");
        let slot = terminal.slot(Slot::B);
        self.workshop.wipe(&slot)?;
        let slots = vec![terminal.slot(Slot::A), slot.clone(), terminal.file("log")];
        let temporary = self.workshop.empty("tmp-refit")?;
        let places = Places { temporary, records: folder.clone(), slots };
        let cost = self.run(&terminal, &places, watch);
        let cost = cost.with_context(|| format!("see {}", terminal.file("log").display()))?;
        self.workshop.check(&slot)?;
        std::fs::remove_dir_all(&folder)?;
        Ok(cost)
    }

    fn run(&self, terminal: &Terminal, places: &Places, watch: Watch) -> Result<Cost> {
        let mut command = terminal.agent_command(&["run"]);
        command.env_clear().env("TMPDIR", &places.temporary);
        let meter = Meter::start(watch, places)?;
        let mut agent = Running::of(&mut command, &terminal.file("log"))?;
        meter.watch(agent.id());
        let status = agent.wait()?;
        let wall = meter.elapsed();
        let cost = meter.finish(wall)?;
        ensure!(status.code() == Some(EXIT_RESTART.into()), "it ended with {status}");
        Ok(cost)
    }

    fn terminal(&self, name: &str, token: &str, read_back: ReadBack) -> Result<Terminal> {
        let folder: PathBuf = self.workshop.folder.join("terminals");
        let settings = Settings { read_back, ..Settings::default() };
        let factory = Factory {
            programs: &self.workshop.programs,
            root: &self.workshop.root(),
            image: &self.workshop.factory(),
            version: "1.0.0",
            slot_size: self.workshop.size,
            server: Some(Server { url: self.operator.address(), ca: &self.operator.ca(), token }),
            settings: &settings,
        };
        Terminal::make(name, &folder, &factory)
    }
}
