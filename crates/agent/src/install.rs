//! The pump: feed → proven → flash, chunk by chunk, up to the next checkpoint. Before the
//! only system is given up, the same from the feed into the stage, and from there to
//! nothing but the proof.

use crate::ahead;
use crate::device::{Bank, Device, DeviceError};
use crate::edges::{Encoding, FeedError, PayloadSpec, Retry};
use crate::job::{Job, Part, Way};
use crate::perform::chain;
use crate::work::OpenFeed;
use engine::{Another, Cursor, Event, Locator, Task};
use package::Phase;
use std::io;
use std::rc::Rc;
use types::{Effect, Outcome, Spent, Text};

/// Chunks after which a checkpoint is due however well the payload is packed: an
/// image of zeros must not run for ever between two looks at the owner's switches.
const CHUNKS_PER_CHECKPOINT: u32 = 16;

/// Why the pump stopped before its checkpoint.
enum Stop {
    /// The feed has nothing more for now.
    Feed(FeedError),
    /// The chunk is not what was signed.
    Unproven(Text),
    /// The medium refused.
    Flash(io::Error),
}

/// What becomes of what a feed gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// Chunks of the image are proven, and written where they belong.
    Bank,
    /// The payload's own bytes are kept, its first one at this place.
    Stage {
        /// In the stage.
        place: u64,
    },
    /// Chunks of the image are proven.
    Nowhere,
}

/// Which slot runs while an update is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// The one that it is for: its package is only kept and looked at.
    Target,
    /// Another one: the update is written.
    Other,
}

/// What the pump works on.
struct Pumping {
    job: Rc<Job>,
    sink: Sink,
    open: OpenFeed,
    /// What the feed gives was paid for when it was kept.
    is_paid: bool,
    cursor: Cursor,
    /// Payload bytes at the last checkpoint.
    from: u64,
    chunks: u32,
}

impl Device {
    /// Writes from `cursor` on until the next checkpoint.
    pub(crate) fn install(
        &mut self,
        task: &Task,
        locator: &Locator,
        cursor: Cursor,
    ) -> Result<Event, DeviceError> {
        let job = match self.take_up(task, Runs::Other)? {
            Ok(job) => job,
            Err(over) => return Ok(over),
        };
        if let Some(fault) = self.asked_before(task, &job, cursor)? {
            return Ok(Event::Refused(Outcome::HookRefused, fault));
        }
        if let Some(fault) = self.cannot_rely()? {
            return self.failed(Outcome::RecoveryFailed, fault);
        }
        if let Err(error) = self.prepare(task, &job, cursor) {
            return self.flash_failed(&error);
        }
        self.pump_on(task, locator, cursor, (job, Sink::Bank))
    }

    /// The job, or what becomes of the update without it, or where the bootloader started
    /// another slot than this part of the work is done in.
    pub(crate) fn take_up(
        &mut self,
        task: &Task,
        runs: Runs,
    ) -> Result<Result<Rc<Job>, Event>, DeviceError> {
        let Some(job) = self.job(task) else {
            return self.failed(Outcome::JobLost, Outcome::JobLost.sentence()).map(Err);
        };
        let start = self.start_facts()?;
        let is_target = task.target == Some(start.slot);
        let as_meant = is_target == (runs == Runs::Target);
        Ok(if as_meant { Ok(job) } else { Err(Event::Booted(start)) })
    }

    /// Pumps from `cursor` on until the next checkpoint.
    pub(crate) fn pump_on(
        &mut self,
        task: &Task,
        locator: &Locator,
        cursor: Cursor,
        (job, sink): (Rc<Job>, Sink),
    ) -> Result<Event, DeviceError> {
        let locator = self.newest(task.attempt, locator);
        let open = match self.feed(&locator) {
            Ok(open) => open,
            Err(error) => return self.stopped(Stop::Feed(error), &job, cursor, Spent::default()),
        };
        let is_paid = sink == Sink::Nowhere || self.is_stage(locator.as_str());
        let (from, chunks) = (cursor.input, 0);
        let mut pumping = Pumping { job, sink, open, is_paid, cursor, from, chunks };
        let stop = self.pump(task, &mut pumping).err();
        self.checkpoint(task, cursor, pumping, stop)
    }

