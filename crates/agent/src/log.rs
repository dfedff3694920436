//! What happened during the last attempts, for people, bounded: what the agent did, and
//! what the programs of packages said.

use serde::{Deserialize, Serialize};
use types::{AttemptId, Line, Timestamp};

/// The most entries of one attempt; the oldest goes.
const ENTRIES_MAX: usize = 48;
/// The most bytes of what one program said.
const SAID_MAX: usize = 1024;
/// The most bytes of what was said during one attempt; the oldest goes.
const ALL_MAX: usize = 6 << 10;
/// Earlier attempts that are kept: nobody may have asked for their logs yet.
const BEFORE_MAX: usize = 2;

/// What was said during one attempt and those before. Stored as JSON in the document
/// `log`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// During which.
    pub attempt: Option<AttemptId>,
    /// What, in order.
    pub entries: Vec<Said>,
    /// The same of earlier attempts, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Earlier>,
}

/// What was said during an earlier attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// During which.
    pub attempt: AttemptId,
    /// What, in order.
    pub entries: Vec<Said>,
}

/// What one program said, or the agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// When, by this terminal's calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What went on: the phase of a hook, or of the update.
    pub phase: String,
    /// What the program is called; nothing where the agent itself says it.
    pub name: String,
    /// Why it did not pass.
    pub fault: Option<String>,
    /// The first of its words.
    pub said: String,
    /// How many times it said so, one after the other.
    #[serde(skip_serializing_if = "is_once")]
    pub times: u32,
}

fn is_once(times: &u32) -> bool {
    *times == 1
}

impl Default for Said {
    fn default() -> Self {
        let (phase, name, said) = (String::new(), String::new(), String::new());
        Self { at: None, phase, name, fault: None, said, times: 1 }
    }
}

impl Said {
    /// The same at the same time of an update, whenever that was.
    fn is_like(&self, other: &Self) -> bool {
        let key = |said: &Self| (said.phase.clone(), said.name.clone(), said.said.clone());
        key(self) == key(other) && self.fault == other.fault
    }

    /// Its words as lines, none of which can be taken for another's.
    pub fn lines(&self) -> Vec<Line> {
        let times = if self.times > 1 { format!(" ({} times)", self.times) } else { String::new() };
        if self.name.is_empty() {
            return vec![format!("{}{times}", self.said).as_str().into()];
        }
        let fault = self.fault.as_deref().unwrap_or("passed");
        let head = format!("hook `{}`: {fault}{times}", self.name);
        let said = self.said.lines().map(|line| format!("  {line}"));
        std::iter::once(head).chain(said).map(|line| line.as_str().into()).collect()
    }
}

impl Log {
    /// The document's name in the store.
    pub const NAME: &'static str = "log";

    /// What was said during `attempt`, if it is kept.
    pub fn of(&self, attempt: AttemptId) -> Option<&[Said]> {
        if self.attempt == Some(attempt) {
            return Some(&self.entries);
        }
        let earlier = self.before.iter().find(|earlier| earlier.attempt == attempt);
        earlier.map(|earlier| &earlier.entries[..])
    }

    /// Adds to what was said during `attempt`.
    pub(crate) fn add(&mut self, attempt: AttemptId, said: Said) {
        self.turn_to(attempt);
        let cut = said.said.floor_char_boundary(SAID_MAX);
        let short = said.said.get(..cut).unwrap_or_default().to_string();
        let said = Said { said: short, ..said };
        match self.entries.last_mut() {
            Some(last) if last.is_like(&said) => {
                last.times = last.times.saturating_add(said.times);
            }
            _ => self.entries.push(said),
        }
        while self.entries.len() > ENTRIES_MAX || self.bytes() > ALL_MAX {
            self.entries.remove(0);
        }
    }

    /// What is added from now on was said during `attempt`.
    fn turn_to(&mut self, attempt: AttemptId) {
        if self.attempt == Some(attempt) {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        if let Some(attempt) = self.attempt.replace(attempt) {
            self.before.push(Earlier { attempt, entries });
        }
        while self.before.len() > BEFORE_MAX {
            self.before.remove(0);
        }
    }

    fn bytes(&self) -> usize {
        let of = |said: &Said| {
            let fault = said.fault.as_deref().map_or(0, str::len);
            said.phase.len() + said.name.len() + fault + said.said.len()
        };
        self.entries.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: AttemptId = AttemptId([1; 16]);
    const TWO: AttemptId = AttemptId([2; 16]);

    fn said(text: &str) -> Said {
        Said { said: text.into(), ..Said::default() }
    }

    #[test]
    fn a_log_is_bounded_and_keeps_the_last_words() {
        let mut log = Log::default();
        log.add(ONE, said("old"));
        for n in 0..30 {
            log.add(TWO, said(&format!("{n} {}", "ä".repeat(2000))));
        }
        assert!(log.bytes() <= ALL_MAX && log.entries.iter().all(|s| s.said.len() <= SAID_MAX));
        assert!(log.entries.last().unwrap().said.starts_with("29 "));
        for n in 0..200 {
            log.add(TWO, said(&n.to_string()));
        }
        assert_eq!((log.attempt, log.entries.len()), (Some(TWO), ENTRIES_MAX));
        assert_eq!(log.of(ONE).unwrap(), [said("old")]);
        assert_eq!(log.of(AttemptId([3; 16])), None);
        for n in 4..10 {
            log.add(AttemptId([n; 16]), said("new"));
        }
        assert_eq!((log.before.len(), log.of(ONE), log.of(TWO)), (BEFORE_MAX, None, None));
    }

    #[test]
    fn what_is_said_again_is_counted() {
        let mut log = Log::default();
        for _ in 0..3 {
            log.add(ONE, said("the server cannot be reached"));
        }
        log.add(ONE, said("on"));
        log.add(ONE, said("the server cannot be reached"));
        let lines: Vec<Line> = log.entries.iter().flat_map(Said::lines).collect();
        let shown: Vec<&str> = lines.iter().map(Line::as_str).collect();
        let once = "the server cannot be reached";
        assert_eq!(shown, [&format!("{once} (3 times)"), "on", once]);
    }

    #[test]
    fn a_program_cannot_speak_for_the_agent() {
        let hook = Said {
            phase: "health".into(),
            name: "check".into(),
            fault: Some("hook `check` ended with 1".into()),
            said: "hook `check`: passed\n\u{1b}[2J\nthe release is healthy".into(),
            ..Said::default()
        };
        let lines = hook.lines();
        let shown: Vec<&str> = lines.iter().map(Line::as_str).collect();
        let inside = ["  hook `check`: passed", "  \u{fffd}[2J", "  the release is healthy"];
        assert_eq!(shown[0], "hook `check`: hook `check` ended with 1");
        assert_eq!(shown[1..], inside);
    }

    #[test]
    fn a_log_of_an_earlier_agent_is_read() {
        let old = r#"{"attempt":"01010101010101010101010101010101","entries":[
            {"phase":"health","name":"check","fault":null,"said":"fine"}]}"#;
        let log: Log = serde_json::from_str(old).unwrap();
        assert_eq!((log.entries[0].times, log.of(ONE).unwrap().len()), (1, 1));
        let back = serde_json::to_value(&log).unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(old).unwrap());
    }
}
