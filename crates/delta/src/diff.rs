//! Two images become a patch.
//!
//! Old and new are compared as a whole (`index`, `cover`), what nothing old
//! explains is looked for in new itself (`earlier`), and spans are cut and coded
//! (`spans`). The same input and options give the same bytes, whatever the
//! number of threads.

mod budget;
mod cover;
mod earlier;
mod ends;
mod farthest;
mod flat;
mod grid;
mod index;
mod lists;
mod memory;
mod moves;
mod near;
mod packed;
mod pieces;
mod plain;
mod price;
mod recent;
mod repeats;
mod resume;
mod spaces;
mod spans;
mod undo;
mod way;
mod worth;
mod written;

use crate::coder::{Moves, Space};
use crate::open::{Census, OpenOptions, Opened, Purpose, Stream, lz4, open, open_beside, tell};
use crate::patch::{Image, PatchHeader, SPAN_MAX};
use crate::verity;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use index::Find;
use memory::Memory;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use undo::Undo;

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// The smallest patch.
    #[default]
    Best,
    /// Less time for a patch that is a little larger: a third of it where comparing takes
    /// it, little less where streams are proven.
    Fast,
}

/// What a patch is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffOptions {
    /// Bytes of heap that applying it may take.
    pub max_heap: u64,
    /// How hard to look.
    pub effort: Effort,
    /// Threads that work; 0: one per core.
    pub threads: usize,
    /// Bytes of memory that comparing and writing may take, with both images and
    /// what their streams hold. When old does not fit sorted, it is sampled, as
    /// with [`Effort::Fast`], and more closely whatever there may be when it has more than
    /// 512 MiB; when what the streams hold does not fit, none is opened; what needs more
    /// to be proven stays as it is.
    pub memory: u64,
    /// Bytes of a span, about, where no stream is open: what is fetched again after a
    /// cut. Shorter spans make a longer patch; none is longer than [`SPAN_MAX`].
    pub span: usize,
}

impl Default for DiffOptions {
    fn default() -> Self {
        let span = SPAN_MAX;
        Self { max_heap: 16 << 20, effort: Effort::Best, threads: 0, memory: u64::MAX, span }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Streams of the old image are decoded.
    OpeningOld,
    /// Streams of the new image are decoded and proven.
    OpeningNew,
    /// The old image is sorted.
    Sorting,
    /// The new image is compared with it.
    Comparing,
    /// The patch is written.
    Writing,
}

/// Hears how far it is.
pub trait Progress: Sync {
    /// `done` of `all` bytes of a stage are done.
    fn reached(&self, stage: Stage, done: u64, all: u64);
}

/// Nobody listens.
impl Progress for () {
    fn reached(&self, _: Stage, _: u64, _: u64) {}
}

/// A patch, and where its bytes went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The patch.
    pub bytes: Vec<u8>,
    /// What was opened of the new image.
    pub census: Census,
    /// Where they went.
    pub explanation: Explanation,
}

/// Where the bytes of a patch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explanation {
    /// Spans.
    pub spans: u64,
    /// Bytes of header, frames and lists, and what ends the symbols of spans.
    pub lists: u64,
    /// Bytes that correct what encoders make.
    pub corrections: u64,
    /// Bytes that say, as a part of its content, what a stream's encoder chose.
    pub choices: u64,
    /// Bytes that say what comes from where.
    pub control: u64,
    /// Bytes that say how old bytes change.
    pub changes: u64,
    /// Bytes of what is new.
    pub new_bytes: u64,
    /// Bytes stored as they are.
    pub stored: u64,
    /// Bytes of a patch that takes nothing from the old image, because any other would be
    /// longer.
    pub packed: u64,
}

impl Explanation {
    /// Bytes of all parts: those of the patch.
    pub fn bytes(&self) -> u64 {
        let said = self.lists + self.corrections + self.choices + self.control;
        said + self.changes + self.new_bytes + self.stored + self.packed
    }
}

/// Why no patch was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// Less heap than any patch takes.
    #[error("a patch takes at least {least} bytes of heap; there may be {limit}")]
    Heap {
        /// What the simplest patch takes.
        least: u64,
        /// What the options allow.
        limit: u64,
    },
    /// More memory is needed than there may be.
    #[error("comparing takes {least} bytes of memory; there may be {limit}")]
    Memory {
        /// What the simplest way takes.
        least: u64,
        /// What the options allow.
        limit: u64,
    },
    /// Sorting failed.
    #[error("the old image cannot be sorted: {0}")]
    Sort(&'static str),
    /// The lists of a span are longer than a span.
    #[error("what a part of the image is made of does not fit a span")]
    Span,
}

