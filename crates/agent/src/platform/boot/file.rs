//! Boot control in a file, and the decision of a bootloader that reads it.
//!
//! [`BootFile::decide`] is what a bootloader does with the file: a boot loop in
//! user space calls it, and a port to a real bootloader does the same with its own
//! memory. Two copies, as in `platform::pair`; the record is six bytes: format (1), state
//! and tries of slot A, state and tries of slot B, and the slot that is preferred.

use super::{RunningFrom, cannot};
use crate::edges::{BootControl, BootError, SlotFacts};
use crate::platform::pair::{Held, Pair};
use std::io;
use std::path::Path;
use types::{Slot, Tries};

/// First bytes of both copies.
const MAGIC: [u8; 4] = *b"RfB1";
/// Format of the record.
const FORMAT: u8 = 1;
/// Tries that a slot gets when nothing is known about it any more.
const UNKNOWN: SlotFacts = SlotFacts::Trial { left: 3 };

/// What a bootloader remembers of both slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    a: SlotFacts,
    b: SlotFacts,
    preferred: Slot,
}

/// Boot control in a file.
#[derive(Debug, Clone)]
pub struct BootFile(Pair);

impl BootFile {
    /// The boot control at `path`. Where there is none yet, slot A is good and slot
    /// B is unbootable.
    pub fn new(path: &Path) -> Self {
        Self(Pair::new(path, MAGIC))
    }

    /// Picks the slot to start. A try is counted down, durably, before this
    /// returns. There is always a slot: where all tries of both are used up, they
    /// start over, and where nothing is known any more, both are tried in turn.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn decide(&self) -> io::Result<Slot> {
        let before = self.load()?;
        let (slot, after) = before.decided();
        if after != before {
            self.save(after)?;
        }
        Ok(slot)
    }

    /// What is held of `slot`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn slot(&self, slot: Slot) -> io::Result<SlotFacts> {
        Ok(self.load()?.slot(slot))
    }

    /// The slot that is started first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn preferred(&self) -> io::Result<Slot> {
        Ok(self.load()?.preferred)
    }

    /// Never start `slot`, but the other one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_unbootable(&self, slot: Slot) -> io::Result<()> {
        self.change(|memory| memory.with(slot, SlotFacts::Unbootable).preferring(slot.other()))
    }

    /// Start `slot` next, `tries` times at most.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_trial(&self, slot: Slot, tries: u8) -> io::Result<()> {
        self.change(|memory| memory.with(slot, SlotFacts::Trial { left: tries }).preferring(slot))
    }

    /// Trust `slot`, and start it first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark_good(&self, slot: Slot) -> io::Result<()> {
        self.change(|memory| memory.with(slot, SlotFacts::Good).preferring(slot))
    }

    /// Trust `slot`, and start the other one first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_behind(&self, slot: Slot) -> io::Result<()> {
        self.change(|memory| memory.with(slot, SlotFacts::Good).preferring(slot.other()))
    }

    fn change(&self, change: impl FnOnce(Memory) -> Memory) -> io::Result<()> {
        let before = self.load()?;
        let after = change(before);
        if after == before { Ok(()) } else { self.save(after) }
    }

    fn load(&self) -> io::Result<Memory> {
        let new = Memory { a: SlotFacts::Good, b: SlotFacts::Unbootable, preferred: Slot::A };
        let lost = Memory { a: UNKNOWN, b: UNKNOWN, preferred: Slot::A };
        Ok(match self.0.load()? {
            Held::Nothing => new,
            Held::Record(record) => Memory::decode(&record).unwrap_or(lost),
            Held::Damaged => lost,
        })
    }

    fn save(&self, memory: Memory) -> io::Result<()> {
        self.0.save(&memory.encode())
    }
}

impl Memory {
    fn slot(self, slot: Slot) -> SlotFacts {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    fn with(self, slot: Slot, facts: SlotFacts) -> Self {
        match slot {
            Slot::A => Self { a: facts, ..self },
            Slot::B => Self { b: facts, ..self },
        }
    }

    fn preferring(self, slot: Slot) -> Self {
        Self { preferred: slot, ..self }
    }

    /// The slot to start and the memory to keep, by the bootloader's rules.
    fn decided(self) -> (Slot, Self) {
        for slot in [self.preferred, self.preferred.other()] {
            match self.slot(slot) {
                SlotFacts::Good => return (slot, self.preferring(slot)),
                SlotFacts::Trial { left: 1.. } => return self.tried(slot),
                SlotFacts::Trial { left: 0 } | SlotFacts::Unbootable => {}
            }
        }
        let over = Slot::BOTH.into_iter().fold(self, |memory, slot| match memory.slot(slot) {
            SlotFacts::Trial { .. } => memory.with(slot, UNKNOWN),
            _ => memory,
        });
        match over.slot(over.preferred) {
            SlotFacts::Trial { .. } => over.tried(over.preferred),
            _ if over == self => (self.preferred, self),
            _ => over.tried(over.preferred.other()),
        }
    }

    /// One try of `slot` is used. What is tried stays preferred until a later
    /// decision leaves it.
    fn tried(self, slot: Slot) -> (Slot, Self) {
        let SlotFacts::Trial { left } = self.slot(slot) else { return (slot, self) };
        let left = left.saturating_sub(1);
        (slot, self.with(slot, SlotFacts::Trial { left }).preferring(slot))
    }

    fn encode(self) -> [u8; 6] {
        let preferred = match self.preferred {
            Slot::A => b'A',
            Slot::B => b'B',
        };
        let [a, a_left] = facts_bytes(self.a);
        let [b, b_left] = facts_bytes(self.b);
        [FORMAT, a, a_left, b, b_left, preferred]
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let [FORMAT, a, a_left, b, b_left, preferred] = *record else { return None };
        let preferred = match preferred {
            b'A' => Slot::A,
            b'B' => Slot::B,
            _ => return None,
        };
        Some(Self { a: facts(a, a_left)?, b: facts(b, b_left)?, preferred })
    }
}

fn facts_bytes(facts: SlotFacts) -> [u8; 2] {
    match facts {
        SlotFacts::Unbootable => [0, 0],
        SlotFacts::Trial { left } => [1, left],
        SlotFacts::Good => [2, 0],
    }
}

fn facts(state: u8, left: u8) -> Option<SlotFacts> {
    match (state, left) {
        (0, 0) => Some(SlotFacts::Unbootable),
        (1, left) => Some(SlotFacts::Trial { left }),
        (2, 0) => Some(SlotFacts::Good),
        _ => None,
    }
}

/// The agent's edge to a bootloader that keeps its memory in a [`BootFile`].
#[derive(Debug)]
pub struct BootFileControl {
    file: BootFile,
    tries: Tries,
    running: RunningFrom,
}

impl BootFileControl {
    /// The edge to `file`; the bootloader tries a slot as `tries` says.
    pub fn new(file: BootFile, tries: Tries, running: RunningFrom) -> Self {
        Self { file, tries, running }
    }
}

impl BootControl for BootFileControl {
    fn running(&self) -> Result<Slot, BootError> {
        self.running.slot().map_err(cannot("read"))
    }

