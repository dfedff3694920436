//! `File`: the report goes into the outbox, the job file goes.

use crate::device::{Device, DeviceError};
use crate::edges::Delivered;
use crate::job::Job;
use crate::outbox::Outbox;
use crate::perform::chain;
use engine::Event;
use types::{Outcome, Report};

impl Device {
    /// Puts the report into the outbox. Where the store cannot take it, it goes
    /// straight to its source, and the update ends only when that has it.
    pub(super) fn file(&mut self, report: &Report) -> Result<Option<Event>, DeviceError> {
        let mut outbox = self.outbox()?;
        outbox.put(report.clone());
        let written = self.write(Outbox::NAME, &outbox);
        if let Err(error) = written
            && self.deliver(report) == Delivered::Later
        {
            self.set_back(Outcome::StorageFull, &chain("the report is not filed yet", &error));
            return Ok(None);
        }
        self.keep_log();
        let removed = self.edges.store.remove(Job::NAME);
        removed.map_err(|e| DeviceError::Document(Job::NAME, "remove", e))?;
        self.clear_stage();
        self.work.forget();
        self.worked();
        self.ask_soon();
        Ok(Some(Event::Filed))
    }
}
