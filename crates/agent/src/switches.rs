//! What the owner and the operator decided on this terminal.

use engine::policy::consent::{Answer, Mode};
use serde::{Deserialize, Serialize};
use types::{AttemptId, Timestamp};

/// The owner's switches. Stored as JSON in the document `switches`; the command
/// line and the local page change it and wake the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Nothing is fetched or written until it is resumed.
    pub paused: bool,
    /// Ask the sources by itself.
    pub automatic_check: bool,
    /// Install what is ordered without asking the owner.
    pub automatic_install: bool,
    /// The attempt that the owner agreed to.
    pub agreed: Option<AttemptId>,
    /// The attempt that the owner declined or cancelled.
    pub declined: Option<AttemptId>,
    /// When the owner wants an attempt.
    pub wish: Option<Wish>,
}

/// When the owner wants an attempt. At most one of the first three is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Which one.
    pub attempt: AttemptId,
    /// At once.
    pub now: bool,
    /// Restarted then, and not before.
    pub at: Option<Timestamp>,
    /// Not before then.
    pub postponed: Option<Timestamp>,
    /// How often it was postponed.
    pub times: u8,
}

impl Default for Wish {
    fn default() -> Self {
        let attempt = AttemptId::default();
        Self { attempt, now: false, at: None, postponed: None, times: 0 }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            paused: false,
            automatic_check: true,
            automatic_install: true,
            agreed: None,
            declined: None,
            wish: None,
        }
    }
}

impl Switches {
    /// The document's name in the store.
    pub const NAME: &'static str = "switches";

    /// Who has to be asked.
    pub fn mode(&self) -> Mode {
        if self.automatic_install { Mode::Automatic } else { Mode::Asked }
    }

    /// How often `attempt` was postponed.
    pub fn postponed(&self, attempt: AttemptId) -> u8 {
        self.wish.as_ref().filter(|wish| wish.attempt == attempt).map_or(0, |wish| wish.times)
    }

    /// What the owner said about `attempt`.
    pub fn answer(&self, attempt: AttemptId) -> Answer {
        if self.declined == Some(attempt) {
            return Answer::No;
        }
        match self.wish.as_ref().filter(|wish| wish.attempt == attempt) {
            Some(Wish { now: true, .. }) => Answer::Now,
            Some(Wish { at: Some(at), .. }) => Answer::At(*at),
            Some(Wish { postponed: Some(until), times, .. }) => {
                Answer::Postponed { until: *until, times: *times }
            }
            _ if self.agreed == Some(attempt) => Answer::Yes,
            _ => Answer::None,
        }
    }

    /// The owner says `answer` to `attempt`, instead of whatever was said before.
    pub fn say(&mut self, attempt: AttemptId, answer: Answer) {
        let before = self.wish.take().filter(|wish| wish.attempt == attempt);
        let times = before.map_or(0, |wish| wish.times);
        let wish = Wish { attempt, times, ..Wish::default() };
        if self.declined == Some(attempt) {
            self.declined = None;
        }
        self.wish = Some(match answer {
            Answer::Now => Wish { now: true, ..wish },
            Answer::At(at) => Wish { at: Some(at), ..wish },
            Answer::Postponed { until, times } => Wish { postponed: Some(until), times, ..wish },
            Answer::None | Answer::Yes | Answer::No => wish,
        });
        match answer {
            Answer::No => self.declined = Some(attempt),
            Answer::Postponed { .. } | Answer::None => {
                self.agreed = self.agreed.filter(|agreed| *agreed != attempt);
            }
            Answer::Yes | Answer::Now | Answer::At(_) => self.agreed = Some(attempt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: AttemptId = AttemptId([1; 16]);

    #[test]
    fn what_was_said_last_counts_and_about_its_attempt_only() {
        let at = Timestamp(1_800_000_000_000);
        let postponed = Answer::Postponed { until: at, times: 1 };
        let all = [Answer::Yes, Answer::Now, Answer::At(at), postponed, Answer::No, Answer::None];
        for first in all {
            for last in all {
                let mut switches = Switches::default();
                switches.say(ATTEMPT, first);
                switches.say(ATTEMPT, last);
                let kept = serde_json::to_vec(&switches).unwrap();
                let switches: Switches = serde_json::from_slice(&kept).unwrap();
                assert_eq!(switches.answer(ATTEMPT), last, "{first:?}");
                assert_eq!(switches.answer(AttemptId([2; 16])), Answer::None);
            }
        }
    }

    #[test]
    fn postponements_are_counted_through_other_answers() {
        let mut switches = Switches::default();
        switches.say(ATTEMPT, Answer::Postponed { until: Timestamp(1), times: 2 });
        switches.say(ATTEMPT, Answer::At(Timestamp(2)));
        assert_eq!(switches.wish.as_ref().map(|wish| wish.times), Some(2));
        switches.say(AttemptId([2; 16]), Answer::Yes);
        assert_eq!(switches.wish.map(|wish| wish.times), Some(0));
    }

    /// What the agent before this one wrote, and what it reads of ours.
    #[test]
    fn old_documents_are_understood() {
        let old = r#"{"paused":true,"automatic_check":true,"automatic_install":false,
            "agreed":"01010101010101010101010101010101","declined":null}"#;
        let switches: Switches = serde_json::from_str(old).unwrap();
        assert!(switches.paused && !switches.automatic_install);
        assert_eq!(switches.answer(ATTEMPT), Answer::Yes);
    }
}