    fn tries(&self) -> Tries {
        self.tries
    }

    fn slot(&self, slot: Slot) -> Result<SlotFacts, BootError> {
        self.file.slot(slot).map_err(cannot("read"))
    }

    fn set_unbootable(&mut self, slot: Slot) -> Result<(), BootError> {
        self.file.set_unbootable(slot).map_err(cannot("write"))
    }

    fn set_trial(&mut self, slot: Slot, tries: u8) -> Result<(), BootError> {
        let tries = match self.tries {
            Tries::Counted(most) => tries.min(most),
            Tries::Single => tries.min(1),
        };
        self.file.set_trial(slot, tries).map_err(cannot("write"))
    }

    fn mark_running_good(&mut self) -> Result<(), BootError> {
        let running = self.running()?;
        self.file.mark_good(running).map_err(cannot("write"))
    }

    fn give_way(&mut self) -> Result<(), BootError> {
        let running = self.running()?;
        self.file.put_behind(running).map_err(cannot("write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SlotFacts::{Good, Trial, Unbootable};

    fn check(memory: (SlotFacts, SlotFacts, Slot), starts: &[Slot]) {
        let dir = tempfile::tempdir().unwrap();
        let file = BootFile::new(&dir.path().join("boot"));
        let (a, b, preferred) = memory;
        file.save(Memory { a, b, preferred }).unwrap();
        let decided: Vec<Slot> = starts.iter().map(|_| file.decide().unwrap()).collect();
        assert_eq!(decided, starts, "{memory:?}");
    }

    #[test]
    fn a_bootloader_tries_then_returns() {
        use Slot::{A, B};
        check((Good, Unbootable, A), &[A, A, A, A]);
        check((Good, Trial { left: 3 }, B), &[B, B, B, A, A, A]);
        check((Good, Trial { left: 1 }, B), &[B, A, A]);
        check((Trial { left: 2 }, Good, A), &[A, A, B, B]);
        check((Unbootable, Good, B), &[B, B]);
        check((Good, Good, B), &[B, B]);
    }

    #[test]
    fn there_is_always_a_slot_to_start() {
        use Slot::{A, B};
        check((Unbootable, Unbootable, B), &[B, B]);
        check((Unbootable, Good, A), &[B, B]);
        check((Unbootable, Trial { left: 1 }, B), &[B, B, B, B, B]);
        check((Unbootable, Trial { left: 1 }, A), &[B, B, B, B, B]);
        check((Trial { left: 1 }, Trial { left: 1 }, A), &[A, B, B, B, B, A, A, A, A]);
    }

    #[test]
    fn a_lost_file_tries_both() {
        use Slot::{A, B};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot");
        std::fs::write(&path, [0x55; 8192]).unwrap();
        let file = BootFile::new(&path);
        let decided: Vec<Slot> = (0..6).map(|_| file.decide().unwrap()).collect();
        assert_eq!(decided, [A, A, A, B, B, B]);
    }

    #[test]
    fn a_new_file_starts_slot_a() {
        let dir = tempfile::tempdir().unwrap();
        let file = BootFile::new(&dir.path().join("boot"));
        assert_eq!(file.decide().unwrap(), Slot::A);
        assert_eq!(file.slot(Slot::B).unwrap(), Unbootable);
    }

    #[test]
    fn every_memory_has_one_record() {
        let all = [Unbootable, Good, Trial { left: 0 }, Trial { left: 255 }];
        for a in all {
            for b in all {
                for preferred in Slot::BOTH {
                    let memory = Memory { a, b, preferred };
                    assert_eq!(Memory::decode(&memory.encode()), Some(memory));
                }
            }
        }
        for bad in [&[][..], &[2, 2, 0, 2, 0, b'A'], &[1, 3, 0, 2, 0, b'A'], &[1, 2, 0, 2, 0, 0]] {
            assert_eq!(Memory::decode(bad), None);
        }
    }
}
