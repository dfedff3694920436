//! A stream that is told: made of words and content.
//!
//! The words are sequences. A match is one with its distance as offset, at most 32 KiB;
//! one without a match only waits for the next words. The first repeated offset begins a
//! block, behind the literals before it: its length says of what kind it is.

use super::block::{Coding, stated};
use super::codes::{Codes, Writer};
use super::{BUILT, DYNAMIC, GATHERED_MAX, LITERAL, Token};
use crate::correction::number;
use crate::recipe::words::{self, Words};
use crate::sequences::Sequence;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Bytes that say what the codes of a block are, at most: 316 lengths of at most 14 bits.
const HEAD_MAX: u32 = 640;

/// What a word of a block has as its length beside its kind.
const SHORTEST: u32 = 3;

/// Bytes that a word holds that is none of the stream's own.
const IN_WORD: usize = 3;

/// Appends the words that begin a block behind so many literals: twice its kind, and one
/// more for the last, and what has to be known of it.
pub(super) fn put_block(out: &mut Vec<u8>, literals: u32, kind: u32, head: &[u8]) {
    words::put(out, Sequence { literals, length: SHORTEST + kind, offset: 0, repeat: 1 });
    if is_followed(kind) {
        put_data(out, head.len() as u32);
        for part in head.chunks(IN_WORD) {
            let bytes = part.iter().rev();
            put_data(out, bytes.fold(0, |value, byte| value << 8 | u32::from(*byte)));
        }
    }
}

fn put_data(out: &mut Vec<u8>, value: u32) {
    words::put(out, Sequence { literals: 0, length: SHORTEST, offset: value + 1, repeat: 0 });
}

fn data(words: &mut Words<'_>) -> Option<u32> {
    let sequence = words.next().filter(|sequence| sequence.repeat == 0)?;
    sequence.offset.checked_sub(1)
}

/// Blocks that are stored and those with codes of their own say more.
fn is_followed(kind: u32) -> bool {
    matches!(kind >> 1, 0 | DYNAMIC)
}

/// What is behind the literals of a word.
enum Behind {
    /// The next word.
    Word,
    Match(Token),
    /// A block, and what is known of it.
    Block(u32, Vec<u8>),
}

/// A stream that is being made.
pub(crate) struct Speaking {
    /// The most tokens that are held.
    gathered: u64,
    block: Option<Coding>,
    /// The block is the last one.
    last: bool,
    /// Tokens that it may still have, where they are counted.
    left: u64,
    /// Literals that are to come, what is behind them, and bytes of a match whose content
    /// is to come.
    literals: u32,
    behind: Behind,
    skip: usize,
    writer: Writer,
}

impl Speaking {
    /// Holds so many tokens at most.
    pub(crate) fn new(gathered: u64) -> Option<Self> {
        (gathered <= GATHERED_MAX).then(|| Self {
            gathered,
            block: None,
            last: false,
            left: 0,
            literals: 0,
            behind: Behind::Word,
            skip: 0,
            writer: Writer::default(),
        })
    }

    /// Takes words and content, which is all used; returns how many bytes of words were.
    /// Words of a block are given together.
    pub(crate) fn push(
        &mut self,
        words: &[u8],
        mut plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let mut rest = Words::new(words);
        loop {
            if !self.content(&mut plain)? {
                break;
            }
            match core::mem::replace(&mut self.behind, Behind::Word) {
                Behind::Match(token) => {
                    self.token(token, 0)?;
                    self.skip = token.length.into();
                }
                Behind::Block(kind, head) => self.open(kind, &head)?,
                Behind::Word if rest.left() > 0 => self.word(&mut rest)?,
                Behind::Word => break,
            }
        }
        out.append(&mut self.writer.out);
        plain.is_empty().then(|| words.len() - rest.left())
    }

    /// All was said.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Option<()> {
        let whole = self.literals == 0 && self.skip == 0 && self.last;
        whole.then_some(())?;
        self.close()?;
        self.writer.align(0);
        out.append(&mut self.writer.out);
        Some(())
    }

    /// Uses content for what was said of it; whether there was enough.
    fn content(&mut self, plain: &mut &[u8]) -> Option<bool> {
        let (_, rest) = plain.split_at(self.skip.min(plain.len()));
        self.skip -= plain.len() - rest.len();
        *plain = rest;
        if self.skip > 0 {
            return Some(false);
        }
        let count = plain.len().min(usize::try_from(self.literals).ok()?);
        let (now, later) = plain.split_at(count);
        *plain = later;
        for literal in now {
            self.token(LITERAL, *literal)?;
        }
        self.literals -= count as u32;
        Some(self.literals == 0)
    }

    fn word(&mut self, words: &mut Words<'_>) -> Option<()> {
        let Sequence { literals, length, offset, repeat } = words.next()?;
        self.literals = literals;
        self.behind = match (length, repeat) {
            (0, _) => Behind::Word,
            (3..=258, 0) if (1..=0x8000).contains(&offset) => {
                Behind::Match(Token { length: length as u16, distance: offset as u16 })
            }
            (_, 1) => {
                let kind = length.checked_sub(SHORTEST)?;
                let mut head = Vec::new();
                if is_followed(kind) {
                    let len = data(words).filter(|len| *len <= HEAD_MAX)? as usize;
                    while head.len() < len {
                        let bytes = data(words)?.to_le_bytes();
                        head.extend(bytes.iter().take(IN_WORD.min(len - head.len())));
                    }
                }
                Behind::Block(kind, head)
            }
            _ => return None,
        };
        Some(())
    }

    fn token(&mut self, token: Token, literal: u8) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        self.block.as_mut()?.take(token, literal, &mut self.writer)
    }

    fn open(&mut self, kind: u32, mut head: &[u8]) -> Option<()> {
        (!self.last).then_some(())?;
        if self.block.is_some() {
            self.close()?;
        }
        self.last = kind & 1 == 1;
        let kind = kind >> 1;
        let writer = &mut self.writer;
        writer.put(self.last.into(), 1);
        // What is built is coded like what is told.
        writer.put(kind.min(DYNAMIC), 2);
        self.left = u64::MAX;
        self.block = Some(match kind {
            0 => {
                writer.align(number(&mut head).ok()? as u32);
                let length = u16::try_from(number(&mut head).ok()?).ok()?;
                writer.put(length.into(), 16);
                writer.put((!length).into(), 16);
                self.left = length.into();
                Coding::Stored
            }
            1 => Coding::Coded(Codes::fixed()),
            DYNAMIC => Coding::Coded(stated(&mut head, writer).ok()?),
            BUILT => {
                self.left = self.gathered;
                Coding::Built(Box::default(), Vec::with_capacity(self.gathered as usize))
            }
            _ => return None,
        });
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let block = self.block.take()?;
        // A stored block has said how long it is.
        (!matches!(block, Coding::Stored) || self.left == 0).then_some(())?;
        block.end(&mut self.writer)
    }
}