/// Makes the patch that turns `old` into `new`. An old image that is given away is kept in
/// memory once, a borrowed one twice.
///
/// # Errors
/// The options leave too little heap or memory.
pub fn diff<'a>(
    old: impl Into<Cow<'a, [u8]>>,
    new: &[u8],
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<Delta, DiffError> {
    whole(old.into(), new, options, progress)
}

fn whole(
    old: Cow<'_, [u8]>,
    new: &[u8],
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<Delta, DiffError> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let borrowed = if matches!(old, Cow::Borrowed(_)) { old.len() } else { 0 };
    let memory = Memory::new(options, borrowed, [old.len(), new.len()]);
    memory.check()?;
    let Both { old: opened_old, new: opened_new } =
        Both::open(&old, new, options, &memory, threads, progress);
    let mut trees = verity::find::trees(new);
    // One that stays is copied.
    trees.retain(|tree| old.get(tree.range.clone()) != new.get(tree.range.clone()));
    let budget = budget::Budget::new(options, &opened_old, &opened_new, &mut trees, new.len())?;
    let plain = [&opened_old.streams, &opened_new.streams].map(|streams| plain::content(streams));
    let way = memory.way(options.effort, plain)?;
    let mut recipes = plain::Recipes::default();
    let header = header([image(&old), image(new)], &budget);
    let plain_old = plain::PlainOld::new(old, opened_old, &budget, &mut recipes);
    let mut maker = Maker { new, trees, plain_old, way, header, budget, recipes, options, threads };
    let spans::Written { mut bytes, mut explanation, .. } =
        maker.best(&opened_new.streams, progress)?;
    if let Some(shorter) = packed::packed(&maker.header, new, bytes.len(), options.max_heap) {
        let packed = shorter.len() as u64;
        bytes = shorter;
        explanation = Explanation { packed, ..Explanation::default() };
    }
    Ok(Delta { bytes, census: opened_new.census, explanation })
}

/// A larger image is one of many programs, whose addresses do not follow the moves of all:
/// to look for what does takes as long as to compare it. Its patch is written once.
const MANY_PROGRAMS: usize = 512 << 20;

/// What every way to write the patch starts from.
struct Maker<'a> {
    new: &'a [u8],
    trees: Vec<verity::find::Found>,
    plain_old: plain::PlainOld,
    way: Find,
    header: PatchHeader,
    budget: budget::Budget,
    recipes: plain::Recipes,
    options: &'a DiffOptions,
    threads: usize,
}

impl Maker<'_> {
    /// The shortest patch of those that open all `streams`, and all but those that had
    /// better stay shut.
    fn best(
        &mut self,
        streams: &[Stream],
        progress: &dyn Progress,
    ) -> Result<spans::Written, DiffError> {
        let mut shut = HashSet::new();
        let mut best = self.make(streams, &mut shut, progress)?;
        if self.options.effort == Effort::Fast || self.new.len() > MANY_PROGRAMS {
            return Ok(best);
        }
        let doubtful = core::mem::take(&mut best.doubtful);
        if !shut.is_empty() {
            best = best.or_shorter(self.make(streams, &mut shut, progress)?);
        }
        if !doubtful.is_subset(&shut) {
            shut.extend(doubtful);
            best = best.or_shorter(self.make(streams, &mut shut, progress)?);
        }
        Ok(best)
    }

    /// Writes the patch that opens all `streams` but those that are `shut`; then
    /// those are shut that cost more than they have compressed bytes. Where a terminal
    /// would decode more of the old image than is sensible, it decodes less, or nothing.
    fn make(
        &mut self,
        streams: &[Stream],
        shut: &mut HashSet<u64>,
        progress: &dyn Progress,
    ) -> Result<spans::Written, DiffError> {
        let (mut header, mut recipes) = (self.header.clone(), self.recipes.clone());
        let work = header.work_max();
        let (trees, budget) = (&self.trees, &self.budget);
        let mut new =
            plain::PlainNew::new(self.new, streams, shut, trees, budget, work, &mut recipes);
        let mut covers;
        let spaces = spaces::spaces(&self.plain_old, &new);
        (covers, header.moves) = self.compare(&mut new.bytes, &spaces, progress)?;
        self.budget.declare(&mut header);
        // Of what stands before in streams nothing may be there any more.
        if new.streams.is_empty() && new.bytes.len() <= earlier::ALL {
            let (old, window) = (&self.plain_old.bytes, 1 << header.window_log);
            covers = repeats::without_repeats(old, &new.bytes, covers, window);
        }
        plain::declare(&mut header, recipes, &new);
        let pair = spans::Pair { old: &self.plain_old, new: &new, image: self.new };
        let mut written = spans::write(&header, pair, &covers, self.options, progress)?;
        // A resume begins with nothing that was decoded before.
        header.decoded = written.decoded.saturating_mul(2).min(work);
        let dear = written.prices.dear(&new);
        written.doubtful = written.prices.doubtful(&new, written.bytes.len());
        if written.decoded > work {
            // Fewer streams may need less of old ones; else none is read.
            if shut.is_empty() && !dear.is_empty() {
                *shut = dear;
            } else {
                self.plain_old.shut();
            }
            return self.make(streams, shut, progress);
        }
        let head = header.to_bytes();
        written.bytes.splice(..head.len(), head);
        shut.extend(dear);
        Ok(written)
    }

    /// What of plain new comes from where, and the moves that addresses follow. Tables
    /// of addresses are only found once it is known what their addresses became.
    fn compare(
        &mut self,
        new: &mut Vec<u8>,
        spaces: &[Space; 2],
        progress: &dyn Progress,
    ) -> Result<(Vec<cover::Cover>, Vec<u8>), DiffError> {
        let (way, threads) = (self.way, self.threads);
        let old = &mut self.plain_old.bytes;
        let compare = |old: &[u8], new: &[u8], way: Find| {
            let index = index::Index::new(old, way, progress)?;
            Ok(cover::covers(&index, old, new, threads, progress))
        };
        let first = way.first_look(old.len());
        let covers = compare(old, new, first)?;
        if old.len() > MANY_PROGRAMS {
            return Ok((covers, Vec::new()));
        }
        let placed = spaces::placed(&covers, spaces);
        let moves = moves::find(&placed, old, new, spaces);
        let known = Moves::from_bytes(&moves).unwrap_or_default();
        let flat = flat::flat(&known, &placed, spaces, old, new);
        if flat.is_none() && first == way {
            return Ok((covers, moves));
        }
        drop((covers, placed));
        // Sorting takes most of the memory: no second old or new image beside it.
        let undo = flat.map(|flat| [Undo::replace(old, flat.old), Undo::replace(new, flat.new)]);
        let covers = compare(old, new, way);
        if let Some([undo_old, undo_new]) = undo {
            undo_old.undo(old);
            undo_new.undo(new);
        }
        let covers = covers?;
        let moves = moves::find(&spaces::placed(&covers, spaces), old, new, spaces);
        Ok((covers, moves))
    }
}

