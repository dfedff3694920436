//! Two images become a patch.
//!
//! Old and new are compared as a whole (`index`, `cover`), what nothing old
//! explains is looked for in new itself (`earlier`), and spans are cut and coded
//! (`spans`). The same input and options give the same bytes, whatever the
//! number of threads.

mod cover;
mod earlier;
mod index;
mod spans;

use crate::apply::Limits;
use crate::patch::{Image, PatchHeader};
use alloc::vec::Vec;
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
    /// Bytes of memory that making it may take, beside the two images.
    pub memory: u64,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { max_heap: 16 << 20, effort: Effort::Best, threads: 0, memory: u64::MAX }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
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
    let window_log = crate::apply::window_log(&Limits { heap: options.max_heap });
    let (window_log, heap) =
        window_log.map_err(|least| DiffError::Heap { least, limit: options.max_heap })?;
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let index = index::Index::new(old, options, progress)?;
    let covers = cover::covers(&index, old, new, threads, progress);
    drop(index);
    let header = PatchHeader {
        source: image(old),
        target: image(new),
        heap,
        window_log,
        cache: 0,
        work: [0; 3],
        libraries: [0; 3],
    };
    Ok(spans::write(&header, old, new, &covers, progress))
}

fn image(bytes: &[u8]) -> Image {
    Image { size: bytes.len() as u64, digest: Sha256::digest(bytes).into() }
}

#[cfg(test)]
mod tests;
