//! The package's own programs around an update, phase by phase, and what they said.

use crate::device::{Device, DeviceError};
use crate::edges::{HookCall, HookEnd};
use crate::job::Job;
use crate::log::Said;
use engine::Task;
use package::{Hook, Phase};
use types::{AttemptId, Seconds, Text};

impl Device {
    /// Runs the hooks of `phase`, in order, up to the first that does not pass; returns
    /// why it did not. Each may run more than once: after a cut, and on each try.
    pub(crate) fn run_hooks(
        &mut self,
        task: &Task,
        job: &Job,
        phase: Phase,
    ) -> Result<Option<Text>, DeviceError> {
        if job.manifest.hooks.iter().all(|hook| hook.phase != phase) {
            return Ok(None);
        }
        let variables = self.variables(task, job, phase)?;
        for hook in job.manifest.hooks.iter().filter(|hook| hook.phase == phase) {
            let ended = self.edges.hooks.run(&call(hook, job, &variables));
            let fault = ended.fault.clone();
            self.log_hook(task.attempt, hook, ended);
            if let Some(fault) = fault {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    /// What a hook is told.
    pub(crate) fn variables(
        &self,
        task: &Task,
        job: &Job,
        phase: Phase,
    ) -> Result<Vec<(&'static str, String)>, DeviceError> {
        let mut variables = vec![
            ("REFIT_PHASE", phase.as_str().to_string()),
            ("REFIT_ATTEMPT", task.attempt.to_string()),
            ("REFIT_PRODUCT", job.manifest.product.to_string()),
            ("REFIT_VERSION", job.manifest.version.to_string()),
            ("REFIT_SLOT", self.edges.boot.running()?.to_string()),
        ];
        variables.extend(task.target.map(|target| ("REFIT_TARGET", target.to_string())));
        Ok(variables)
    }

    /// Keeps what a hook said. That there is no room for it does not stop an update.
    fn log_hook(&mut self, attempt: AttemptId, hook: &Hook, ended: HookEnd) {
        let name = hook.command.first().cloned().unwrap_or_default();
        let fault = ended.fault.map(|fault| fault.as_str().to_string());
        let (phase, said) = (hook.phase.as_str().into(), ended.said);
        self.log(attempt, Said { phase, name, fault, said, ..Said::default() });
    }
}

/// A hook of the job, ready to run.
pub(crate) fn call<'a>(
    hook: &'a Hook,
    job: &'a Job,
    variables: &'a [(&'static str, String)],
) -> HookCall<'a> {
    HookCall {
        phase: hook.phase,
        command: &hook.command,
        program: job.program(hook),
        limit: Seconds(hook.limit_seconds),
        variables,
    }
}
