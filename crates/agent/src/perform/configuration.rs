//! The configuration's copy for the slot that is about to be tried.

use super::chain;
use super::hooks::call;
use crate::device::{Device, DeviceError};
use crate::edges::{CopyError, Difference, Migration};
use crate::job::Job;
use engine::Task;
use engine::configuration::{Step, way};
use engine::inspect::Refusal;
use package::{Hook, Manifest, Phase};
use types::{Outcome, Slot, Text};

/// One step and the package's program for it; the running release's where it has none.
type Planned<'a> = (Step, Option<&'a Hook>);

impl Device {
    /// Whether the configuration can be brought to the form of `manifest`.
    pub(super) fn check_form(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let cannot = |error: &dyn std::error::Error| {
            Refusal::new(Outcome::NoMigration, chain("cannot look at the configuration", error))
        };
        let running = self.edges.boot.running().map_err(|e| cannot(&e))?;
        let version = self.edges.configuration.version(running).map_err(|e| cannot(&e))?;
        let Some(from) = version else { return Ok(()) };
        let to = manifest.configuration.unwrap_or(from);
        match self.plan(manifest, from, to) {
            Some(_) => Ok(()),
            None => {
                let why = format!("no steps lead from form {from} of the configuration to {to}");
                Err(Refusal::new(Outcome::NoMigration, why))
            }
        }
    }

    fn plan<'a>(&self, manifest: &'a Manifest, from: u32, to: u32) -> Option<Vec<Planned<'a>>> {
        let brought = manifest.hooks.iter().filter(|hook| hook.phase == Phase::Migrate);
        let brought = brought.filter_map(|hook| {
            let step = hook.step?;
            Some((Step { from: step.from, to: step.to }, Some(hook)))
        });
        let own = self.edges.configuration.own().into_iter().map(|step| (step, None));
        let all: Vec<Planned<'a>> = brought.chain(own).collect();
        let steps: Vec<Step> = all.iter().map(|(step, _)| *step).collect();
        let places = way(&steps, from, to)?;
        places.into_iter().map(|place| all.get(place).copied()).collect()
    }

    /// Makes the copy for slot `to`, which cannot be started now; returns why it could
    /// not be made.
    pub(super) fn copy_configuration(
        &mut self,
        task: &Task,
        job: &Job,
        to: Slot,
    ) -> Result<Option<Text>, DeviceError> {
        let running = self.edges.boot.running()?;
        let variables = self.variables(task, job, Phase::Migrate)?;
        let made = self.with_steps(job, running, &variables, |device, steps| {
            device.edges.configuration.copy(running, to, steps)
        });
        Ok(made.err().map(|error| chain("the configuration is not copied", &error)))
    }

    /// How the configuration would change by the release of `job`; nothing changes.
    pub(super) fn rehearse_configuration(
        &mut self,
        task: &Task,
        job: &Job,
    ) -> Result<Result<Vec<Difference>, CopyError>, DeviceError> {
        let running = self.edges.boot.running()?;
        let variables = self.variables(task, job, Phase::Migrate)?;
        Ok(self.with_steps(job, running, &variables, |device, steps| {
            device.edges.configuration.rehearse(running, steps)
        }))
    }

    /// Hands the steps to `take`, where there is a configuration at all.
    fn with_steps<T: Default>(
        &mut self,
        job: &Job,
        running: Slot,
        variables: &[(&'static str, String)],
        take: impl FnOnce(&mut Self, &[Migration<'_>]) -> Result<T, CopyError>,
    ) -> Result<T, CopyError> {
        let Some(from) = self.edges.configuration.version(running)? else {
            return Ok(T::default());
        };
        let to = job.manifest.configuration.unwrap_or(from);
        let no_way = || std::io::Error::other(format!("no steps lead from form {from} to {to}"));
        let planned = self.plan(&job.manifest, from, to).ok_or_else(no_way)?;
        let steps: Vec<Migration<'_>> = planned
            .into_iter()
            .map(|(step, hook)| Migration {
                step,
                call: hook.map(|hook| call(hook, job, variables)),
            })
            .collect();
        take(self, &steps)
    }
}
