//! Carries out the command of a state and says what came of it. Every command is
//! safe to perform twice: whatever was done before a cut is done again or found done.

mod activate;
mod bootloader;
mod configuration;
mod confirm;
mod file;
mod hooks;
mod inspect;
mod revert;

pub(crate) use confirm::state_of;
pub use inspect::ROOT;

use crate::device::{Device, DeviceError};
use engine::{Command, Event};
use types::{Outcome, Text};

impl Device {
    /// Performs the state's command. `None` when nothing came of it yet.
    pub(crate) fn perform(&mut self) -> Result<Option<Event>, DeviceError> {
        let state = self.state.clone();
        match state.command() {
            Command::Listen => Ok(self.heard().map(Event::Ordered)),
            Command::Recover => self.recover().map(Some),
            Command::Inspect(order) => self.inspect(order).map(Some),
            Command::Stage(task, locator, cursor) => self.stage(task, locator, cursor).map(Some),
            Command::Check(task, locator, cursor) => self.check(task, locator, cursor).map(Some),
            Command::Enter(task, since) => self.enter_recovery(task, since),
            Command::Install(task, locator, cursor) => {
                self.install(task, locator, cursor).map(Some)
            }
            Command::ReadBack(task) => self.read_back(task).map(Some),
            Command::Activate(task, since) => self.activate(task, since),
            Command::Restart(task, boot) => self.restart(task, boot).map(Some),
            Command::CheckHealth(task) => self.check_health(task).map(Some),
            Command::Commit(task) => self.commit(task),
            Command::Revert(task, boot) => self.revert(task, boot).map(Some),
            Command::File(report) => self.file(report),
        }
    }

    /// The update cannot go on.
    pub(crate) fn failed(
        &self,
        outcome: Outcome,
        detail: impl Into<Text>,
    ) -> Result<Event, DeviceError> {
        Ok(Event::Failed(outcome, detail.into(), self.boot_id()?))
    }
}

/// An error and its causes in one sentence, for a report.
pub(crate) fn chain(what: &str, error: &dyn std::error::Error) -> Text {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Text::from(text)
}
