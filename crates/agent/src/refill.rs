//! Gives a trusted slot the tries back that boots took, once in each boot.
//!
//! Only bootloaders that count every boot ask for it, and those that have lost their
//! memory. A release that is not healthy gets nothing back, so that it is left when
//! its tries are used up.

use crate::device::{Device, DeviceError};
use crate::edges::Verdict;
use engine::State;

/// Whether this boot has given back what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refill {
    /// Not yet looked at.
    Due,
    /// Done, or nothing to do.
    Done,
}

impl Device {
    /// While a release is on trial this is for the trial to do.
    pub(crate) fn refill(&mut self) -> Result<(), DeviceError> {
        if self.refill == Refill::Done || self.is_on_trial() {
            return Ok(());
        }
        if self.edges.boot.is_spent()? {
            if self.edges.health.check_trusted() != Verdict::Healthy {
                return Ok(());
            }
            self.edges.boot.mark_running_good()?;
        }
        self.refill = Refill::Done;
        Ok(())
    }

    fn is_on_trial(&self) -> bool {
        match self.state {
            State::Idle { .. }
            | State::Ordered { .. }
            | State::Staging { .. }
            | State::Checking { .. }
            | State::Entering { .. }
            | State::Installing { .. }
            | State::Verifying { .. }
            | State::Reporting { .. } => false,
            State::Lost
            | State::Activating { .. }
            | State::Rebooting { .. }
            | State::Confirming { .. }
            | State::Committing { .. }
            | State::RollingBack { .. } => true,
        }
    }
}
