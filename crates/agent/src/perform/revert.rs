//! `Revert`: return to the old release, and what to do when the journal is lost.

use super::chain;
use crate::device::{Device, DeviceError, Edges};
use crate::edges::SlotFacts;
use engine::{BootId, Event, State, Task};
use types::{AttemptId, Digest, Name, Outcome, Report, Slot, Spent, Text};

impl Device {
    /// Undoes switches, disarms the new slot, and restarts when it is the one that runs.
    pub(super) fn revert(&mut self, task: &Task, decided: BootId) -> Result<Event, DeviceError> {
        self.remember_failure(task)?;
        if let Err(error) = self.switch_all_back() {
            return Ok(Event::Stuck(chain("cannot switch back", &error)));
        }
        match task.target {
            None => Ok(Event::Reverted),
            Some(target) => self.leave(target, decided),
        }
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
            return Ok(Event::Reverted);
        }
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
}

/// Both copies of the journal are damaged: nothing is known about the update. A
/// running slot that is trusted stays and the other one is disarmed; one on trial
/// was never confirmed and is left.
pub(crate) fn without_journal(edges: &mut Edges) -> Result<State, DeviceError> {
    let running = edges.boot.running()?;
    let source = edges.sources.first().map_or_else(Name::unknown, |source| source.name().clone());
    let why = Outcome::JournalLost;
    if edges.boot.slot(running)? == SlotFacts::Good {
        if matches!(edges.boot.slot(running.other())?, SlotFacts::Trial { .. }) {
            edges.boot.set_unbootable(running.other())?;
        }
        let report = Report {
            attempt: AttemptId::default(),
            source,
            outcome: why,
            detail: why.sentence().into(),
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        };
        return Ok(State::Reporting { report });
    }
    let task = Task {
        attempt: AttemptId::default(),
        source,
        job: Digest::default(),
        version: Name::unknown(),
        target: Some(running),
        spent: Spent::default(),
    };
    let boot = edges.power.boot_id().map_err(DeviceError::BootId)?;
    let detail = Text::from(why.sentence());
    Ok(State::RollingBack { task, why, detail, failed_boots: 0, returns: 0, boot })
}
