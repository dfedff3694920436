//! A program of the maker's that speaks for the bootloader, as RAUC's custom
//! back end has it: `get-primary`, `set-primary S`, `get-state S`,
//! `set-state S good|bad`, `get-current`.
//!
//! It is started without a shell and has to end in time, with all that it started. Its
//! verbs do not tell a slot on trial from a trusted one, so a note beside the agent's
//! state does.

use super::{Convention, Counting, Memory, Names, Standing};
use crate::platform::{files, program};
use std::io;
use std::path::PathBuf;
use types::{Slot, Tries};

/// The longest answer, in characters; more is not looked at.
const ANSWER: usize = 256;

/// The longest note, in bytes.
const NOTE: u64 = 256;

/// A bootloader behind a program.
#[derive(Debug, Clone)]
pub struct Custom {
    /// The program, and arguments before the verb.
    pub command: Vec<String>,
    /// What it calls the slots.
    pub names: Names,
    /// How the bootloader tries a slot.
    pub tries: Tries,
    /// Which boots cost a try.
    pub counting: Counting,
    /// Where the slot on trial is noted.
    pub note: PathBuf,
    /// Milliseconds within which the program has to end.
    pub within: u64,
}

impl Custom {
    /// What the program says to a verb.
    pub(crate) fn ask(&self, words: &[&str]) -> io::Result<String> {
        let mut command = self.command.clone();
        command.extend(words.iter().map(ToString::to_string));
        let spoken = command.join(" ");
        let ended = program::run(&command, &[], self.within)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start `{spoken}`: {e}")))?;
        match ended.status {
            Some(status) if status.success() => {
                Ok(ended.said.trim().chars().take(ANSWER).collect())
            }
            Some(status) => Err(io::Error::other(format!("`{spoken}` ended with {status}"))),
            None => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("`{spoken}` takes too long")))
            }
        }
    }

    pub(crate) fn named(&self, verb: &str) -> io::Result<Slot> {
        let name = self.ask(&[verb])?;
        self.names
            .slot(&name)
            .ok_or_else(|| io::Error::other(format!("`{verb}` said `{name}`, which is no slot")))
    }

    fn is_good(&self, slot: Slot) -> io::Result<bool> {
        match self.ask(&["get-state", self.names.of(slot)])?.as_str() {
            "good" => Ok(true),
            "bad" => Ok(false),
            other => Err(io::Error::other(format!("`get-state` said `{other}`"))),
        }
    }

    fn noted(&self) -> io::Result<Option<Slot>> {
        let note = files::read(&self.note, NOTE)?;
        Ok(note.and_then(|note| std::str::from_utf8(&note).ok()?.trim().parse().ok()))
    }

    fn full(&self) -> u8 {
        match self.tries {
            Tries::Counted(tries) => tries,
            Tries::Single => 1,
        }
    }
}

impl Convention for Custom {
    fn tries(&self) -> Tries {
        self.tries
    }

    fn counting(&self) -> Counting {
        self.counting
    }

    fn running(&self) -> io::Result<Option<Slot>> {
        self.named("get-current").map(Some)
    }

    /// The program does not tell how many tries are left: a slot on trial has all of
    /// them while it is first, and none when the bootloader left it. Where all boots
    /// are counted, a trusted slot counts as used up until it is marked.
    fn load(&self) -> io::Result<Option<Memory>> {
        let primary = self.named("get-primary")?;
        let noted = self.noted()?;
        let of = |slot| {
            let first = primary == slot;
            let priority = u8::from(first) + 1;
            if noted == Some(slot) {
                let left = if first { self.full() } else { 0 };
                return Ok::<_, io::Error>(Standing { priority, left, good: false });
            }
            let spent = self.counting == Counting::Always;
            let left = if spent { 0 } else { self.full() };
            let good = Standing { priority, left, good: true };
            Ok(if self.is_good(slot)? { good } else { Standing::UNBOOTABLE })
        };
        Ok(Some(Memory { a: of(Slot::A)?, b: of(Slot::B)? }))
    }

    /// What becomes worse is said first, what is started first last; the note is
    /// there before a trial is, and gone after it. A slot on trial is made primary and
    /// not called good: that is for the release to earn.
    fn save(&self, memory: &Memory) -> io::Result<()> {
        let before = self.load()?;
        let changed = |slot: Slot| before.is_none_or(|before| before.of(slot) != memory.of(slot));
        let trial = memory.order().find(|slot| !memory.of(*slot).good);
        if let Some(slot) = trial {
            files::replace(&self.note, slot.to_string().as_bytes())?;
        }
        for slot in Slot::BOTH.into_iter().filter(|slot| changed(*slot)) {
            match memory.of(slot) {
                Standing { priority: 0, .. } => {
                    self.ask(&["set-state", self.names.of(slot), "bad"])?;
                }
                Standing { good: true, .. } => {
                    self.ask(&["set-state", self.names.of(slot), "good"])?;
                }
                Standing { .. } => {}
            }
        }
        if let Some(first) = memory.order().next() {
            self.ask(&["set-primary", self.names.of(first)])?;
        }
        if trial.is_none() { files::remove(&self.note) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::Stopwatch;

    /// What a program with this script, which is given two seconds, says to `get-current`;
    /// or the kind of error.
    fn says(script: &str) -> Result<String, io::ErrorKind> {
        let custom = Custom {
            command: ["/bin/sh", "-c", script].map(String::from).into(),
            names: Names::default(),
            tries: Tries::Single,
            counting: Counting::Trial,
            note: PathBuf::new(),
            within: 2000,
        };
        custom.ask(&["get-current"]).map_err(|e| e.kind())
    }

    #[test]
    fn answers_are_those_of_a_program_that_ends_well_and_in_time() {
        assert_eq!(says("echo ' A '"), Ok("A".into()));
        assert_eq!(says("echo $0"), Ok("get-current".into()));
        assert_eq!(says("echo A; exit 3"), Err(io::ErrorKind::Other));
        assert_eq!(says("echo A; exec sleep 600"), Err(io::ErrorKind::TimedOut));
        assert_eq!(says("head -c 100000 /dev/zero | tr '\\0' A"), Ok("A".repeat(ANSWER)));
    }

    #[test]
    fn what_a_program_leaves_behind_holds_no_answer_up() {
        let watch = Stopwatch::start();
        assert_eq!(says("sleep 600 & echo A"), Ok("A".into()));
        assert!(watch.millis() < 60_000);
    }
}
