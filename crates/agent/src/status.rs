//! What a person or a script is told about this terminal.

use crate::device::{Device, DeviceError};
use crate::outbox::Outbox;
use crate::switches::Switches;
use engine::{Gate, State};
use serde::Serialize;
use types::{AttemptId, DeviceId, Name, Report, Running, Slot, Version};

/// What runs, what goes on, and why nothing more does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Who it is.
    pub device: DeviceId,
    /// What it is.
    pub product: Name,
    /// Which slot runs.
    pub slot: Slot,
    /// What runs, component by component.
    pub running: Running,
    /// What it is doing: `idle`, `inspecting`, `downloading`, `verifying`, `applying`,
    /// `rebooting`, `confirming`, `rollback`, `reporting`.
    pub phase: &'static str,
    /// The attempt in progress.
    pub attempt: Option<AttemptId>,
    /// The version that is being installed.
    pub version: Option<Version>,
    /// Bytes of the images that are durable.
    pub done: u64,
    /// Bytes of the images in all.
    pub total: u64,
    /// Why nothing moves, as a sentence; absent when something does or nothing has to.
    pub waiting: Option<String>,
    /// The same as a stable word.
    pub why: Option<&'static str>,
    /// Why the last question to a source was not answered, or the update came no
    /// further.
    pub trouble: Option<String>,
    /// Which rule a source named when it last answered, as a sentence.
    pub rule: Option<String>,
    /// Reports that nobody has confirmed yet.
    pub undelivered: usize,
    /// How the last attempt ended.
    pub last: Option<Report>,
    /// The owner's switches.
    pub switches: Switches,
}

impl Device {
    /// What goes on. Changes nothing.
    ///
    /// # Errors
    /// Journal, store or boot control cannot be read.
    pub fn status(&mut self) -> Result<Status, DeviceError> {
        let heartbeat = self.heartbeat()?;
        let outbox: Outbox = self.outbox()?;
        let (done, total) = heartbeat.progress;
        Ok(Status {
            device: heartbeat.device,
            product: heartbeat.product,
            slot: heartbeat.slot,
            running: heartbeat.running,
            phase: heartbeat.phase.as_str(),
            attempt: heartbeat.attempt.filter(|_| !self.is_idle()),
            version: self.state.task().map(|task| task.version.clone()),
            done,
            total,
            waiting: self.waiting()?,
            why: self.reason()?.map(|reason| reason.word()),
            trouble: self.trouble().map(str::to_string),
            rule: self.rule().map(str::to_string),
            undelivered: outbox.pending().count(),
            last: self.ended().or(outbox.last()).cloned(),
            switches: self.switches()?,
        })
    }

    /// The report that is to be filed next.
    pub fn ended(&self) -> Option<&Report> {
        match &self.state {
            State::Reporting { report } => Some(report),
            _ => None,
        }
    }

    fn waiting(&mut self) -> Result<Option<String>, DeviceError> {
        Ok(match self.gate()? {
            Gate::Go => None,
            Gate::Wait(reason) => Some(reason.sentence(&self.options.rules.zone)),
            Gate::Refuse(outcome) => Some(outcome.to_string()),
        })
    }
}
