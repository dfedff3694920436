//! Before the only system is given up: the package is fetched into the stage, as an
//! archive of the one form, and it is looked whether it gives the signed images.
//!
//! Deliberately absent: how it is written from there. That is an install from a file.

use crate::device::{Device, DeviceError};
use crate::edges::Stage;
use crate::install::{Runs, Sink, none_left};
use crate::job::{Job, Part, Way};
use crate::perform::chain;
use crate::recovery::Staging;
use engine::{Cursor, Event, Locator, Task};
use package::{Crc32, Manifest, Skeleton};
use std::io;
use std::rc::Rc;
use types::{Outcome, Spent, Text};

/// Bytes that stay free besides what the maker's rule wants free: for the journal, the
/// outbox and the log.
const SPARE: u64 = 1 << 20;

impl Device {
    /// An order was accepted whose target runs: what comes before that is left.
    pub(crate) fn before_leaving(
        &mut self,
        task: Task,
        locator: &Locator,
    ) -> Result<Event, DeviceError> {
        let is_here = locator.as_str().starts_with('/');
        match (self.options.staging, &self.edges.stage) {
            (Staging::Never, _) | (_, None) => return Ok(Event::Away(task, self.boot_id()?)),
            (Staging::Auto, _) if is_here => return Ok(Event::AtHand(task)),
            (Staging::Auto | Staging::Always, Some(_)) => {}
        }
        match (self.no_room(&task), self.options.staging) {
            (None, _) => Ok(Event::Ahead(task)),
            (Some(why), Staging::Always) => Ok(Event::Refused(Outcome::StorageFull, why)),
            (Some(why), _) => {
                self.note_down(task.attempt, why.as_str().into());
                Ok(Event::Away(task, self.boot_id()?))
            }
        }
    }

    /// Why the package cannot be kept, if it cannot.
    fn no_room(&mut self, task: &Task) -> Option<Text> {
        let Some(skeleton) = self.job(task).and_then(|job| skeleton(&job)) else {
            return Some(none_left());
        };
        let spare = (u64::from(self.options.rules.storage) << 20).max(SPARE);
        let need = skeleton.size().saturating_add(spare);
        let stage = self.edges.stage.as_ref()?;
        match stage.room() {
            Ok(room) if room >= need => None,
            Ok(room) => {
                let (need, room) = (need.div_ceil(1 << 20), room >> 20);
                let place = stage.locator();
                Some(
                    format!("to keep it, {need} MiB are needed for `{place}`; {room} MiB are free")
                        .into(),
                )
            }
            Err(error) => Some(chain("it cannot be kept", &error)),
        }
    }

    /// Fetches from `cursor` on until the next checkpoint, and keeps what comes.
    pub(crate) fn stage(
        &mut self,
        task: &Task,
        locator: &Locator,
        cursor: Cursor,
    ) -> Result<Event, DeviceError> {
        let job = match self.take_up(task, Runs::Target)? {
            Ok(job) => job,
            Err(over) => return Ok(over),
        };
        let place = skeleton(&job).and_then(|skeleton| place_of(&job, &skeleton, cursor));
        let Some(place) = place else {
            return self.failed(Outcome::CorruptPayload, none_left());
        };
        if cursor == Cursor::default()
            && let Some(Err(error)) = self.edges.stage.as_mut().map(|stage| stage.prepare())
        {
            return self.cannot_keep(task, &error);
        }
        let event =
            self.pump_on(task, locator, cursor, (Rc::clone(&job), Sink::Stage { place }))?;
        match event {
            Event::PayloadFailed { cursor, detail, spent, .. } if has_others(&job, cursor) => {
                self.pass_over(task, &job, cursor, &detail, spent)
            }
            event => Ok(event),
        }
    }

    /// A payload does not come that is not the component's only one: what is kept has zeros
    /// in its place, and whoever looks at it goes on with another.
    fn pass_over(
        &mut self,
        task: &Task,
        job: &Job,
        cursor: Cursor,
        why: &Text,
        spent: Spent,
    ) -> Result<Event, DeviceError> {
        self.note_down(task.attempt, format!("a payload is not kept: {why}").as_str().into());
        match next_payload(job, cursor) {
            Some(next) => Ok(Event::Reached(next, spent)),
            None => self.close_stage(task, job, spent),
        }
    }

    /// Looks from `cursor` on, until the next checkpoint, whether the package gives what
    /// was signed.
    pub(crate) fn check(
        &mut self,
        task: &Task,
        locator: &Locator,
        cursor: Cursor,
    ) -> Result<Event, DeviceError> {
        let job = match self.take_up(task, Runs::Target)? {
            Ok(job) => job,
            Err(over) => return Ok(over),
        };
        self.pump_on(task, locator, cursor, (job, Sink::Nowhere))
    }

