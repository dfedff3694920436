//! `Revert`: return to the old release. `Recover`: what to do without a journal.

use super::chain;
use crate::device::{Device, DeviceError};
use crate::edges::SlotFacts;
use engine::{BootId, Event, State, Task};
use package::Phase;
use types::{Name, Outcome, Slot};

impl Device {
    /// Undoes switches, disarms the new slot, and restarts when it is the one that runs.
    pub(super) fn revert(&mut self, task: &Task, decided: BootId) -> Result<Event, DeviceError> {
        // The way back does not wait for room in the store.
        if let Err(error) = self.remember_failure(task) {
            self.set_back(Outcome::StorageFull, &chain("a failure is not remembered", &error));
        }
        if let Err(error) = self.switch_all_back() {
            return Ok(Event::Stuck(chain("cannot switch back", &error)));
        }
        let event = match task.target {
            None => Event::Reverted,
            Some(target) => self.leave(target, decided)?,
        };
        if event == Event::Reverted
            && let Some(job) = self.job(task)
        {
            // What they say is kept in the log; the old release runs either way.
            self.run_hooks(task, &job, Phase::AfterRollback)?;
        }
        Ok(event)
    }

    fn leave(&mut self, target: Slot, decided: BootId) -> Result<Event, DeviceError> {
        let start = self.start_facts()?;
        if self.edges.boot.slot(target.other())? != SlotFacts::Good {
            return Ok(Event::Stuck("the other slot is not known to be good".into()));
        }
        if start.slot == target && start.boot != decided {
            return Ok(Event::Returned(start.boot));
        }
        if let Err(error) = self.edges.boot.set_unbootable(target) {
            return Ok(Event::Stuck(chain("cannot disarm the slot", &error)));
        }
        if start.slot != target {
            if let Err(error) = self.edges.configuration.forget(target) {
                let why = chain("the other slot's configuration is not removed", &error);
                self.set_back(Outcome::WriteFailed, &why);
            }
            return Ok(Event::Reverted);
        }
        self.keep_log();
        match self.edges.power.restart() {
            Ok(never) => match never {},
            Err(error) => Ok(Event::Stuck(chain("cannot restart", &error))),
        }
    }

    /// A release that did not boot or was not healthy is not tried again unasked.
    fn remember_failure(&mut self, task: &Task) -> Result<(), DeviceError> {
        let State::RollingBack { why, .. } = self.state else { return Ok(()) };
        if !matches!(why, Outcome::BootFailed | Outcome::Unhealthy | Outcome::SwitchFailed) {
            return Ok(());
        }
        match self.job(task) {
            Some(job) => self.change_inventory(|inventory| inventory.remember_failure(job.release)),
            None => Ok(()),
        }
    }

    /// Without a journal: a trusted running slot stays, and the other one is disarmed; a
    /// running slot on trial was never confirmed.
    pub(super) fn recover(&mut self) -> Result<Event, DeviceError> {
        let start = self.start_facts()?;
        let source = self.edges.sources.first();
        let source = source.map_or_else(Name::unknown, |source| source.name().clone());
        // A recovery on trial was entered for what nobody knows of any more.
        let layout = self.options.layout;
        let trusted = self.edges.boot.slot(start.slot)? == SlotFacts::Good;
        if !trusted && !layout.is_recovery(start.slot) {
            return Ok(Event::Unconfirmed(source, start.slot, start.boot));
        }
        let other = start.slot.other();
        let on_trial = matches!(self.edges.boot.slot(other)?, SlotFacts::Trial { .. });
        if on_trial && !layout.is_recovery(other) {
            self.edges.boot.set_unbootable(other)?;
        }
        Ok(Event::Sane(source))
    }
}
