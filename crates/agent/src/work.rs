//! What the loop keeps in memory of the update in progress: the job as read, and
//! the open feed. All of it can be had again after a restart.

use crate::ahead;
use crate::aligned::Aligned;
use crate::device::Device;
use crate::edges::Feed;
use crate::job::Job;
use engine::{Cursor, Locator, State, Task};
use std::rc::Rc;
use types::{Digest, Seconds, Spent};

/// The job as read, and the open feed.
#[derive(Default)]
pub(crate) struct Work {
    job: Option<(Digest, Rc<Job>)>,
    pub(crate) feed: Option<OpenFeed>,
    /// The hooks before the first byte were passed.
    pub(crate) hooked: bool,
    /// One chunk, as it came.
    pub(crate) buffer: Aligned,
}

/// A feed and where it stands.
pub(crate) struct OpenFeed {
    pub(crate) feed: Box<dyn Feed>,
    /// Its next chunk is the one this cursor names.
    pub(crate) at: Option<Cursor>,
    /// Bytes that were accounted for.
    counted: u64,
    /// Monotonic milliseconds up to which time was accounted for.
    since: u64,
}

impl Work {
    /// Drops everything that belongs to one update.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl OpenFeed {
    /// What was spent since the last call.
    pub(crate) fn spent(&mut self, now: u64) -> Spent {
        let fetched = self.feed.fetched();
        let bytes = fetched.saturating_sub(self.counted);
        self.counted = fetched;
        let seconds = now.saturating_sub(self.since) / 1000;
        self.since += seconds * 1000;
        Spent { bytes, seconds: Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)) }
    }
}

impl Device {
    /// The job of `task`; `None` when its file is gone or not the one that was accepted.
    pub(crate) fn job(&mut self, task: &Task) -> Option<Rc<Job>> {
        if let Some((digest, job)) = &self.work.job
            && *digest == task.job
        {
            return Some(Rc::clone(job));
        }
        let bytes = self.edges.store.read(Job::NAME).ok()??;
        let verified = trust::recall::<Job>(task.job, &bytes).ok()?;
        let job = Rc::new(Job::clone(&verified));
        self.work.job = Some((task.job, Rc::clone(&job)));
        Some(job)
    }

    /// The open feed, opened now if there is none.
    pub(crate) fn feed(&mut self, locator: &Locator) -> Result<OpenFeed, crate::edges::FeedError> {
        if let Some(open) = self.work.feed.take() {
            return Ok(open);
        }
        let since = self.edges.clock.now().monotonic;
        let feed = self.edges.feeds.open(locator.as_str())?;
        Ok(OpenFeed { feed, at: None, counted: 0, since })
    }

    /// Bytes of the images that are durable, and bytes in all; of the payloads, as long as
    /// the package is fetched before anything is written.
    pub(crate) fn progress(&mut self) -> (u64, u64) {
        let Some(task) = self.state.task().cloned() else { return (0, 0) };
        let Some(job) = self.job(&task) else { return (0, 0) };
        let total = job.image_bytes();
        let done = match &self.state {
            State::Installing { cursor, .. } => durable(&job, *cursor),
            State::Staging { cursor, .. } => return ahead::kept(&job, *cursor),
            _ => total,
        };
        (done, total)
    }
}

/// Bytes of the images before `cursor`.
fn durable(job: &Job, cursor: Cursor) -> u64 {
    let before = job.parts.iter().take(usize::from(cursor.component));
    let before: u64 = before.map(|part| part.component.image.size).sum();
    let part = job.parts.get(usize::from(cursor.component));
    let within = part.map_or(0, |p| p.component.image.chunk_span(cursor.chunk).0);
    before + within
}
