//! A program of the maker's that speaks for the bootloader, as RAUC's custom
//! back end has it: `get-primary`, `set-primary S`, `get-state S`,
//! `set-state S good|bad`, `get-current`.
//!
//! It is started without a shell and has to end in time. Its verbs do not tell a slot
//! on trial from a trusted one, so a note beside the agent's state does.

use super::{Convention, Counting, Memory, Names, Standing};
use crate::platform::clock::Stopwatch;
use crate::platform::files;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use types::{Slot, Tries};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The longest answer, in bytes.
const ANSWER: u64 = 256;

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
        let verb = words.join(" ");
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| io::Error::other("the boot control names no program"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start `{program}`: {e}")))?;
        let status = self.ended(&mut child)?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::TimedOut, format!("`{program} {verb}` takes too long"))
        })?;
        if !status.success() {
            return Err(io::Error::other(format!("`{program} {verb}` ended with {status}")));
        }
        let mut answer = String::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(ANSWER).read_to_string(&mut answer)?;
        }
        Ok(answer.trim().to_owned())
    }

    /// How the program ended; `None` when it had to be ended. An answer is shorter
    /// than what a pipe holds, so nothing waits for its being read.
    fn ended(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let watch = Stopwatch::start();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if watch.millis() >= self.within {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(LOOK);
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
        let note = files::read(&self.note, ANSWER)?;
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
