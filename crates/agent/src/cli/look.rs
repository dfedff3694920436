//! `status`: what runs, what goes on, and why nothing more does.

use super::End;
use super::terminal::{self, Sources};
use agent::config::Config;
use agent::platform::stop::by_hand;
use agent::{Said, Status};
use anyhow::Context;
use types::tree;

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Short,
    Why,
    Json,
}

impl Form {
    pub(super) fn new(why: bool, json: bool) -> Self {
        match (why, json) {
            (_, true) => Self::Json,
            (true, false) => Self::Why,
            (false, false) => Self::Short,
        }
    }
}

/// Says what goes on.
pub(super) fn status(config: &Config, form: Form) -> anyhow::Result<End> {
    let (json, agent) = current(config)?;
    if form == Form::Json {
        let mut value: serde_json::Value = tree::from_json(&json)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("agent_runs".into(), (agent == Agent::Runs).into());
        }
        println!("{value}");
        return Ok(End::Done);
    }
    let seen: Status = tree::from_json(&json).context("cannot read the status")?;
    print!("{}", people(&seen, agent, form));
    Ok(End::Done)
}

/// Whether an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    Runs,
    DoesNot,
}

/// The status: what a running agent wrote, or what its records say.
pub(super) fn current(config: &Config) -> anyhow::Result<(Vec<u8>, Agent)> {
    terminal::make_directories(config)?;
    let Some(_lock) = terminal::lock(config)? else {
        let json = std::fs::read(terminal::status_path(config));
        return Ok((json.context("the agent has not said anything yet")?, Agent::Runs));
    };
    let (_, stop) = by_hand::stop()?;
    let mut terminal = terminal::assemble(config, Sources::Local, &stop, None)?;
    Ok((serde_json::to_vec(&terminal.device.status()?)?, Agent::DoesNot))
}

/// The status as read.
pub(super) fn seen(config: &Config) -> anyhow::Result<(Status, Agent)> {
    let (json, agent) = current(config)?;
    Ok((tree::from_json(&json).context("cannot read the status")?, agent))
}

fn people(seen: &Status, agent: Agent, form: Form) -> String {
    let mut out = format!("{} ({}), slot {}\n", seen.device, seen.product, seen.slot);
    for (component, state) in &seen.running {
        out.push_str(&format!("  {component} {}\n", state.version));
    }
    out.push_str(&doing(seen));
    if agent == Agent::DoesNot {
        out.push_str("the agent does not run: `refit-agent run` starts it\n");
    }
    if form == Form::Why {
        out.push_str(&why(seen));
    }
    out
}

fn time(said: &Said) -> String {
    said.at.map_or_else(|| "log".into(), |at| at.to_string())
}

fn doing(seen: &Status) -> String {
    let version = seen.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let far = match seen.total {
        0 => String::new(),
        total => format!(", {} % of {} MiB", seen.done.saturating_mul(100) / total, total >> 20),
    };
    format!("{}{version}{far}\n", seen.phase)
}

/// Every reason there is, as sentences.
fn why(seen: &Status) -> String {
    let mut out = String::new();
    let mut say = |sentence: &str| out.push_str(&format!("  {sentence}\n"));
    if let Some(waiting) = &seen.waiting {
        say(waiting);
    }
    if let Some(trouble) = &seen.trouble {
        say(trouble);
    }
    if let Some(watchdog) = &seen.watchdog {
        say(&format!("the watchdog is not fed: {watchdog}"));
    }
    if let Some(rule) = &seen.rule {
        say(&format!("the server says: {rule}"));
    }
    if seen.switches.paused {
        say("updates are paused; `refit-agent resume` continues");
    }
    if !seen.switches.automatic_check {
        say("the server is asked only by `refit-agent check`");
    }
    if !seen.switches.automatic_install {
        say("updates are installed only after `refit-agent resume`");
    }
    if let Some(last) = &seen.last {
        let version = last.version.as_ref().map_or("an update", |version| version.as_str());
        say(&format!("last: {version}: {} ({})", last.outcome.sentence(), last.outcome.code()));
        if !last.detail.as_str().is_empty() {
            say(&format!("      {}", last.detail));
        }
    }
    for said in &seen.log.entries {
        for line in said.lines() {
            say(&format!("{} {}: {line}", time(said), said.phase));
        }
    }
    if seen.undelivered > 0 {
        say(&format!("{} reports are not delivered yet", seen.undelivered));
    }
    out
}
