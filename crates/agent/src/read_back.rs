//! `ReadBack`: every byte, from the medium and not from a cache, against the signed
//! chunk digests.

use crate::device::{Device, DeviceError, ReadBack};
use crate::job::{Job, Part};
use crate::perform::state_of;
use engine::{Cursor, Event, Task};
use types::{Effect, Outcome};

impl Device {
    /// Reads back what was written, and enters it into the inventory when it is sound.
    pub(crate) fn read_back(&mut self, task: &Task) -> Result<Event, DeviceError> {
        let Some(job) = self.job(task) else {
            return self.failed(Outcome::JobLost, Outcome::JobLost.sentence());
        };
        if self.options.read_back == ReadBack::Full {
            for (index, part) in (0..).zip(&job.parts) {
                if let Some(chunk) = self.first_unsound(task, part) {
                    return Ok(Event::Unsound(Cursor::start_of(index).again_from(chunk)));
                }
            }
        }
        if let Err(error) = self.enter(task, &job) {
            return self.flash_failed(&error.into_io());
        }
        Ok(Event::Sound(self.boot_id()?))
    }

    /// The first chunk that cannot be read or is not what was signed.
    fn first_unsound(&mut self, task: &Task, part: &Part) -> Option<u32> {
        let image = &part.component.image;
        let bank = self.edges.banks.get_mut(&part.component.name);
        let Some(bank) = bank else { return Some(0) };
        let medium = bank.medium(task.target);
        let buffer = &mut self.work.buffer;
        (0..image.chunk_count()).find(|&chunk| {
            let (at, len) = image.chunk_span(chunk);
            buffer.resize(usize::try_from(len).unwrap_or(0));
            medium.read_back(at, buffer.bytes_mut()).is_err()
                || part.chunks.prove(chunk, buffer.bytes()).is_err()
        })
    }

    fn enter(&mut self, task: &Task, job: &Job) -> Result<(), DeviceError> {
        let Some(target) = task.target else { return Ok(()) };
        self.change_inventory(|inventory| {
            for part in job.parts.iter().filter(|p| p.component.effect == Effect::Slot) {
                inventory.put_slot(target, &part.component.name, state_of(job, part));
            }
        })
    }
}
