//! What a bootloader remembers of two slots, and how the agent's verbs change it.

use crate::edges::SlotFacts;
use types::Slot;

/// Which boots cost a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// Those of a slot on trial: the medium is written for updates only.
    #[default]
    Trial,
    /// All: a trusted slot that rots is left as well. The agent gives the tries back
    /// in each boot, once the release proved healthy.
    Always,
}

/// What is remembered of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// 2 for the slot that is started first, 1 for the other, 0 for one that is
    /// never started.
    pub priority: u8,
    /// Tries that are left.
    pub left: u8,
    /// Whether it is trusted.
    pub good: bool,
}

impl Standing {
    /// A slot that is never started.
    pub const UNBOOTABLE: Self = Self { priority: 0, left: 0, good: false };
}

/// What is remembered of both slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Of slot A.
    pub a: Standing,
    /// Of slot B.
    pub b: Standing,
}

impl Memory {
    /// Both slots are as new; the one that runs is started first.
    pub(crate) fn unknown(running: Slot, full: u8) -> Self {
        let new = Standing { priority: 1, left: full, good: false };
        let first = Standing { priority: 2, ..new };
        Self { a: new, b: new }.with(running, first)
    }

    /// What is remembered of `slot`.
    pub fn of(self, slot: Slot) -> Standing {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    /// The same, with `standing` for `slot`.
    #[must_use]
    pub fn with(self, slot: Slot, standing: Standing) -> Self {
        match slot {
            Slot::A => Self { a: standing, ..self },
            Slot::B => Self { b: standing, ..self },
        }
    }

    /// The slots that may be started, the one of the higher priority first.
    pub fn order(self) -> impl Iterator<Item = Slot> {
        let first = if self.b.priority > self.a.priority { Slot::B } else { Slot::A };
        [first, first.other()].into_iter().filter(move |slot| self.of(*slot).priority > 0)
    }

    /// What the engine is told of `slot`.
    pub(crate) fn facts(self, slot: Slot) -> SlotFacts {
        match self.of(slot) {
            Standing { priority: 0, .. } => SlotFacts::Unbootable,
            Standing { good: true, .. } => SlotFacts::Good,
            Standing { left, .. } => SlotFacts::Trial { left },
        }
    }

    /// `slot` is never started.
    pub(crate) fn unbootable(self, slot: Slot) -> Self {
        let other = self.of(slot.other());
        let other = Standing { priority: if other.priority > 0 { 2 } else { 0 }, ..other };
        self.with(slot, Standing::UNBOOTABLE).with(slot.other(), other)
    }

    /// `slot` is started next, `tries` times at most. What it falls back to has all
    /// its tries.
    pub(crate) fn trial(self, slot: Slot, tries: u8, full: u8) -> Self {
        let other = self.of(slot.other());
        let left = if other.good { full } else { other.left };
        self.first(slot, Standing { priority: 2, left: tries, good: false }, left)
    }

    /// `slot` is trusted and started first.
    pub(crate) fn good(self, slot: Slot, full: u8) -> Self {
        let left = self.of(slot.other()).left;
        self.first(slot, Standing { priority: 2, left: full, good: true }, left)
    }

    /// `slot` is trusted and started after the other one.
    pub(crate) fn behind(self, slot: Slot, full: u8) -> Self {
        let other = Standing { priority: 2, ..self.of(slot.other()) };
        let behind = Standing { priority: 1, left: full, good: true };
        self.with(slot, behind).with(slot.other(), other)
    }

    fn first(self, slot: Slot, standing: Standing, other_left: u8) -> Self {
        let other = self.of(slot.other());
        let behind = Standing { priority: other.priority.min(1), left: other_left, ..other };
        self.with(slot, standing).with(slot.other(), behind)
    }
}
