//! `Activate` and `Restart`: tell the bootloader, and start the new slot.

use super::chain;
use crate::device::{Bank, Device, DeviceError};
use crate::edges::SlotFacts;
use engine::{BootId, Event, Left, Standing, TRIES, Task};
use package::Phase;
use std::ops::ControlFlow;
use types::{Outcome, Slot};

impl Device {
    /// One boot-control write, after the source was asked once more.
    pub(super) fn activate(
        &mut self,
        task: &Task,
        since: BootId,
    ) -> Result<Option<Event>, DeviceError> {
        if let Some(over) = self.trial_is_over(task.target, since)? {
            return Ok(Some(over));
        }
        // Where only the recovery is left, there is no release to stay with.
        if self.left()? == Left::Release
            && let ControlFlow::Break(stop) = self.ask_once_more(task)?
        {
            return Ok(stop);
        }
        if let Some(failed) = self.make_ready(task)? {
            return Ok(Some(failed));
        }
        match task.target {
            None => Ok(Some(Event::Switched)),
            Some(target) => self.arm(target).map(Some),
        }
    }

    /// Whether whoever ordered it still wants it, where that can be found out now.
    pub(crate) fn ask_once_more(
        &mut self,
        task: &Task,
    ) -> Result<ControlFlow<Option<Event>>, DeviceError> {
        Ok(match self.ask_standing(&task.source)? {
            None => {
                self.rest_after_failure();
                ControlFlow::Break(None)
            }
            Some(Standing::Withdrawn) => {
                let why = Outcome::Cancelled;
                ControlFlow::Break(Some(self.failed(why, why.sentence())?))
            }
            Some(Standing::Stands) => ControlFlow::Continue(()),
        })
    }

    /// The package's last word, and the configuration for the slot. Both were had
    /// before where the slot is armed, which must not be touched then.
    fn make_ready(&mut self, task: &Task) -> Result<Option<Event>, DeviceError> {
        let Some(job) = self.job(task) else {
            return self.failed(Outcome::JobLost, Outcome::JobLost.sentence()).map(Some);
        };
        let facts = task.target.map(|target| self.edges.boot.slot(target)).transpose()?;
        if matches!(facts, Some(SlotFacts::Trial { left: 1.. })) {
            return Ok(None);
        }
        if let Some(fault) = self.run_hooks(task, &job, Phase::BeforeActivate)? {
            return self.failed(Outcome::HookFailed, fault).map(Some);
        }
        let Some(target) = task.target else { return Ok(None) };
        match self.copy_configuration(task, &job, target)? {
            Some(fault) => self.failed(Outcome::MigrationFailed, fault).map(Some),
            None => Ok(None),
        }
    }

    /// A cut right after the bootloader was told: the new slot runs already, or its
    /// tries are used up in a boot other than the one in which this was decided.
    pub(crate) fn trial_is_over(
        &self,
        target: Option<Slot>,
        since: BootId,
    ) -> Result<Option<Event>, DeviceError> {
        let Some(target) = target else { return Ok(None) };
        let start = self.start_facts()?;
        let used_up = self.edges.boot.slot(target)? == SlotFacts::Trial { left: 0 };
        let over = start.slot == target || (used_up && start.boot != since);
        Ok(over.then_some(Event::Booted(start)))
    }

    fn arm(&mut self, target: Slot) -> Result<Event, DeviceError> {
        // The old slot runs, so what was switched in an earlier try goes back first.
        if let Err(error) = self.switch_all_back() {
            return self.failed(Outcome::SwitchFailed, chain("cannot switch back", &error));
        }
        if let Err(error) = self.edges.boot.set_trial(target, TRIES) {
            return self.failed(Outcome::BootControlFailed, chain("cannot arm the slot", &error));
        }
        self.worked();
        Ok(Event::Armed(self.boot_id()?))
    }

    /// Undoes every switch that was not kept.
    pub(super) fn switch_all_back(&mut self) -> std::io::Result<()> {
        self.edges.banks.values_mut().try_for_each(|bank| match bank {
            Bank::Live(live) => live.switch_back(),
            Bank::Slots(..) | Bank::System(_) | Bank::Direct(_) | Bank::Copies(_) => Ok(()),
        })
    }

    /// Restarts, unless that boot is over already.
    pub(super) fn restart(&mut self, _: &Task, boot: BootId) -> Result<Event, DeviceError> {
        let start = self.start_facts()?;
        if start.boot != boot {
            return Ok(Event::Booted(start));
        }
        self.keep_log();
        match self.edges.power.restart() {
            Ok(never) => match never {},
            Err(error) => self.failed(Outcome::Internal, chain("cannot restart", &error)),
        }
    }
}
