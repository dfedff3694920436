//! An owner's words about an update, whoever carries them: the command line, the
//! local page, or a program behind the terminal's own screen.

use crate::asked::{Asked, Urged};
use crate::edges::Store;
use crate::switches::Switches;
use engine::policy::consent::{Answer, Ask, may_decline, may_postpone};
use engine::policy::rules::Rules;
use serde::de::DeserializeOwned;
use std::{fmt, io};
use types::{AttemptId, Seconds, Timestamp, tree};

/// What an owner can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// At once.
    Now,
    /// At the next good time.
    Soon,
    /// In the coming night.
    Tonight,
    /// Then.
    At(Timestamp),
    /// Not for so long.
    Postpone(Seconds),
    /// Not at all.
    Decline,
}

/// Why an owner's words have no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// They are none.
    #[error(
        "say `now`, `soon`, `tonight`, a time such as `2026-11-25 19:30`, `postpone` or `decline`"
    )]
    Unknown,
    /// The time has passed, or is further away than a year.
    #[error("this time is not within the next year")]
    Time,
    /// It was postponed as often, or until when, it may be.
    #[error("this update cannot be postponed any more")]
    NoMorePostponing,
    /// It is forced.
    #[error("this update cannot be declined")]
    Forced,
}

/// Everything that is known about the owner's answer to `attempt`. A document that is
/// missing or does not read is as new.
///
/// # Errors
/// The store cannot be read.
pub fn ask(store: &dyn Store, attempt: AttemptId) -> io::Result<Ask> {
    let switches: Switches = read(store, Switches::NAME)?;
    let asked: Asked = read(store, Asked::NAME)?;
    let urged: Urged = read(store, Urged::NAME)?;
    Ok(Ask {
        answer: switches.answer(attempt),
        mode: switches.mode(),
        class: asked.class(attempt),
        since: asked.since(attempt),
        postponed: switches.postponed(attempt),
        urgency: urged.of(attempt),
        elsewhere: urged.elsewhere(attempt),
    })
}

fn read<T: DeserializeOwned + Default>(store: &dyn Store, name: &str) -> io::Result<T> {
    let bytes = store.read(name)?;
    Ok(bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default())
}

/// How long `postpone` without a number is.
const DAY: Seconds = Seconds(24 * 3600);
/// The furthest time that can be chosen.
const YEAR: Seconds = Seconds(366 * 24 * 3600);

impl Word {
    /// The words in `text`: `now`, `soon`, `tonight`, `decline`, `postpone`, `postpone 8`
    /// (hours), or a date and time of the terminal's zone.
    ///
    /// # Errors
    /// They are none of those.
    pub fn read(text: &str, rules: &Rules) -> Result<Self, WordError> {
        let text = text.trim();
        match text {
            "now" => return Ok(Self::Now),
            "soon" => return Ok(Self::Soon),
            "tonight" => return Ok(Self::Tonight),
            "decline" => return Ok(Self::Decline),
            "postpone" => return Ok(Self::Postpone(DAY)),
            _ => {}
        }
        if let Some(hours) = text.strip_prefix("postpone ") {
            let hours = hours.trim().parse::<u32>().map_err(|_| WordError::Unknown)?;
            let bounded = (1..=720).contains(&hours);
            return bounded.then_some(Self::Postpone(Seconds(hours * 3600))).ok_or(WordError::Time);
        }
        rules.zone.read(text).map(Self::At).ok_or(WordError::Unknown)
    }

    /// The answer that they are at `now`, to what was asked.
    ///
    /// # Errors
    /// The rules do not allow it.
    pub fn answer(self, rules: &Rules, ask: &Ask, now: Timestamp) -> Result<Answer, WordError> {
        match self {
            Self::Now => Ok(Answer::Now),
            Self::Soon => Ok(Answer::Yes),
            Self::Tonight => {
                let night = rules.night.map_or(now, |night| night.next(&rules.zone, now));
                Ok(Answer::At(night))
            }
            Self::At(at) if at < now || at > now.after(YEAR) => Err(WordError::Time),
            Self::At(at) => Ok(Answer::At(at)),
            Self::Postpone(_) if !may_postpone(rules, ask, now) => Err(WordError::NoMorePostponing),
            Self::Postpone(by) => {
                Ok(Answer::Postponed { until: now.after(by), times: ask.postponed + 1 })
            }
            Self::Decline if !may_decline(rules, ask) => Err(WordError::Forced),
            Self::Decline => Ok(Answer::No),
        }
    }
}

/// What an answer means, for whoever gave it.
pub struct Meaning<'a>(pub Answer, pub &'a Rules);

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(answer, rules) = self;
        let zone = &rules.zone;
        match answer {
            Answer::None => f.write_str("nothing was said"),
            Answer::Yes => f.write_str("the update is installed at the next good time"),
            Answer::Now => f.write_str("the update is installed now"),
            Answer::At(at) => write!(f, "the update is started at {}", zone.show(*at)),
            Answer::Postponed { until, .. } => {
                write!(f, "the update is postponed until {}", zone.show(*until))
            }
            Answer::No => f.write_str("the update is declined"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::policy::consent::Class;
    use engine::policy::rules::Security;

    fn rules() -> Rules {
        Rules {
            zone: "CET-1CEST,M3.5.0,M10.5.0/3".parse().unwrap(),
            night: Some("02:00-05:00".parse().unwrap()),
            postponements: 2,
            security: Security::Forced,
            ..Rules::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(text: &str, ask: &Ask, expected: Result<Answer, WordError>) {
        let now = at("2026-11-25T18:00:00Z");
        let found = Word::read(text, &rules()).and_then(|word| word.answer(&rules(), ask, now));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_become_answers() {
        let ask = Ask::default();
        check("now", &ask, Ok(Answer::Now));
        check(" soon\n", &ask, Ok(Answer::Yes));
        check("tonight", &ask, Ok(Answer::At(at("2026-11-26T01:00:00Z"))));
        check("2026-11-25 20:30", &ask, Ok(Answer::At(at("2026-11-25T19:30:00Z"))));
        let until = at("2026-11-26T02:00:00Z");
        check("postpone 8", &ask, Ok(Answer::Postponed { until, times: 1 }));
        check("decline", &ask, Ok(Answer::No));
        for bad in ["", "yes", "postpone -1", "postpone x", "2026-11-25", "NOW"] {
            check(bad, &ask, Err(WordError::Unknown));
        }
        for bad in ["2026-11-25 18:30", "2028-01-01 00:00", "postpone 721", "postpone 0"] {
            check(bad, &ask, Err(WordError::Time));
        }
    }

    #[test]
    fn rules_limit_what_can_be_said() {
        let ask = Ask { postponed: 2, ..Ask::default() };
        check("postpone", &ask, Err(WordError::NoMorePostponing));
        let until = at("2026-11-26T18:00:00Z");
        let ask = Ask { postponed: 1, ..Ask::default() };
        check("postpone", &ask, Ok(Answer::Postponed { until, times: 2 }));
        let security = Ask { class: Class::Security, ..Ask::default() };
        check("decline", &security, Err(WordError::Forced));
    }
}
