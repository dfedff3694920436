//! What is around the agent: health checks, power, watchdog, worker.

use crate::platform::health::{Check, NeedsNetwork};
use crate::platform::probe::{Moves, Probe};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use types::Seconds;

/// How the release's health is found out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// What has to pass.
    pub checks: Vec<HealthCheck>,
    /// Seconds in which someone has to say `confirm`; 0 when nobody has to.
    pub by_hand_within: u32,
}

/// One check. Exactly one of `command`, `unit`, `tcp`, `http` and `counter` is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Program and arguments; it has to end with status 0.
    #[serde(default)]
    pub command: Vec<String>,
    /// A unit of systemd, which has to be active.
    pub unit: Option<String>,
    /// Address and port that have to accept a connection.
    pub tcp: Option<SocketAddr>,
    /// A page, `http://ADDRESS:PORT/PATH`, that has to answer.
    pub http: Option<String>,
    /// With which status; with any from 200 to 299 where nothing is said.
    pub status: Option<u16>,
    /// A file with a number.
    pub counter: Option<PathBuf>,
    /// How that number has to move.
    #[serde(default)]
    pub moves: MovesWord,
    /// In how many seconds.
    #[serde(default = "ten")]
    pub over_seconds: u32,
    /// Seconds within which it has to pass.
    pub within_seconds: u32,
    /// Seconds between two looks; 0 for half a second.
    #[serde(default)]
    pub every_seconds: u32,
    /// How many looks in a row have to find it well.
    #[serde(default = "one")]
    pub successes: u32,
    /// It can only pass with a network, and says nothing while there is none.
    #[serde(default)]
    pub needs_network: bool,
}

/// How a counter has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovesWord {
    /// It has to grow.
    #[default]
    Grows,
    /// It has to stay as it is.
    Stands,
}

fn ten() -> u32 {
    10
}

fn one() -> u32 {
    1
}

impl HealthCheck {
    /// What it looks at.
    fn probe(&self) -> Result<Probe, String> {
        let mut probes = Vec::new();
        if !self.command.is_empty() {
            probes.push(Probe::Command(self.command.clone()));
        }
        probes.extend(self.unit.clone().map(Probe::Unit));
        probes.extend(self.tcp.map(Probe::Tcp));
        if let Some(url) = &self.http {
            probes.push(Probe::Http(url.parse()?, self.status));
        }
        let moves = match self.moves {
            MovesWord::Grows => Moves::Grows,
            MovesWord::Stands => Moves::Stands,
        };
        let counter = |file: PathBuf| Probe::Counter(file, moves, Seconds(self.over_seconds));
        probes.extend(self.counter.clone().map(counter));
        match (probes.pop(), probes.is_empty()) {
            (Some(probe), true) => Ok(probe),
            _ => Err("it looks at none or several of command, unit, tcp, http, counter".into()),
        }
    }

    fn check(&self) -> Result<Check, String> {
        if self.counter.is_some() && self.over_seconds >= self.within_seconds {
            return Err("`over_seconds` is not less than `within_seconds`".into());
        }
        if self.status.is_some() && self.http.is_none() {
            return Err("`status` is for `http` only".into());
        }
        Ok(Check {
            probe: self.probe()?,
            within: Seconds(self.within_seconds),
            every: Seconds(self.every_seconds),
            successes: self.successes.max(1),
            network: if self.needs_network { NeedsNetwork::Yes } else { NeedsNetwork::No },
        })
    }
}

impl Health {
    /// The checks. Those of a configuration that was loaded are sound.
    pub fn checks(&self) -> Vec<Check> {
        self.checks.iter().filter_map(|check| check.check().ok()).collect()
    }

    /// The first check that is none.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = |(place, check): (usize, &HealthCheck)| {
            let why = check.check().err()?;
            Some(format!("health check {}: {why}", place + 1))
        };
        self.checks.iter().enumerate().find_map(fault)
    }
}

/// How the terminal is restarted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Power {
    /// Program and arguments; where there is none, the agent ends with status 100.
    pub restart: Vec<String>,
    /// A file that names the boot, where the kernel does not.
    pub boot_id_file: Option<PathBuf>,
}

/// The hardware's watchdog. It is fed while the health checks pass.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// The device.
    #[serde(default = "watchdog")]
    pub device: PathBuf,
    /// Seconds after which it resets the terminal.
    #[serde(default = "minute")]
    pub timeout_seconds: u32,
}

/// The unprivileged worker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// The user it becomes, when the agent is root.
    pub user: String,
}

impl Default for Worker {
    fn default() -> Self {
        Self { user: "nobody".into() }
    }
}

fn watchdog() -> PathBuf {
    "/dev/watchdog".into()
}

fn minute() -> u32 {
    60
}
