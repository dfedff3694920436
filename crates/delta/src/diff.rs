//! Two images become a patch.
//!
//! Old and new are compared as a whole (`index`, `cover`), what nothing old
//! explains is looked for in new itself (`earlier`), and spans are cut and coded
//! (`spans`). The same input and options give the same bytes, whatever the
//! number of threads.

mod cover;
mod earlier;
mod index;
mod lists;
mod plain;
mod spans;
mod way;

use crate::open::{Census, OpenOptions, Opened, Purpose, open};
use crate::patch::{Image, PatchHeader, SPAN_MAX};
use crate::verity;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use sha2::{Digest as _, Sha256};

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// The smallest patch.
    #[default]
    Best,
    /// A third of the time for a patch that is a little larger.
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
    /// Bytes of memory that making it may take beside the two images and what
    /// their streams hold. Below about five times plain old, old is not sorted
    /// but sampled, as with [`Effort::Fast`].
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
    /// Bytes of header, frames and lists.
    pub lists: u64,
    /// Bytes that correct what encoders make.
    pub corrections: u64,
    /// Bytes that say what comes from where.
    pub control: u64,
    /// Bytes that say how old bytes change.
    pub changes: u64,
    /// Bytes of what is new.
    pub new_bytes: u64,
    /// Bytes stored as they are.
    pub stored: u64,
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
    /// Sorting failed.
    #[error("the old image cannot be sorted: {0}")]
    Sort(&'static str),
    /// The lists of a span are longer than a span.
    #[error("what a part of the image is made of does not fit a span")]
    Span,
}

/// Makes the patch that turns `old` into `new`.
///
/// # Errors
/// The options leave too little heap or memory.
pub fn diff(
    old: &[u8],
    new: &[u8],
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<Delta, DiffError> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let opened = Both::open(old, new, options, threads, progress);
    let mut trees = verity::find::trees(new);
    // One that stays is copied.
    trees.retain(|tree| old.get(tree.range.clone()) != new.get(tree.range.clone()));
    let budget = plain::Budget::new(options, &opened.old, &opened.new, &mut trees)?;
    let census = opened.new.census.clone();
    let mut recipes = plain::Recipes::default();
    let plain_old = plain::PlainOld::new(old, opened.old, &budget, &mut recipes);
    let plain_new = plain::PlainNew::new(new, opened.new, trees, &budget, &mut recipes);
    let sort = options.effort == Effort::Best
        && index::sorted_memory(plain_old.bytes.len()) <= options.memory;
    let index = index::Index::new(&plain_old.bytes, sort, progress)?;
    let covers = cover::covers(&index, &plain_old.bytes, &plain_new.bytes, threads, progress);
    drop(index);
    let mut header = PatchHeader {
        source: image(old),
        target: image(new),
        heap: 0,
        window_log: 0,
        cache: 0,
        encoders: 0,
        work: [0; 3],
        libraries: [0; 3],
        recipes: Vec::new(),
    };
    budget.declare(&mut header);
    plain::declare(&mut header, recipes, &plain_new);
    let pair = spans::Pair { old: &plain_old, new: &plain_new, image: new };
    let (bytes, explanation) = spans::write(&header, pair, &covers, options, progress)?;
    Ok(Delta { bytes, census, explanation })
}

/// Both images, opened.
struct Both {
    old: Opened,
    new: Opened,
}

impl Both {
    fn open(
        old: &[u8],
        new: &[u8],
        options: &DiffOptions,
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
        let how = OpenOptions { purpose: Purpose::Old, max_heap, threads };
        let opened_old = open(old, &how, &|_| false, &hear(Stage::OpeningOld, old.len() as u64));
        let known = plain::Known::new(old, &opened_old);
        let how = OpenOptions { purpose: Purpose::New, max_heap, threads };
        let holds = |encoded: &[u8]| known.holds(encoded);
        let opened_new = open(new, &how, &holds, &hear(Stage::OpeningNew, new.len() as u64));
        Self { old: opened_old, new: opened_new }
    }
}

fn image(bytes: &[u8]) -> Image {
    Image { size: bytes.len() as u64, digest: Sha256::digest(bytes).into() }
}

#[cfg(test)]
mod tests;
