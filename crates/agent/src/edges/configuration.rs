//! The terminal's configuration, one copy for each slot.

use super::HookCall;
use engine::configuration::Step;
use std::io;
use types::{Slot, Text};

/// One step that is taken on a copy.
#[derive(Debug, Clone, Copy)]
pub struct Migration<'a> {
    /// From which version of the form to which.
    pub step: Step,
    /// The package's program that takes it; the running release's own where there is none.
    pub call: Option<HookCall<'a>>,
}

/// Why a copy was not made. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The medium failed.
    #[error("cannot copy the configuration")]
    Medium(#[from] io::Error),
    /// A step failed.
    #[error("the step from {} to {}: {fault}", .step.from, .step.to)]
    Step {
        /// Which one.
        step: Step,
        /// Why.
        fault: Text,
    },
}

/// One file that a copy has otherwise than its original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path below the copy.
    pub path: String,
    /// What is other about it.
    pub what: Change,
}

/// What is other about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It holds something else.
    Changed,
}

/// The configuration. The bootloader's choice of a slot is the choice of a copy, so
/// that none is ever seen by the release of the other slot.
pub trait Configuration {
    /// The version of the form of `slot`'s copy; `None` where this terminal keeps no
    /// configuration, or the slot has no copy.
    ///
    /// # Errors
    /// It cannot be read.
    fn version(&self, slot: Slot) -> io::Result<Option<u32>>;

    /// The steps for which the running release itself has programs.
    fn own(&self) -> Vec<Step>;

    /// Makes `to`'s copy anew out of `from`'s by these steps; durable when it returns,
    /// old or new after a power cut. `to` must not be startable meanwhile.
    ///
    /// # Errors
    /// Both copies are as before.
    fn copy(&mut self, from: Slot, to: Slot, steps: &[Migration<'_>]) -> Result<(), CopyError>;

    /// Makes such a copy aside, says how it differs from `from`'s, and removes it.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    fn rehearse(
        &mut self,
        from: Slot,
        steps: &[Migration<'_>],
    ) -> Result<Vec<Difference>, CopyError>;

    /// Removes the copy of `slot`, which must not be startable; none is no error.
    ///
    /// # Errors
    /// It cannot be removed.
    fn forget(&mut self, slot: Slot) -> io::Result<()>;
}