    /// The package may decide against the terminal before the first byte is written.
    fn asked_before(
        &mut self,
        task: &Task,
        job: &Job,
        cursor: Cursor,
    ) -> Result<Option<Text>, DeviceError> {
        if cursor != Cursor::default() || self.work.hooked {
            return Ok(None);
        }
        let fault = self.run_hooks(task, job, Phase::BeforeInstall)?;
        self.work.hooked = fault.is_none();
        Ok(fault)
    }

    /// Before the first byte: the bootloader must not start a half-written bank.
    fn prepare(&mut self, task: &Task, job: &Job, cursor: Cursor) -> io::Result<()> {
        let Some(part) = job.parts.get(usize::from(cursor.component)) else { return Ok(()) };
        if cursor.chunk > 0 {
            return Ok(());
        }
        if let Some(target) = task.target {
            self.edges.boot.set_unbootable(target).map_err(io::Error::other)?;
            let forgotten = self.change_inventory(|inventory| inventory.forget(target));
            forgotten.map_err(DeviceError::into_io)?;
        }
        match self.edges.banks.get_mut(&part.component.name) {
            Some(Bank::Copies(copies)) => {
                // A choice that led to nothing must not start a half-written copy.
                copies.choose(copies.running()?)?;
                copies.prepare()
            }
            Some(bank) => bank.medium(task.target).prepare(),
            None => Err(io::Error::other("this terminal has no such component")),
        }
    }

