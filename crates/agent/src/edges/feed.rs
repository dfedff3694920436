//! Where a package's bytes come from: fetched, parsed and decoded elsewhere, in a
//! process that may be hostile.

use engine::Cursor;
use types::{Name, Outcome, Seconds, Slot, Text};

/// Which payload is to be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSpec {
    /// The package's entry.
    pub entry: String,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The component and the bank that it goes to, where it goes to one: a delta is
    /// decoded with what the other bank holds, and with what this one holds so far.
    pub bank: Option<(Name, Slot)>,
    /// Bytes of the entry.
    pub size: u64,
    /// Bytes of the image.
    pub image_size: u64,
    /// Bytes of each chunk of the image but the last.
    pub chunk_size: u32,
}

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Each chunk as one independent Zstandard frame.
    Frames,
    /// Not at all: the entry's own bytes.
    Plain,
    /// A delta from what the bank holds that runs.
    Delta {
        /// Bytes of memory that decoding may take.
        heap: u64,
    },
}

/// A point of a payload from which decoding can start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Bytes of the image before it.
    pub out: u64,
    /// Bytes of the payload before it.
    pub input: u64,
}

/// What can be done about a feed that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same again, later.
    Later,
    /// The same again, when whoever has the bytes wants to be asked again. It is no
    /// failure.
    Held(Seconds),
    /// Another payload of the component.
    OtherPayload,
    /// Nothing.
    Never,
}

impl Retry {
    /// Whether the same may work later.
    pub fn is_later(self) -> bool {
        matches!(self, Self::Later | Self::Held(_))
    }
}

/// Why there are no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FeedError {
    /// The outcome, should it stay at that.
    pub outcome: Outcome,
    /// What happened, for people.
    pub detail: Text,
    /// What can be done.
    pub retry: Retry,
}

/// Opens feeds.
pub trait Feeds {
    /// A feed of the package at `locator`.
    ///
    /// # Errors
    /// There is none at that address, or no worker could be started.
    fn open(&mut self, locator: &str) -> Result<Box<dyn Feed>, FeedError>;

    /// Whether the package is where it was, as far as can be seen without asking
    /// anyone: a card may have been taken out.
    fn is_there(&self, _locator: &str) -> bool {
        true
    }
}

/// One package's bytes. Nothing that a feed says is trusted: documents are verified
/// and chunks are proven by the caller.
pub trait Feed {
    /// A document of the package, of at most `limit` bytes.
    ///
    /// # Errors
    /// It is not there, too large, or the way to it is broken.
    fn document(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FeedError>;

    /// The next `chunk` shall be number `at.chunk`, decoded from the reset point of `at`.
    ///
    /// # Errors
    /// The payload cannot be had from there.
    fn seek(&mut self, payload: &PayloadSpec, at: Cursor) -> Result<(), FeedError>;

    /// The next chunk of the image; returns its bytes, all of the chunk or the rest of
    /// the image. 0 when the image is complete and the payload ended with it.
    ///
    /// # Errors
    /// The payload ended early, goes on too long, cannot be decoded or fetched.
    fn chunk(&mut self, into: &mut [u8]) -> Result<usize, FeedError>;

    /// The last reset point at or before the end of the last chunk.
    fn reset(&self) -> Reset;

    /// Payload bytes fetched since this feed was opened, repeated ones included.
    fn fetched(&self) -> u64;
}
