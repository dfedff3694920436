//! `CheckHealth` and `Commit`: does the new release prove itself, and make it stay.

use super::chain;
use crate::device::{Bank, Device, DeviceError};
use crate::edges::{Runs, SlotFacts, Verdict};
use crate::job::{Job, Part};
use engine::{Event, Task};
use package::Phase;
use std::rc::Rc;
use types::{ComponentState, Effect, Outcome, Text};

/// How making the release permanent ended, short of `Ok`.
struct Missing(Text);

impl Device {
    /// Switches what switches without a boot, then asks for the release's health.
    pub(super) fn check_health(&mut self, task: &Task) -> Result<Event, DeviceError> {
        if let Some(event) = self.runs_the_old(task)? {
            return Ok(event);
        }
        let Some(job) = self.job(task) else {
            return self.failed(Outcome::JobLost, Outcome::JobLost.sentence());
        };
        for part in &job.parts {
            if let Some(Bank::Live(live)) = self.edges.banks.get_mut(&part.component.name)
                && let Err(error) = live.switch()
            {
                let what = format!("cannot switch `{}`", part.component.name);
                return self.failed(Outcome::SwitchFailed, chain(&what, &error));
            }
        }
        if let Some(event) = self.be_the_new(&job)? {
            return Ok(event);
        }
        match self.fault(task, &job)? {
            None => Ok(Event::Healthy),
            Some(why) => Ok(Event::Unhealthy(why, self.boot_id()?)),
        }
    }

    /// An agent that was switched itself judges the release only as the new one.
    fn be_the_new(&mut self, job: &Job) -> Result<Option<Event>, DeviceError> {
        let Some(own) = &mut self.edges.own else { return Ok(None) };
        if job.parts.iter().all(|part| part.component.name != *own.component()) {
            return Ok(None);
        }
        let error = match own.runs() {
            Ok(Runs::Current) => return Ok(None),
            Ok(Runs::FellBack) => {
                let why = "the new agent did not stay up".into();
                return Ok(Some(Event::Unhealthy(why, self.boot_id()?)));
            }
            Ok(Runs::Before) => match own.start_anew() {
                Ok(never) => match never {},
                Err(error) => error,
            },
            Err(error) => error,
        };
        let what = chain("the agent cannot become the new one", &error);
        self.failed(Outcome::SwitchFailed, what).map(Some)
    }

    /// What is wrong with the new release. A person's word counts more than any check.
    fn fault(&mut self, task: &Task, job: &Job) -> Result<Option<Text>, DeviceError> {
        if let Some(fault) = self.run_hooks(task, job, Phase::AfterBoot)? {
            return Ok(Some(fault));
        }
        match self.edges.health.check() {
            Verdict::Healthy => self.run_hooks(task, job, Phase::Health),
            Verdict::Told => Ok(None),
            Verdict::Unhealthy(why) => Ok(Some(why)),
        }
    }

    /// The bootloader returned to the old slot while the new one was on trial.
    fn runs_the_old(&self, task: &Task) -> Result<Option<Event>, DeviceError> {
        let start = self.start_facts()?;
        let old = task.target.is_some_and(|target| target != start.slot);
        Ok(old.then_some(Event::Booted(start)))
    }

    /// Makes the release permanent: running slot good, floors raised, switches kept,
    /// and then what has no second copy.
    pub(super) fn commit(&mut self, task: &Task) -> Result<Option<Event>, DeviceError> {
        if let Some(event) = self.runs_the_old(task)? {
            return Ok(Some(event));
        }
        if let Err(error) = self.mark_good(task) {
            // The release is healthy: it stays on trial and this is tried again.
            self.rest_after_failure();
            let _ = error;
            return Ok(None);
        }
        let Some(job) = self.job(task) else {
            let why = "the floors were not raised, because the job file was lost";
            return Ok(Some(Event::Committed(Outcome::Partial, why.into())));
        };
        let missing = self.make_permanent(&job)?;
        let fault = self.run_hooks(task, &job, Phase::AfterCommit)?;
        let (outcome, detail) = match missing {
            // The release stays: what its last hook did not do is told, and no more.
            None => (Outcome::Ok, fault.unwrap_or_default()),
            Some(Missing(why)) => (Outcome::Partial, why),
        };
        self.worked();
        Ok(Some(Event::Committed(outcome, detail)))
    }

    fn mark_good(&mut self, task: &Task) -> Result<(), DeviceError> {
        let Some(target) = task.target else { return Ok(()) };
        if self.edges.boot.slot(target)? != SlotFacts::Good {
            self.edges.boot.mark_running_good()?;
        }
        Ok(())
    }

    fn make_permanent(&mut self, job: &Rc<Job>) -> Result<Option<Missing>, DeviceError> {
        let mut missing = None;
        let direct = |part: &&Part| part.component.effect == Effect::Direct;
        let (last, first): (Vec<_>, Vec<_>) = job.parts.iter().partition(direct);
        for part in first.into_iter().chain(last) {
            let name = &part.component.name;
            if let Err(error) = self.keep(part, job.manifest.rollback_index) {
                let why = chain(&format!("cannot apply `{name}`"), &error);
                missing.get_or_insert(Missing(why));
                continue;
            }
            if part.component.effect != Effect::Slot {
                let state = state_of(job, part);
                self.change_inventory(|inventory| inventory.put_beside(name, state))?;
            }
        }
        self.change_inventory(|inventory| inventory.forgive(job.release))?;
        Ok(missing)
    }

    fn keep(&mut self, part: &Part, index: u64) -> std::io::Result<()> {
        let name = &part.component.name;
        match self.edges.banks.get_mut(name) {
            Some(Bank::Live(live)) => live.keep()?,
            Some(Bank::Direct(direct)) => direct.apply()?,
            Some(Bank::Slots(..) | Bank::System(_)) | None => {}
        }
        self.edges.floors.raise(name.as_str(), index)
    }
}

/// What is installed when `part` is.
pub(crate) fn state_of(job: &Job, part: &Part) -> ComponentState {
    ComponentState {
        version: job.manifest.version_of(&part.component).clone(),
        image: part.component.image.sha256,
    }
}
