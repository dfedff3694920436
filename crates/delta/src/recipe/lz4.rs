//! Blocks of LZ4 of any encoder: what it chose is told, before the content.
//!
//! A block is its sequences and nothing else, so that no library is needed to make it
//! again, and no window: what a match repeats is left out.

pub(crate) mod again;
pub(crate) mod block;
mod maker;
mod reader;

#[cfg(any(test, feature = "diff"))]
use super::weave::Mixed;
use super::weave::{Rule, Weave, Woven};
use super::{RecipeError, byte, within};
use crate::correction::{CorrectionError, number};
use alloc::vec::Vec;
pub(crate) use maker::Maker;
pub(crate) use reader::Reader;

/// What surrounds blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framing {
    /// One block behind zeros, with them a multiple of 2^`log` bytes.
    One {
        /// 0: there are no zeros.
        log: u8,
    },
    /// Each block ends with the next 2^`log` bytes, and begins behind zeros.
    Each {
        /// As a power of two.
        log: u8,
    },
    /// Each behind its size, with no end: the older form, that of kernels.
    Legacy,
    /// The frame format.
    Frame,
}

/// How blocks of LZ4 become a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lz4Recipe {
    /// What surrounds them.
    pub framing: Framing,
    /// The content begins with words.
    pub told: bool,
}

/// The largest unit of zeros, as a power of two: a page of 64 KiB.
const LOG_MAX: u8 = 16;

/// The most words and content of a stream: what is written at once for a long match or
/// run of literals is a 255th of it.
pub(crate) const PLAIN_MAX: u64 = 256 << 20;

impl Lz4Recipe {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let (form, log) = match self.framing {
            Framing::One { log } => (0, log),
            Framing::Each { log } => (1, log),
            Framing::Legacy => (2, 0),
            Framing::Frame => (3, 0),
        };
        out.extend([form, log, self.told.into()]);
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, RecipeError> {
        let (form, log, told) = (byte(bytes)?, byte(bytes)?, byte(bytes)?);
        let least = if form == 1 { 9 } else { 0 };
        let most = if form < 2 { LOG_MAX } else { 0 };
        within(log, least, most, "unit of blocks")?;
        within(told, 0, 1, "switch")?;
        let framing = match form {
            0 => Framing::One { log },
            1 => Framing::Each { log },
            2 => Framing::Legacy,
            3 => Framing::Frame,
            _ => return Err(RecipeError::Impossible("framing")),
        };
        Ok(Self { framing, told: told == 1 })
    }

    /// Bytes of heap that reading a stream of `plain` bytes takes.
    pub(super) fn decoder_heap(self, plain: u64) -> u64 {
        encoded_max(plain).saturating_add(reader::HEAP)
    }
}

impl Framing {
    /// Bytes of zeros before a block of so many bytes.
    fn zeros(self, block: usize) -> usize {
        match self {
            Self::One { log } | Self::Each { log } => block.next_multiple_of(1 << log) - block,
            Self::Legacy | Self::Frame => 0,
        }
    }

    /// Bytes of its size.
    fn size(self) -> usize {
        if matches!(self, Self::Legacy | Self::Frame) { 4 } else { 0 }
    }
}

/// The most bytes of a stream of so many bytes that is read: blocks hardly grow, and most
/// of what a page of zeros hides is a page.
pub(crate) fn encoded_max(plain: u64) -> u64 {
    plain.saturating_add(plain / 64).saturating_add(5 << 10)
}

/// Words that come between the content describe about so much of it together.
const RUN: usize = 64 << 10;

/// What a correction says of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Bytes of words.
    pub(crate) words: usize,
    /// Where they come between the content; none: all before it.
    pub(crate) weave: Option<Weave>,
    /// What stands before the first block.
    pub(crate) head: Vec<u8>,
    /// What stands behind the last one.
    pub(crate) tail: Vec<u8>,
}

/// The most bytes before the first block, and behind the last one.
const HEAD_MAX: usize = 19;
const TAIL_MAX: usize = 8;

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let size = |bytes: &mut &[u8]| {
            number(bytes).map(|size| usize::try_from(size).unwrap_or(usize::MAX))
        };
        let (words, held) = (size(&mut bytes)?, size(&mut bytes)?);
        let weave = (held > 0).then(|| Weave::read(held, &mut bytes)).transpose()?;
        let head = size(&mut bytes)?;
        let (head, tail) = bytes.split_at_checked(head).ok_or(CorrectionError::Short)?;
        if head.len() > HEAD_MAX || tail.len() > TAIL_MAX {
            return Err(CorrectionError::Size(HEAD_MAX));
        }
        Ok(Self { words, weave, head: head.to_vec(), tail: tail.to_vec() })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        crate::correction::put_number(&mut out, self.words as u64);
        let held = self.weave.as_ref().map_or(0, |weave| weave.held);
        crate::correction::put_number(&mut out, held as u64);
        self.weave.iter().for_each(|weave| weave.put(&mut out));
        crate::correction::put_number(&mut out, self.head.len() as u64);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.tail);
        out
    }

    /// Bytes of heap that making the stream takes.
    pub(super) fn heap(&self) -> u64 {
        let words = self.weave.as_ref().map_or(self.words as u64, Weave::heap);
        words.saturating_add(maker::HEAP)
    }

    /// How words come between the content, if they do.
    pub(crate) fn woven(&self) -> Option<Woven<'_>> {
        let weave = self.weave.as_ref()?;
        Some(Woven { weave, words: self.words, rule: Rule::Blocks, runs: &[], usual: RUN })
    }

    /// Puts words between the content, with what states the bytes of each block.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> Option<Mixed> {
        let words = maker::with_heads(words)?;
        (self.words, self.weave) = (words.len(), Some(Weave::default()));
        let (weave, mixed) = self.woven()?.mix(&words, content, closed, 0)?;
        self.weave = Some(weave);
        Some(mixed)
    }
}

#[cfg(test)]
pub(crate) mod tests;
