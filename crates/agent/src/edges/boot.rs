//! What the bootloader is told, and what it says.

use std::io;
use types::{Slot, Tries};

/// What the bootloader holds of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotFacts {
    /// It never starts this slot.
    Unbootable,
    /// It tries this slot first, so many more times.
    Trial {
        /// Tries that are left; 0 when the trial is used up.
        left: u8,
    },
    /// It trusts this slot.
    Good,
}

/// Why the bootloader could not be asked or told.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} the boot control")]
pub struct BootError {
    /// `read` or `write`.
    pub verb: &'static str,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

/// The bootloader's memory. Every change is one write, durable when it returns, and
/// after a power cut old or new.
pub trait BootControl {
    /// The slot that runs now.
    ///
    /// # Errors
    /// It cannot be found out.
    fn running(&self) -> Result<Slot, BootError>;

    /// How the bootloader tries a new slot.
    fn tries(&self) -> Tries;

    /// What the bootloader holds of `slot`.
    ///
    /// # Errors
    /// Its memory cannot be read.
    fn slot(&self, slot: Slot) -> Result<SlotFacts, BootError>;

    /// Whether boots took tries from the running slot although it is trusted, or
    /// nothing is known of it any more: once it proved healthy in this boot,
    /// [`mark_running_good`](Self::mark_running_good) gives them back.
    ///
    /// # Errors
    /// Its memory cannot be read.
    fn is_spent(&self) -> Result<bool, BootError> {
        Ok(false)
    }

    /// Never start `slot`, which must not run now, or must be about to be left.
    ///
    /// # Errors
    /// Its memory cannot be written; it is as before.
    fn set_unbootable(&mut self, slot: Slot) -> Result<(), BootError>;

    /// Start `slot` next, `tries` times at most (once where that is all the
    /// bootloader can), then return to the other.
    ///
    /// # Errors
    /// Its memory cannot be written; it is as before.
    fn set_trial(&mut self, slot: Slot, tries: u8) -> Result<(), BootError>;

    /// Trust the slot that runs now.
    ///
    /// # Errors
    /// Its memory cannot be written; it is as before.
    fn mark_running_good(&mut self) -> Result<(), BootError>;

    /// Start the other slot first, which must be trusted, and trust the one that runs
    /// now behind it: it was only visited.
    ///
    /// # Errors
    /// Its memory cannot be written; it is as before.
    fn give_way(&mut self) -> Result<(), BootError>;
}
