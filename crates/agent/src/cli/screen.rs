//! The owner's own screen: a program of the maker that is told what is offered and
//! says what the owner said. Its words are those of `refit-agent agree`.

use super::switch::change;
use agent::config::Config;
use agent::owner::{self, Meaning, Word};
use agent::platform::clock::Stopwatch;
use agent::platform::program::{self, Ended};
use agent::{Device, Turn};
use anyhow::Context;
use engine::Reason;
use engine::policy::consent::{Class, deadline, may_decline, may_postpone};

/// Asks the owner while an update waits for that.
pub(super) struct Screen<'a> {
    config: &'a Config,
    asked: Option<Stopwatch>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, asked: None }
    }

    /// Asks, when that is due; says whether there is an answer.
    pub(super) fn ask(&mut self, device: &mut Device, turn: Turn) -> anyhow::Result<bool> {
        let senses = &self.config.senses;
        let again = u64::from(senses.every_seconds) * 1000;
        let due = self.asked.is_none_or(|asked| asked.millis() >= again);
        if turn != Turn::Waiting(Reason::AwaitingConsent) || senses.consent.is_empty() || !due {
            return Ok(false);
        }
        self.asked = Some(Stopwatch::start());
        let told = tell(self.config, device)?;
        let variables: Vec<(&str, &str)> =
            told.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ended = program::run(&senses.consent, &variables, senses.limit());
        match ended.as_ref().map(Ended::words) {
            Ok(Some(words)) if !words.is_empty() => hear(self.config, device, words),
            // The owner has not answered yet.
            Ok(_) => Ok(false),
            Err(error) => {
                eprintln!("refit-agent: cannot ask the owner: {error}");
                Ok(false)
            }
        }
    }
}

/// What the program is told, by its environment.
fn tell(config: &Config, device: &mut Device) -> anyhow::Result<Vec<(&'static str, String)>> {
    let status = device.status().context("cannot say what is offered")?;
    let attempt = status.attempt.unwrap_or_default();
    let store = super::terminal::store(config)?;
    let ask = owner::ask(&store, attempt).context("cannot read the owner's answer")?;
    let (rules, now) = (config.rules(), super::terminal::now(config));
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    let class = if ask.class == Class::Security { "security" } else { "feature" };
    let end = deadline(&rules, &ask).map(|end| rules.zone.show(end));
    Ok(vec![
        ("REFIT_ATTEMPT", attempt.to_string()),
        ("REFIT_VERSION", status.version.map(|version| version.to_string()).unwrap_or_default()),
        ("REFIT_CLASS", class.into()),
        ("REFIT_BYTES", status.total.to_string()),
        ("REFIT_MAY_POSTPONE", yes_no(may_postpone(&rules, &ask, now))),
        ("REFIT_MAY_DECLINE", yes_no(may_decline(&rules, &ask))),
        ("REFIT_DEADLINE", end.unwrap_or_default()),
    ])
}

fn hear(config: &Config, device: &mut Device, words: &str) -> anyhow::Result<bool> {
    let rules = config.rules();
    let Some(attempt) = device.status().context("cannot say what is offered")?.attempt else {
        return Ok(false);
    };
    let store = super::terminal::store(config)?;
    let ask = owner::ask(&store, attempt).context("cannot read the owner's answer")?;
    let now = super::terminal::now(config);
    let answer = Word::read(words, &rules).and_then(|word| word.answer(&rules, &ask, now));
    match answer {
        Ok(answer) => {
            change(config, |switches| switches.say(attempt, answer))?;
            eprintln!("refit-agent: {}", Meaning(answer, &rules));
            Ok(true)
        }
        Err(error) => {
            eprintln!("refit-agent: the owner's answer has no effect: {error}");
            Ok(false)
        }
    }
}
