//! `ReadBack`: every byte, from the medium and not from a cache, against the signed
//! chunk digests.

use crate::aligned::Aligned;
use crate::device::{Device, DeviceError, ReadBack};
use crate::edges::Flash;
use crate::job::{Job, Part};
use crate::perform::state_of;
use engine::{Cursor, Event, Task};
use std::io;
use std::ops::Range;
use types::{Effect, Image, Outcome};

/// Bytes that are read at once, in few requests to the medium: no worker needs memory
/// meanwhile.
const AT_ONCE: u32 = Image::CHUNK_MAX;

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
        let count = image.chunk_count();
        let at_once = (AT_ONCE / image.chunk_size.max(1)).max(1);
        (0..count).step_by(usize::try_from(at_once).unwrap_or(1)).find_map(|first| {
            let chunks = first..first.saturating_add(at_once).min(count);
            match unsound(medium, buffer, part, chunks.clone()) {
                Ok(found) => found,
                // Which of them it is that cannot be read.
                Err(_) => chunks.into_iter().find(|&chunk| {
                    !matches!(unsound(medium, buffer, part, chunk..chunk + 1), Ok(None))
                }),
            }
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

/// The first of `chunks` that is not what was signed.
fn unsound(
    medium: &mut dyn Flash,
    buffer: &mut Aligned,
    part: &Part,
    chunks: Range<u32>,
) -> io::Result<Option<u32>> {
    let image = &part.component.image;
    let (at, _) = image.chunk_span(chunks.start);
    let (last, len) = image.chunk_span(chunks.end.saturating_sub(1));
    let len = (last + u64::from(len)).saturating_sub(at);
    buffer.resize(usize::try_from(len).map_err(io::Error::other)?);
    medium.read_back(at, buffer.bytes_mut())?;
    let chunk_size = usize::try_from(image.chunk_size).map_err(io::Error::other)?;
    let mut all = chunks.zip(buffer.bytes().chunks(chunk_size.max(1)));
    Ok(all.find(|(index, chunk)| part.chunks.prove(*index, chunk).is_err()).map(|(index, _)| index))
}