    /// Writes chunks until a checkpoint is due or the component is complete.
    fn pump(&mut self, task: &Task, pumping: &mut Pumping) -> Result<(), Stop> {
        let job = Rc::clone(&pumping.job);
        let Some(part) = job.parts.get(usize::from(pumping.cursor.component)) else {
            return Ok(());
        };
        self.position(task, part, pumping)?;
        while pumping.cursor.chunk < chunk_count(part, pumping.cursor, pumping.sink) {
            if self.checkpoint_due(part, pumping) {
                return Ok(());
            }
            self.write_chunk(task, part, pumping)?;
        }
        match pumping.open.feed.chunk(self.work.buffer.bytes_mut()) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Stop::Unproven("the payload goes on after the image".into())),
            Err(error) => Err(Stop::Feed(error)),
        }
    }

    /// Whether a cut during the next chunk could cost more than is allowed: what is not
    /// durable yet, that chunk, and the one that the feed prepares meanwhile; either may
    /// be one that does not compress, whatever came before it.
    fn checkpoint_due(&self, part: &Part, pumping: &Pumping) -> bool {
        let input = pumping.cursor.input.saturating_sub(pumping.from);
        let cost = input.saturating_add(2 * u64::from(part.component.image.chunk_size));
        let some = pumping.chunks > 0;
        some && (cost > self.options.checkpoint || pumping.chunks >= CHUNKS_PER_CHECKPOINT)
    }

    /// Makes the feed's next chunk the one that the cursor names.
    fn position(&mut self, task: &Task, part: &Part, pumping: &mut Pumping) -> Result<(), Stop> {
        let chunk_size = part.component.image.chunk_size;
        self.work.buffer.resize(usize::try_from(chunk_size).unwrap_or(0));
        if pumping.open.at == Some(pumping.cursor) {
            return Ok(());
        }
        let Way { entry, size, encoding } =
            way_of(part, pumping.cursor).ok_or_else(|| Stop::Unproven(none_left()))?;
        let (encoding, image_size) = match pumping.sink {
            Sink::Stage { .. } => (Encoding::Plain, size),
            Sink::Bank | Sink::Nowhere => (encoding, part.component.image.size),
        };
        let banked = part.component.effect == Effect::Slot;
        let bank = task.target.filter(|_| banked).map(|slot| (part.component.name.clone(), slot));
        let spec = PayloadSpec { entry, encoding, bank, size, image_size, chunk_size };
        pumping.open.at = None;
        pumping.open.feed.seek(&spec, pumping.cursor).map_err(Stop::Feed)
    }

    /// Fetch, prove, write: in this order and no other. What is kept only is proven when it
    /// is looked at.
    fn write_chunk(&mut self, task: &Task, part: &Part, pumping: &mut Pumping) -> Result<(), Stop> {
        let Pumping { open, cursor, chunks, sink, .. } = pumping;
        let got = open.feed.chunk(self.work.buffer.bytes_mut()).map_err(Stop::Feed)?;
        let bytes = self.work.buffer.bytes().get(..got).unwrap_or_default();
        let prove = || {
            let proven = part.chunks.prove(cursor.chunk, bytes);
            proven.map_err(|e| Stop::Unproven(chain("the payload is not sound", &e)))
        };
        let missing = || Stop::Flash(io::ErrorKind::NotFound.into());
        match *sink {
            Sink::Bank => {
                let bank = self.edges.banks.get_mut(&part.component.name).ok_or_else(missing)?;
                bank.medium(task.target).write(&prove()?).map_err(Stop::Flash)?;
            }
            Sink::Stage { place } => {
                let stage = self.edges.stage.as_mut().ok_or_else(missing)?;
                let at = place.saturating_add(u64::from(cursor.chunk) * chunk_size(part));
                stage.write(at, bytes).map_err(Stop::Flash)?;
            }
            Sink::Nowhere => drop(prove()?),
        }
        let reset = open.feed.reset();
        cursor.chunk += 1;
        (cursor.out, cursor.input) = (reset.out, reset.input);
        open.at = Some(*cursor);
        *chunks += 1;
        Ok(())
    }

    /// Makes what was written durable and says how far it is; a stop that came after
    /// some progress is met again by the next call, from the new cursor.
    fn checkpoint(
        &mut self,
        task: &Task,
        before: Cursor,
        pumping: Pumping,
        stop: Option<Stop>,
    ) -> Result<Event, DeviceError> {
        let Pumping { job, sink, mut open, is_paid, cursor, .. } = pumping;
        let spent = open.spent(self.edges.clock.now().monotonic);
        let spent = if is_paid { Spent { bytes: 0, ..spent } } else { spent };
        if let Some(Stop::Flash(error)) = &stop {
            return self.medium_failed(task, sink, error);
        }
        if let Err(error) = self.flush(task, &job, cursor, sink) {
            return self.medium_failed(task, sink, &error);
        }
        match stop {
            Some(_) if cursor.chunk > before.chunk => {
                self.worked();
                Ok(Event::Reached(cursor, spent))
            }
            Some(stop) => self.stopped(stop, &job, cursor, spent),
            None => self.reached(task, (job, sink), open, cursor, spent),
        }
    }

    fn medium_failed(
        &mut self,
        task: &Task,
        sink: Sink,
        error: &io::Error,
    ) -> Result<Event, DeviceError> {
        match sink {
            Sink::Stage { .. } => self.cannot_keep(task, error),
            Sink::Bank | Sink::Nowhere => self.flash_failed(error),
        }
    }

    fn flush(&mut self, task: &Task, job: &Job, cursor: Cursor, sink: Sink) -> io::Result<()> {
        match sink {
            Sink::Bank => {}
            Sink::Stage { .. } => {
                return self.edges.stage.as_mut().map_or(Ok(()), |stage| stage.flush());
            }
            Sink::Nowhere => return Ok(()),
        }
        let part = job.parts.get(usize::from(cursor.component));
        let bank = part.and_then(|part| self.edges.banks.get_mut(&part.component.name));
        bank.map_or(Ok(()), |bank| bank.medium(task.target).flush())
    }

    fn reached(
        &mut self,
        task: &Task,
        (job, sink): (Rc<Job>, Sink),
        mut open: OpenFeed,
        cursor: Cursor,
        spent: Spent,
    ) -> Result<Event, DeviceError> {
        self.worked();
        let part = job.parts.get(usize::from(cursor.component));
        let whole = part.is_none_or(|part| cursor.chunk >= chunk_count(part, cursor, sink));
        if !whole {
            self.work.feed = Some(open);
            return Ok(Event::Reached(cursor, spent));
        }
        let Some(next) = behind(&job, cursor, sink) else {
            return match sink {
                Sink::Bank => Ok(Event::Filled(spent)),
                Sink::Stage { .. } => self.close_stage(task, &job, spent),
                Sink::Nowhere => Ok(Event::Complete(self.boot_id()?)),
            };
        };
        open.at = None;
        self.work.feed = Some(open);
        Ok(Event::Reached(next, spent))
    }

    /// The pump made no progress: later, with another payload, or never.
    fn stopped(
        &mut self,
        stop: Stop,
        job: &Job,
        cursor: Cursor,
        spent: Spent,
    ) -> Result<Event, DeviceError> {
        let (outcome, detail, retry) = match stop {
            Stop::Feed(error) => (error.outcome, error.detail, error.retry),
            Stop::Unproven(why) => (Outcome::CorruptPayload, why, Retry::OtherPayload),
            Stop::Flash(error) => return self.flash_failed(&error),
        };
        match retry {
            Retry::Later => {
                self.set_back(outcome, &detail);
                Ok(Event::Stalled(outcome, detail, spent))
            }
            // Nothing failed, and what is durable stays so.
            Retry::Held(seconds) => {
                self.held(seconds, &detail);
                Ok(Event::Reached(cursor, spent))
            }
            Retry::OtherPayload => {
                let part = job.parts.get(usize::from(cursor.component));
                let next = part.and_then(|part| way_of(part, cursor.next_payload()));
                let another = next.map_or(Another::None, |_| Another::Payload);
                Ok(Event::PayloadFailed { cursor, another, outcome, detail, spent })
            }
            Retry::Never => self.failed(outcome, detail),
        }
    }

    /// The terminal's storage refused; the update is over.
    pub(crate) fn flash_failed(&mut self, error: &io::Error) -> Result<Event, DeviceError> {
        let outcome = match error.kind() {
            io::ErrorKind::StorageFull => Outcome::StorageFull,
            _ => Outcome::WriteFailed,
        };
        self.failed(outcome, chain(outcome.sentence(), error))
    }
}