/// Both images, opened.
#[derive(Default)]
struct Both {
    old: Opened,
    new: Opened,
}

impl Both {
    fn open(
        old: &[u8],
        new: &[u8],
        options: &DiffOptions,
        memory: &Memory,
        threads: usize,
        progress: &dyn Progress,
    ) -> Self {
        let done = AtomicU64::new(0);
        let hear = |stage, all| {
            done.store(0, Ordering::Relaxed);
            let done = &done;
            move |bytes| {
                let sum = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
                progress.reached(stage, sum, all);
            }
        };
        let max_heap = options.max_heap;
        let (content, proving) = (memory.old_content(), memory.proving());
        let how = OpenOptions { purpose: Purpose::Old, max_heap, threads, content, proving };
        let mut opened_old =
            open(old, &how, &|_| false, &hear(Stage::OpeningOld, old.len() as u64));
        if opened_old.is_beyond {
            return Self::default();
        }
        let known = plain::Known::new(old, &opened_old);
        let max_heap = budget::Budget::stream_max(options);
        let content = memory.new_content(plain::content(&opened_old.streams));
        let how = OpenOptions { purpose: Purpose::New, max_heap, threads, content, proving };
        let holds = |encoded: &[u8]| known.holds(encoded);
        let spoken = tell::Spoken::new(&opened_old.streams, old);
        let hear = hear(Stage::OpeningNew, new.len() as u64);
        let opened_new = open_beside(new, &how, &holds, &spoken, &hear);
        drop(spoken);
        if opened_new.is_beyond {
            return Self::default();
        }
        let stays = |encoded: &[u8]| known.stayed(encoded);
        tell::tell(&mut opened_old.streams, old, &opened_new.streams, &stays);
        lz4::tell(&mut opened_old.streams, old, &opened_new.streams, &stays);
        Self { old: opened_old, new: opened_new }
    }
}

/// A header before anything is known but the images and how the heap is divided.
fn header([source, target]: [Image; 2], budget: &budget::Budget) -> PatchHeader {
    PatchHeader {
        source,
        target,
        heap: 0,
        window_log: 0,
        models: budget.models,
        cache: 0,
        encoders: 0,
        work: [0; 3],
        decoded: 0,
        libraries: [0; 3],
        recipes: Vec::new(),
        moves: Vec::new(),
    }
}

fn image(bytes: &[u8]) -> Image {
    Image { size: bytes.len() as u64, digest: Sha256::digest(bytes).into() }
}

#[cfg(test)]
pub(crate) use plain::content;

#[cfg(test)]
mod tests;
