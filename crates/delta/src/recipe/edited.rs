//! Frames of zstd whose encoder's choice is that of the linked release, put right.
//!
//! What puts a block of 128 KiB right comes shortly before its content, so that a frame can
//! be gone on with in its middle: an encoder that is told what was chosen up to there, out
//! of the frame itself, stands where it stood.

pub(crate) mod again;

use super::told::{self, Told, ToldEncoder};
use super::weave::{Loom, Rule, Weave, Woven};
use super::words::Words;
#[cfg(any(test, feature = "diff"))]
use super::zstd_frame;
use super::zstd_frame::Head;
use crate::codec::Fault;
use crate::codec::zstd::{Chooser, ZstdOptions};
use crate::correction::{CorrectionError, number, put_number};
use crate::sequences::{self, BLOCK};
use alloc::vec::Vec;

/// What a correction says of such a frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Edits {
    /// Bytes of what puts blocks right.
    pub(crate) bytes: usize,
    /// Where that comes between the content.
    pub(crate) weave: Weave,
    /// The most bytes of words of blocks that are being coded.
    pub(crate) held: usize,
    /// What stands before the first block, without the magic number.
    pub(crate) head: Vec<u8>,
    /// What stands behind the last one.
    pub(crate) tail: Vec<u8>,
}

impl Edits {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let size = |bytes: &mut &[u8]| {
            number(bytes).map(|size| usize::try_from(size).unwrap_or(usize::MAX))
        };
        let (all, waiting, held) = (size(&mut bytes)?, size(&mut bytes)?, size(&mut bytes)?);
        let weave = Weave::read(waiting, &mut bytes)?;
        let head = size(&mut bytes)?;
        let (head, tail) = bytes.split_at_checked(head).ok_or(CorrectionError::Short)?;
        if head.len() > Head::LONGEST || tail.len() > 4 {
            return Err(CorrectionError::Size(Head::LONGEST));
        }
        let (head, tail) = (head.to_vec(), tail.to_vec());
        Ok(Self { bytes: all, weave, held, head, tail })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for size in [self.bytes, self.weave.held, self.held] {
            put_number(&mut out, size as u64);
        }
        self.weave.put(&mut out);
        put_number(&mut out, self.head.len() as u64);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.tail);
        out
    }

    /// How what puts blocks right comes between the content.
    pub(crate) fn woven(&self) -> Woven<'_> {
        let (weave, words) = (&self.weave, self.bytes);
        Woven { weave, words, rule: Rule::Stated, runs: &[], usual: BLOCK }
    }

    /// Puts what puts blocks right between the content.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        records: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> Option<super::weave::Mixed> {
        let (weave, mixed) = self.woven().mix(records, content, closed, 0)?;
        self.weave = weave;
        Some(mixed)
    }

    /// What a frame is told that is coded of the same content.
    fn told(&self) -> Told {
        let weave = Some(Weave { held: self.held, early: Vec::new() });
        Told {
            weave,
            words: usize::MAX,
            head: self.head.clone(),
            tail: self.tail.clone(),
            ..Told::default()
        }
    }

    /// Bytes of heap that making a frame of `plain` bytes takes.
    pub(crate) fn heap(&self, options: ZstdOptions, plain: u64) -> u64 {
        let content = plain.saturating_sub(self.bytes as u64);
        let held = (self.held as u64).saturating_mul(2).saturating_add(self.weave.heap());
        Chooser::heap(options, content)
            .saturating_add(told::encoder_heap(options.strategy(content), splits(options)))
            .saturating_add(2 * told::WORDS_HEAP + BLOCK as u64)
            .saturating_add(held)
    }
}

/// Whether libzstd splits blocks whose sequences are known.
fn splits(options: ZstdOptions) -> bool {
    !options.has(ZstdOptions::NO_SPLIT_AFTER)
}

/// Appends what puts a block right: edits, or all of its words, whichever is shorter.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn put_right(out: &mut Vec<u8>, chosen: &[u8], wanted: &[u8]) {
    let [from, to] = [chosen, wanted].map(|words| Words::new(words).collect::<Vec<_>>());
    let edits = sequences::find(&from, &to);
    if edits.len() < wanted.len() {
        put_number(out, (edits.len() as u64) << 1);
        out.extend(edits);
    } else {
        put_words(out, wanted);
    }
}

/// Appends all words of a block in the place of what puts them right.
pub(crate) fn put_words(out: &mut Vec<u8>, words: &[u8]) {
    put_number(out, (words.len() as u64) << 1 | 1);
    out.extend_from_slice(words);
}

/// Takes what puts the next block right off the front of `records`.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn next<'a>(records: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (all, mut rest) = (*records, *records);
    let len = usize::try_from(number(&mut rest).ok()? >> 1).ok()?;
    *records = rest.get(len..)?;
    all.get(..all.len() - records.len())
}

/// How an encoder that begins in the middle is told the start of a frame: where in content
/// and edits a block's are, and bytes of what is told in their place.
#[cfg(any(test, feature = "diff"))]
pub(crate) type Replaced = (core::ops::Range<usize>, usize);

