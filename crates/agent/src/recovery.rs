//! One system slot and a recovery, which no update writes: when the recovery is entered,
//! when it may be relied on, and when it is left again.
//!
//! Deliberately absent: how it writes. That is the same loop as everywhere.

use crate::device::{Device, DeviceError};
use crate::edges::{SlotFacts, Verdict};
use crate::perform::chain;
use engine::{BootId, Event, Left, TRIES, Task};
use std::ops::ControlFlow;
use types::{Outcome, Slot, Text};

/// The slot of the system, in a layout with a recovery.
pub const SYSTEM: Slot = Slot::A;

/// The slot of the recovery.
pub const RECOVERY: Slot = Slot::B;

/// What the two slots are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Each holds a release; the one that does not run is written.
    #[default]
    Banks,
    /// One holds the system, the other one the recovery, which writes it.
    Recovery,
}

/// Whether a package is fetched and looked at before the system is given up for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Staging {
    /// No: the recovery fetches while it writes.
    #[default]
    Never,
    /// What comes over the line is kept where there is room, and what is on this terminal
    /// is looked at where it is.
    Auto,
    /// Whatever comes is kept, or refused where there is no room.
    Always,
}

impl Layout {
    /// The slot that an update writes when `running` runs.
    pub fn target(self, running: Slot) -> Slot {
        match self {
            Self::Banks => running.other(),
            Self::Recovery => SYSTEM,
        }
    }

    /// Whether `slot` is a recovery.
    pub fn is_recovery(self, slot: Slot) -> bool {
        self == Self::Recovery && slot == RECOVERY
    }
}

impl Device {
    /// What the terminal goes on with when the update is given up now.
    pub(crate) fn left(&self) -> Result<Left, DeviceError> {
        if !self.options.layout.is_recovery(self.edges.boot.running()?) {
            return Ok(Left::Release);
        }
        let system = self.edges.boot.slot(SYSTEM)?;
        Ok(if system == SlotFacts::Good { Left::Release } else { Left::Recovery })
    }

    /// Starts the recovery on trial: where it does not come up, the system goes on.
    pub(crate) fn enter_recovery(
        &mut self,
        task: &Task,
        since: BootId,
    ) -> Result<Option<Event>, DeviceError> {
        if let Some(over) = self.trial_is_over(Some(RECOVERY), since)? {
            return Ok(Some(over));
        }
        if let ControlFlow::Break(stop) = self.ask_once_more(task)? {
            return Ok(stop);
        }
        if let Err(why) = self.save_configuration() {
            return self.failed(Outcome::MigrationFailed, why).map(Some);
        }
        if let Err(error) = self.edges.boot.set_trial(RECOVERY, TRIES) {
            let why = chain("cannot arm the recovery", &error);
            return self.failed(Outcome::BootControlFailed, why).map(Some);
        }
        self.worked();
        match self.edges.power.restart() {
            Ok(never) => match never {},
            Err(error) => self.failed(Outcome::Internal, chain("cannot restart", &error)).map(Some),
        }
    }

    /// The system's configuration is kept beside the recovery, where the next system gets
    /// it from.
    fn save_configuration(&mut self) -> Result<(), Text> {
        let cannot = |e: &dyn std::error::Error| chain("the configuration is not saved", e);
        if self.edges.configuration.version(SYSTEM).map_err(|e| cannot(&e))?.is_none() {
            return Ok(());
        }
        self.edges.configuration.copy(SYSTEM, RECOVERY, &[]).map_err(|e| cannot(&e))
    }

    /// Why what runs cannot be all that is left; otherwise it is trusted from now on.
    /// Nothing else stays once the system is overwritten.
    pub(crate) fn cannot_rely(&mut self) -> Result<Option<Text>, DeviceError> {
        let running = self.edges.boot.running()?;
        let recovery = self.options.layout.is_recovery(running);
        if !recovery || self.edges.boot.slot(running)? == SlotFacts::Good {
            return Ok(None);
        }
        if let Verdict::Unhealthy(why) = self.edges.health.check_trusted() {
            return Ok(Some(why));
        }
        self.edges.boot.mark_running_good()?;
        Ok(None)
    }

    /// A recovery that was entered and left the system as it was gives way to it. Only
    /// one on trial was entered: where the bootloader came to it by itself, the system
    /// does not start, whatever is known of it.
    pub(crate) fn go_home(&mut self) -> Result<(), DeviceError> {
        if !self.is_idle() || !self.options.layout.is_recovery(self.edges.boot.running()?) {
            return Ok(());
        }
        let entered = matches!(self.edges.boot.slot(RECOVERY)?, SlotFacts::Trial { .. });
        if !entered || self.edges.boot.slot(SYSTEM)? != SlotFacts::Good {
            return Ok(());
        }
        self.edges.boot.give_way()?;
        match self.edges.power.restart() {
            Ok(never) => match never {},
            Err(error) => {
                self.set_back(Outcome::Internal, &chain("cannot restart", &error));
                Ok(())
            }
        }
    }
}
