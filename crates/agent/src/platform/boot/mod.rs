//! Boot control: one model of what a bootloader remembers, and one file for each
//! convention by which bootloaders keep it.
//!
//! [`Memory`] says of each slot which priority it has, how many tries are left, and
//! whether it is trusted. A [`Convention`] reads and writes that; [`Control`] makes
//! the agent's edge of it. Deliberately absent: what a bootloader does with its
//! memory. The scripts that do it are in `contrib/boot`.

#[cfg(feature = "bootloaders")]
pub mod android;
pub mod bootcount;
#[cfg(feature = "bootloaders")]
pub mod chromeos;
pub mod custom;
#[cfg(feature = "bootloaders")]
pub mod efi;
pub mod environment;
pub mod file;
#[cfg(feature = "bootloaders")]
pub mod grub;
mod model;
mod place;
#[cfg(feature = "bootloaders")]
pub mod raspberry;
pub mod rauc;
mod running;
#[cfg(feature = "bootloaders")]
pub mod systemd;
#[cfg(test)]
#[cfg(feature = "bootloaders")]
mod trials;

pub use model::{Counting, Memory, Standing};
pub use place::Place;
pub use running::{Names, RunningFrom};

use crate::edges::{BootControl, BootError, SlotFacts};
use engine::TRIES;
use std::io;
use types::{Slot, Tries};

/// How one kind of bootloader keeps its memory.
pub trait Convention {
    /// How the bootloader tries a new slot.
    fn tries(&self) -> Tries;

    /// Which boots cost a try.
    fn counting(&self) -> Counting {
        Counting::Trial
    }

    /// The slot that runs, where the convention itself says so.
    ///
    /// # Errors
    /// It should say so, and does not.
    fn running(&self) -> io::Result<Option<Slot>> {
        Ok(None)
    }

    /// What is remembered; `None` when nothing is remembered any more, and the
    /// bootloader does with both slots what it does with new ones.
    ///
    /// # Errors
    /// The memory cannot be read.
    fn load(&self) -> io::Result<Option<Memory>>;

    /// Remembers `memory` instead, durably, old or new after a power cut.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn save(&self, memory: &Memory) -> io::Result<()>;
}

/// The agent's edge to a bootloader, whichever it is: the rules are there once.
pub struct Control {
    convention: Box<dyn Convention>,
    running: Option<RunningFrom>,
}

impl Control {
    /// The edge to a bootloader of this convention. Which slot runs is learnt from
    /// `running`; where that is nothing, from the convention or else from the
    /// kernel's command line.
    pub fn new(convention: impl Convention + 'static, running: Option<RunningFrom>) -> Self {
        Self { convention: Box::new(convention), running }
    }

    /// The number of tries that a slot has when none is used.
    fn full(&self) -> u8 {
        match self.convention.tries() {
            Tries::Counted(most) => most,
            Tries::Single => 1,
        }
    }

    fn memory(&self) -> Result<Memory, BootError> {
        let memory = self.convention.load().map_err(cannot("read"))?;
        memory.map_or_else(|| Ok(Memory::unknown(self.running()?, self.full())), Ok)
    }

    fn change(&self, change: &dyn Fn(Memory) -> Memory) -> Result<(), BootError> {
        let before = self.convention.load().map_err(cannot("read"))?;
        let from = match before {
            Some(memory) => memory,
            None => Memory::unknown(self.running()?, self.full()),
        };
        let after = change(from);
        if before == Some(after) {
            return Ok(());
        }
        self.convention.save(&after).map_err(cannot("write"))
    }
}

fn cannot(verb: &'static str) -> impl FnOnce(io::Error) -> BootError {
    move |cause| BootError { verb, cause }
}

impl BootControl for Control {
    fn running(&self) -> Result<Slot, BootError> {
        let slot = match &self.running {
            Some(from) => from.slot(),
            None => match self.convention.running() {
                Ok(Some(slot)) => Ok(slot),
                Ok(None) => RunningFrom::default().slot(),
                Err(e) => Err(e),
            },
        };
        slot.map_err(cannot("read"))
    }

    /// The engine asks for so many tries and counts them as failed boots.
    fn tries(&self) -> Tries {
        match self.convention.tries() {
            Tries::Counted(most) => Tries::Counted(most.min(TRIES)),
            Tries::Single => Tries::Single,
        }
    }

    fn slot(&self, slot: Slot) -> Result<SlotFacts, BootError> {
        Ok(self.memory()?.facts(slot))
    }

    fn is_spent(&self) -> Result<bool, BootError> {
        let Some(memory) = self.convention.load().map_err(cannot("read"))? else {
            return Ok(true);
        };
        let running = memory.of(self.running()?);
        Ok(running.good
            && self.convention.counting() == Counting::Always
            && running.left < self.full())
    }

    fn set_unbootable(&mut self, slot: Slot) -> Result<(), BootError> {
        self.change(&|memory| memory.unbootable(slot))
    }

    fn set_trial(&mut self, slot: Slot, tries: u8) -> Result<(), BootError> {
        let full = self.full();
        self.change(&|memory| memory.trial(slot, tries.min(full), full))
    }

    fn mark_running_good(&mut self) -> Result<(), BootError> {
        let (running, full) = (self.running()?, self.full());
        self.change(&|memory| memory.good(running, full))
    }

    fn give_way(&mut self) -> Result<(), BootError> {
        let (running, full) = (self.running()?, self.full());
        self.change(&|memory| memory.behind(running, full))
    }
}