/// The way that the cursor names.
pub(crate) fn way_of(part: &Part, cursor: Cursor) -> Option<Way> {
    part.ways().nth(usize::from(cursor.payload))
}

/// What comes after all that the cursor's component, or its payload, has; `None` at the end.
fn behind(job: &Job, cursor: Cursor, sink: Sink) -> Option<Cursor> {
    match sink {
        Sink::Stage { .. } => ahead::next_payload(job, cursor),
        Sink::Bank | Sink::Nowhere => {
            let next = cursor.component + 1;
            (usize::from(next) < job.parts.len()).then(|| Cursor::start_of(next))
        }
    }
}

/// How many chunks of a component there are, of its image or of the cursor's payload.
fn chunk_count(part: &Part, cursor: Cursor, sink: Sink) -> u32 {
    match sink {
        Sink::Bank | Sink::Nowhere => part.component.image.chunk_count(),
        Sink::Stage { .. } => {
            let size = way_of(part, cursor).map_or(0, |way| way.size);
            u32::try_from(size.div_ceil(chunk_size(part).max(1))).unwrap_or(u32::MAX)
        }
    }
}

fn chunk_size(part: &Part) -> u64 {
    part.component.image.chunk_size.into()
}

pub(crate) fn none_left() -> Text {
    "no payload is left that this agent can decode".into()
}