#[cfg(any(test, feature = "diff"))]
impl Edits {
    /// What is told in the place of edits where a frame is gone on with.
    pub(crate) fn replaced(&self, encoded: &[u8], plain: &[u8]) -> Option<Vec<Replaced>> {
        let words = zstd_frame::words(encoded, plain.len().checked_sub(self.bytes)?)?;
        let (mut sizes, mut told) = (Vec::new(), 0);
        let mut rest = Words::new(&words);
        while let Some(sequence) = rest.next() {
            if sequence.length == 0 {
                let mut record = Vec::new();
                let done = words.len() - rest.left();
                put_words(&mut record, words.get(told..done)?);
                sizes.push(record.len());
                told = done;
            }
        }
        let places = self.woven().places(plain)?;
        (places.len() == sizes.len()).then(|| places.into_iter().zip(sizes).collect())
    }
}

/// Makes a frame.
pub(crate) struct EditedEncoder {
    edits: Edits,
    /// Bytes of content of the whole frame, and of that which came.
    content: usize,
    done: usize,
    loom: Loom,
    /// What puts blocks right that are not complete.
    waiting: Vec<u8>,
    /// Content of the next block.
    block: Vec<u8>,
    chooser: Chooser,
    /// Words of a block: what libzstd chose, and what is wanted.
    chosen: Vec<u8>,
    words: Vec<u8>,
    encoder: ToldEncoder,
}

impl EditedEncoder {
    /// Of `plain` bytes of content and what puts it right.
    pub(crate) fn new(options: ZstdOptions, edits: Edits, plain: u64) -> Result<Self, Fault> {
        let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(edits.bytes));
        let (content, told) = (content.ok_or(IMPOSSIBLE)?, edits.told());
        let size = content as u64;
        let encoder = ToldEncoder::of(told, options.strategy(size), splits(options), content);
        Ok(Self {
            edits,
            content,
            done: 0,
            loom: Loom::default(),
            waiting: Vec::new(),
            block: Vec::with_capacity(BLOCK.min(content)),
            chooser: Chooser::new(options, size)?,
            chosen: Vec::new(),
            words: Vec::new(),
            encoder,
        })
    }

    pub(crate) fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            let until = self.take(&mut plain)?;
            if plain.is_empty() {
                return Ok(());
            }
            let room = BLOCK.saturating_sub(self.block.len()).min(until);
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.block.extend_from_slice(now);
            self.done = self.done.saturating_add(now.len());
            plain = later;
            if self.block.len() == BLOCK {
                self.code(out)?;
            }
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.block.is_empty() {
            self.code(out)?;
        }
        if self.done != self.content || !self.waiting.is_empty() {
            return Err(IMPOSSIBLE);
        }
        self.encoder.finish(out)
    }

    /// Takes what puts blocks right off the front of what comes; returns how much content
    /// comes before the next.
    fn take(&mut self, plain: &mut &[u8]) -> Result<usize, Fault> {
        let woven = self.edits.woven();
        while let Some(due) = self.loom.due(woven, self.content) {
            if due > self.done || plain.is_empty() {
                return Ok(due.saturating_sub(self.done));
            }
            self.loom.take(woven, plain, &mut self.waiting).ok_or(IMPOSSIBLE)?;
            if self.waiting.len() > woven.weave.held {
                return Err(IMPOSSIBLE);
            }
        }
        let left = self.content.saturating_sub(self.done);
        if left == 0 && !plain.is_empty() { Err(IMPOSSIBLE) } else { Ok(left) }
    }

    /// Codes the block that is complete.
    fn code(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.chooser.next(&self.block, &mut self.chosen)?;
        let mut rest = self.waiting.as_slice();
        let stated = number(&mut rest).map_err(|_| IMPOSSIBLE)?;
        let len = usize::try_from(stated >> 1).unwrap_or(usize::MAX);
        let (record, later) = rest.split_at_checked(len).ok_or(IMPOSSIBLE)?;
        self.words.clear();
        if stated & 1 == 1 {
            self.words.extend_from_slice(record);
        } else {
            sequences::retell(record, &self.chosen, &mut self.words, self.edits.held)
                .map_err(|_| IMPOSSIBLE)?;
        }
        let used = self.waiting.len() - later.len();
        self.waiting.drain(..used);
        if self.words.len() > self.edits.held || !is_block(&self.words, self.block.len()) {
            return Err(IMPOSSIBLE);
        }
        self.encoder.push(&self.words, out)?;
        self.encoder.push(&self.block, out)?;
        self.block.clear();
        Ok(())
    }
}

/// Words describe a block of so many bytes.
fn is_block(words: &[u8], content: usize) -> bool {
    let (mut words, mut left, mut ended) = (Words::new(words), content, false);
    for sequence in words.by_ref() {
        let size = (sequence.literals as usize).saturating_add(sequence.length as usize);
        let Some(rest) = left.checked_sub(size).filter(|_| !ended) else { return false };
        (left, ended) = (rest, sequence.length == 0);
    }
    left == 0 && ended && words.left() == 0
}

const IMPOSSIBLE: Fault = "what puts a frame right leads to none";

#[cfg(test)]
mod tests;
