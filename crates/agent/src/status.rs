//! What a person or a script is told about this terminal.

use crate::device::{Device, DeviceError};
use crate::log::Log;
use crate::outbox::Outbox;
use crate::switches::Switches;
use engine::{Gate, Left, State};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use types::{AttemptId, DeviceId, Name, Report, Running, Slot, Version};

/// What runs, what goes on, and why nothing more does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub phase: Cow<'static, str>,
    /// The attempt in progress.
    pub attempt: Option<AttemptId>,
    /// The version that is being installed.
    pub version: Option<Version>,
    /// Bytes of the images that are durable; of the payloads, as long as the package is
    /// fetched before anything is written.
    pub done: u64,
    /// The same in all.
    pub total: u64,
    /// Why nothing moves, as a sentence; absent when something does or nothing has to.
    pub waiting: Option<String>,
    /// The same as a stable word.
    pub why: Option<Cow<'static, str>>,
    /// Why the last question to a source was not answered, or the update came no
    /// further.
    pub trouble: Option<String>,
    /// Why the hardware's watchdog is not fed, where one is to be. An agent says so that
    /// runs.
    #[serde(default)]
    pub watchdog: Option<String>,
    /// Which rule a source named when it last answered, as a sentence.
    pub rule: Option<String>,
    /// What is offered, once it was looked at.
    pub offered: Option<Offered>,
    /// Reports that nobody has confirmed yet.
    pub undelivered: usize,
    /// How the last attempt ended.
    pub last: Option<Report>,
    /// The owner's switches.
    pub switches: Switches,
    /// What programs of packages said during the last attempt.
    pub log: Log,
}

impl Status {
    /// Whether an owner's word about the attempt in progress still counts: from its
    /// activation on none does.
    pub fn can_be_answered(&self) -> bool {
        matches!(&*self.phase, "inspecting" | "downloading" | "verifying")
    }

    /// The report of `attempt`, where it waits for room in the outbox.
    pub fn unfiled(&self, attempt: AttemptId) -> Option<&Report> {
        let waits = self.phase == "reporting" && self.trouble.is_some();
        self.last.as_ref().filter(|last| waits && last.attempt == attempt)
    }
}

/// What is said where only the recovery is left.
const NO_SYSTEM: &str = "the recovery runs, because no system can be started; an update from \
                         the server, a card or the page installs one";

/// The most bytes of release notes that are passed on.
const NOTES_MAX: usize = 4 << 10;

/// What an owner is told about a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Bytes that are fetched, as far as is known before.
    pub bytes: u64,
    /// The maker's notes, in English or else in any language.
    pub notes: Option<String>,
}

impl Device {
    /// What the package in progress brings.
    fn offered(&mut self) -> Option<Offered> {
        let task = self.state.task()?.clone();
        let job = self.job(&task)?;
        let notes = &job.manifest.notes;
        let notes = notes.get("en").or_else(|| notes.values().next());
        let notes = notes.map(|notes| {
            let cut = notes.floor_char_boundary(NOTES_MAX);
            notes.get(..cut).unwrap_or_default().to_string()
        });
        Some(Offered { bytes: job.manifest.download_size(), notes })
    }

    /// What goes on. Changes nothing.
    ///
    /// # Errors
    /// Journal, store or boot control cannot be read.
    pub fn status(&mut self) -> Result<Status, DeviceError> {
        let heartbeat = self.heartbeat()?;
        let outbox: Outbox = self.outbox()?;
        let (done, total) = heartbeat.progress;
        let (why, waiting) = self.obstacle()?;
        Ok(Status {
            device: heartbeat.device,
            product: heartbeat.product,
            slot: heartbeat.slot,
            running: heartbeat.running,
            phase: heartbeat.phase.as_str().into(),
            attempt: heartbeat.attempt.filter(|_| !self.is_idle()),
            version: self.state.task().map(|task| task.version.clone()),
            done,
            total,
            waiting,
            why: why.map(Into::into),
            trouble: self.trouble().map(str::to_string),
            watchdog: None,
            rule: self.rule().map(str::to_string),
            offered: self.offered(),
            undelivered: outbox.pending().count(),
            last: self.ended().or(outbox.last()).cloned(),
            switches: self.switches()?,
            log: self.read(Log::NAME)?,
        })
    }

    /// The report that is to be filed next.
    pub fn ended(&self) -> Option<&Report> {
        match &self.state {
            State::Reporting { report } => Some(report),
            _ => None,
        }
    }

    /// Whether only the recovery is left, and nothing goes on.
    fn is_lost(&self) -> Result<bool, DeviceError> {
        Ok(self.is_idle() && self.left()? == Left::Recovery)
    }

    /// Why nothing goes on, as a word and as a sentence: both of one look at what is around.
    fn obstacle(&mut self) -> Result<(Option<&'static str>, Option<String>), DeviceError> {
        Ok(match self.gate()? {
            Gate::Wait(reason) => {
                (Some(reason.word()), Some(reason.sentence(&self.options.rules.zone)))
            }
            Gate::Refuse(outcome) => (None, Some(outcome.to_string())),
            Gate::Go if self.is_lost()? => (Some("recovery"), Some(NO_SYSTEM.into())),
            Gate::Go => (None, None),
        })
    }
}
