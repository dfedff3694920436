//! The owner's switches and words: left as documents, and the agent is called.

use super::End;
use super::look::{self, Agent};
use super::terminal;
use agent::Switches;
use agent::config::Config;
use agent::edges::Power;
use agent::platform::clock::{self, Call};
use agent::platform::health::Word;
use anyhow::Context;
use engine::policy::consent::Answer;
use types::AttemptId;

/// What the agent does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Automatic {
    /// Asking the server.
    Check,
    /// Installing what was ordered.
    Install,
}

/// Whether it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnOff {
    /// The agent does it by itself.
    On,
    /// Only when someone says so.
    Off,
}

/// Calls the agent; that none runs is no error: it reads the documents when it starts.
fn call(config: &Config, what: Call) -> bool {
    clock::call(&terminal::wake_path(config), what).is_ok()
}

/// Changes the switches and calls the agent.
pub(super) fn change(config: &Config, change: impl FnOnce(&mut Switches)) -> anyhow::Result<()> {
    let changed = terminal::store(config)?.change(Switches::NAME, change);
    changed.context("cannot change the switches")?;
    call(config, Call::Look);
    Ok(())
}

/// Who orders `attempt` by hand agrees to it, and wants it now.
pub(super) fn agree(config: &Config, attempt: AttemptId) -> anyhow::Result<()> {
    change(config, |switches| switches.say(attempt, Answer::Now))
}

/// `check`
pub(super) fn check(config: &Config) -> anyhow::Result<End> {
    if call(config, Call::Ask) {
        println!("the agent asks its sources now; `refit-agent status --why` tells what they say");
        return Ok(End::Done);
    }
    println!("the agent does not run: `refit-agent run` starts it");
    Ok(End::Nothing)
}

/// `pause`
pub(super) fn pause(config: &Config) -> anyhow::Result<End> {
    change(config, |switches| switches.paused = true)?;
    println!("paused: nothing is fetched or written until `refit-agent resume`");
    Ok(End::Done)
}

/// `resume`
pub(super) fn resume(config: &Config) -> anyhow::Result<End> {
    let (seen, _) = look::seen(config)?;
    change(config, |switches| {
        switches.paused = false;
        if let Some(attempt) = seen.attempt.filter(|_| seen.why.as_deref() == Some("consent")) {
            switches.say(attempt, Answer::Yes);
        }
    })?;
    println!("resumed");
    Ok(End::Done)
}

/// `cancel`
pub(super) fn cancel(config: &Config) -> anyhow::Result<End> {
    let (seen, _) = look::seen(config)?;
    let Some(attempt) = seen.attempt else {
        println!("there is no update in progress");
        return Ok(End::Nothing);
    };
    if is_activated(&seen.phase) {
        println!("too late: the update is activated already; `refit-agent rollback` undoes it");
        return Ok(End::Nothing);
    }
    change(config, |switches| switches.declined = Some(attempt))?;
    println!("the update is given up");
    Ok(End::Done)
}

/// From here on a terminal must reach one release or the other.
pub(super) fn is_activated(phase: &str) -> bool {
    matches!(phase, "applying" | "rebooting" | "confirming" | "rollback" | "reporting")
}

/// `automatic`
pub(super) fn automatic(config: &Config, what: Automatic, to: OnOff) -> anyhow::Result<End> {
    let on = to == OnOff::On;
    change(config, |switches| match what {
        Automatic::Check => switches.automatic_check = on,
        Automatic::Install => switches.automatic_install = on,
    })?;
    println!("done");
    Ok(End::Done)
}

/// `confirm`
pub(super) fn confirm(config: &Config) -> anyhow::Result<End> {
    say(config, Word::Confirm, "the release on trial stays")
}

/// `rollback`
pub(super) fn rollback(config: &Config) -> anyhow::Result<End> {
    say(config, Word::Rollback, "the terminal returns to the release before")
}

/// Leaves a word for the health check of the release on trial.
fn say(config: &Config, word: Word, done: &str) -> anyhow::Result<End> {
    let (seen, agent) = look::seen(config)?;
    if !matches!(&*seen.phase, "applying" | "rebooting" | "confirming") {
        println!("no release is on trial: {}", seen.phase);
        return Ok(End::Nothing);
    }
    let boot = terminal::power(config).boot_id().context("cannot name this boot")?;
    word.say(&mut terminal::store(config)?, boot).context("cannot leave word for the agent")?;
    call(config, Call::Look);
    match agent {
        Agent::Runs => println!("{done}"),
        Agent::DoesNot => println!("{done}, as soon as the agent runs"),
    }
    Ok(End::Done)
}