    /// All payloads are kept: what makes them a package is put around them.
    pub(crate) fn close_stage(
        &mut self,
        task: &Task,
        job: &Job,
        spent: Spent,
    ) -> Result<Event, DeviceError> {
        let (Some(skeleton), Some(stage)) = (skeleton(job), self.edges.stage.as_mut()) else {
            return self.failed(Outcome::CorruptPayload, none_left());
        };
        if let Err(error) =
            close(stage.as_mut(), &skeleton, &job.exact, self.work.buffer.bytes_mut())
        {
            return self.cannot_keep(task, &error);
        }
        match Locator::new(stage.locator()) {
            Ok(kept) => Ok(Event::Staged(kept, spent)),
            Err(error) => self.failed(Outcome::Internal, chain("it cannot be found again", &error)),
        }
    }

    /// The stage refused. Where the recovery may fetch by itself, it does.
    pub(crate) fn cannot_keep(
        &mut self,
        task: &Task,
        error: &io::Error,
    ) -> Result<Event, DeviceError> {
        let is_full = error.kind() == io::ErrorKind::StorageFull;
        if !is_full || self.options.staging == Staging::Always {
            return self.flash_failed(error);
        }
        self.note_down(task.attempt, chain("it cannot be kept", error).as_str().into());
        self.clear_stage();
        Ok(Event::Unstaged(self.boot_id()?))
    }

    /// Whether a package at `path` is the one that is kept here.
    pub(crate) fn is_stage(&self, path: &str) -> bool {
        self.edges.stage.as_ref().is_some_and(|stage| stage.locator() == path)
    }

    /// What is kept is not needed any more. What cannot be removed only takes room, until
    /// the next package comes.
    pub(crate) fn clear_stage(&mut self) {
        drop(self.edges.stage.as_mut().map(|stage| stage.remove()));
    }
}

/// Bytes of the payloads that are kept, and bytes in all.
pub(crate) fn kept(job: &Job, cursor: Cursor) -> (u64, u64) {
    let before = (cursor.component, cursor.payload);
    let (mut done, mut total) = (0, 0);
    for (place, part, way) in payloads(job) {
        total += way.size;
        if place < before {
            done += way.size;
        } else if place == before {
            let chunk_size = u64::from(part.component.image.chunk_size);
            done += u64::from(cursor.chunk).saturating_mul(chunk_size).min(way.size);
        }
    }
    (done, total)
}

/// All payloads that this agent can decode, in the order in which they are kept: their
/// component's and their own number, as a cursor has them.
fn payloads(job: &Job) -> impl Iterator<Item = ((u8, u8), &Part, Way)> {
    let parts = (0..).zip(&job.parts);
    parts.flat_map(|(n, part)| (0..).zip(part.ways()).map(move |(m, way)| ((n, m), part, way)))
}

/// The beginning of the payload behind the cursor's; `None` behind the last one.
pub(crate) fn next_payload(job: &Job, cursor: Cursor) -> Option<Cursor> {
    let before = (cursor.component, cursor.payload);
    let (component, payload) = payloads(job).map(|(place, ..)| place).find(|at| *at > before)?;
    Some(Cursor { payload, ..Cursor::start_of(component) })
}

/// Whether the cursor's component has more than one payload.
fn has_others(job: &Job, cursor: Cursor) -> bool {
    job.parts.get(usize::from(cursor.component)).is_some_and(|part| part.ways().count() > 1)
}

/// The archive that is kept: the manifest, and of each component all payloads.
fn skeleton(job: &Job) -> Option<Skeleton> {
    if job.parts.iter().any(|part| part.ways().next().is_none()) {
        return None;
    }
    let ways: Vec<Way> = payloads(job).map(|(_, _, way)| way).collect();
    let manifest = (Manifest::ENTRY, u64::try_from(job.exact.len()).ok()?);
    let payloads = ways.iter().map(|way| (way.entry.as_str(), way.size));
    Skeleton::of(std::iter::once(manifest).chain(payloads)).ok()
}

/// Where the cursor's payload is in it.
fn place_of(job: &Job, skeleton: &Skeleton, cursor: Cursor) -> Option<u64> {
    let wanted = (cursor.component, cursor.payload);
    let index = payloads(job).position(|(place, ..)| place == wanted)?;
    skeleton.entries().get(index + 1).map(|entry| entry.at)
}

/// Puts manifest, headers and directory around the payloads, whose bytes are all there.
fn close(
    stage: &mut dyn Stage,
    skeleton: &Skeleton,
    manifest: &[u8],
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut sums = vec![package::crc32(manifest)];
    for entry in skeleton.entries().iter().skip(1) {
        let mut sum = Crc32::default();
        let mut at = entry.at;
        let end = entry.at.saturating_add(entry.size);
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..len.max(1)).ok_or(io::ErrorKind::InvalidInput)?;
            match stage.read(at, piece) {
                // A payload did not come, and nothing was written behind it.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    piece.fill(0);
                    stage.write(at, piece)?;
                }
                read => read?,
            }
            sum.update(piece);
            at += piece.len() as u64;
        }
        sums.push(sum.finish());
    }
    for (at, bytes) in skeleton.bones(&sums) {
        stage.write(at, &bytes)?;
    }
    let at = skeleton.entries().first().map_or(0, |entry| entry.at);
    stage.write(at, manifest)?;
    stage.flush()
}
