//! `agree`, `postpone`, `decline`: the owner's answer to the update in progress.

use super::End;
use super::look;
use super::switch::{change, is_activated};
use super::terminal;
use agent::config::Config;
use agent::owner::{Meaning, Word};
use types::Seconds;

/// `agree`
pub(super) fn agree(config: &Config, when: &str) -> anyhow::Result<End> {
    say(config, Word::read(when, &config.rules())?)
}

/// `postpone`
pub(super) fn postpone(config: &Config, hours: u32) -> anyhow::Result<End> {
    say(config, Word::Postpone(Seconds(hours.saturating_mul(3600))))
}

/// `decline`
pub(super) fn decline(config: &Config) -> anyhow::Result<End> {
    say(config, Word::Decline)
}

/// Leaves the owner's word for the agent.
fn say(config: &Config, word: Word) -> anyhow::Result<End> {
    let (seen, _) = look::seen(config)?;
    let Some(attempt) = seen.attempt else {
        println!("there is no update in progress");
        return Ok(End::Nothing);
    };
    if is_activated(&seen.phase) {
        println!("too late: the update is activated already; `refit-agent rollback` undoes it");
        return Ok(End::Nothing);
    }
    let rules = config.rules();
    let store = terminal::store(config)?;
    let ask = agent::owner::ask(&store, attempt)?;
    let answer = word.answer(&rules, &ask, terminal::now(config))?;
    change(config, |switches| switches.say(attempt, answer))?;
    println!("{}", Meaning(answer, &rules));
    Ok(End::Done)
}
