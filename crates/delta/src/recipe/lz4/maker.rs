//! Makes a stream of blocks out of words and content.

use super::block::{self, MATCH_MIN, STORED};
use super::{Framing, Lz4Recipe, PLAIN_MAX, Told};
use crate::codec::Fault;
use crate::recipe::words::Words;
use crate::sequences::Sequence;
use alloc::vec::Vec;

/// Bytes of heap beside the words.
pub(super) const HEAP: u64 = 1 << 10;

const IMPOSSIBLE: Fault = "what is told leads to no blocks of LZ4";

/// Makes one stream.
pub(crate) struct Maker {
    told: Told,
    framing: Framing,
    /// Bytes of content.
    content: u64,
    /// Words that are still to come.
    wanted: usize,
    words: Vec<u8>,
    /// Bytes of words that were used.
    at: usize,
    doing: Doing,
}

#[derive(Clone, Copy)]
enum Doing {
    /// Words come in.
    Words,
    /// A block is next.
    Block,
    /// A sequence is next.
    Sequence,
    /// So many literals are to come, then what stands behind them.
    Literals { left: usize, sequence: Sequence },
    /// So many bytes of a stored block are to come.
    Stored { left: usize },
    /// So many bytes of a match are to come.
    Match { left: usize },
    /// Nothing is.
    Done,
}

impl Maker {
    /// Of `plain` bytes of words and content.
    pub(crate) fn new(recipe: Lz4Recipe, told: &[u8], plain: u64) -> Result<Self, Fault> {
        let told = Told::read(told).map_err(|_| IMPOSSIBLE)?;
        let content = plain.checked_sub(told.words as u64).ok_or(IMPOSSIBLE)?;
        if !recipe.told || plain > PLAIN_MAX {
            return Err(IMPOSSIBLE);
        }
        let (framing, wanted) = (recipe.framing, told.words);
        let words = Vec::with_capacity(wanted);
        Ok(Self { told, framing, content, wanted, words, at: 0, doing: Doing::Words })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (words, mut plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        if self.wanted > 0 {
            return Ok(());
        }
        if let Doing::Words = self.doing {
            check(&self.words, self.framing, self.content).ok_or(IMPOSSIBLE)?;
            out.extend_from_slice(&self.told.head);
            self.doing = Doing::Block;
        }
        loop {
            self.doing = match self.doing {
                Doing::Words => return Err(IMPOSSIBLE),
                Doing::Block => self.begin(out)?,
                Doing::Sequence => {
                    let sequence = self.next()?;
                    block::put_before(out, &sequence);
                    Doing::Literals { left: sequence.literals as usize, sequence }
                }
                Doing::Literals { left: 0, sequence } => {
                    block::put_behind(out, &sequence);
                    match sequence.length {
                        0 => Doing::Block,
                        length => Doing::Match { left: length as usize },
                    }
                }
                Doing::Stored { left: 0 } => Doing::Block,
                Doing::Match { left: 0 } => Doing::Sequence,
                Doing::Done if plain.is_empty() => return Ok(()),
                Doing::Done => return Err(IMPOSSIBLE),
                _ if plain.is_empty() => return Ok(()),
                Doing::Literals { left, sequence } => {
                    let left = left - copy(&mut plain, left, Some(out));
                    Doing::Literals { left, sequence }
                }
                Doing::Stored { left } => {
                    Doing::Stored { left: left - copy(&mut plain, left, Some(out)) }
                }
                Doing::Match { left } => Doing::Match { left: left - copy(&mut plain, left, None) },
            };
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.push(&[], out)?;
        out.extend_from_slice(&self.told.tail);
        if let Doing::Done = self.doing { Ok(()) } else { Err(IMPOSSIBLE) }
    }

    fn next(&mut self) -> Result<Sequence, Fault> {
        let mut words = Words::new(self.words.get(self.at..).unwrap_or_default());
        let sequence = words.next().ok_or(IMPOSSIBLE)?;
        self.at = self.words.len() - words.left();
        Ok(sequence)
    }

    /// Begins a block, if there is one.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<Doing, Fault> {
        let rest = self.words.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Doing::Done);
        }
        let Block { size, stored, .. } = Block::read(&mut Words::new(rest)).ok_or(IMPOSSIBLE)?;
        out.resize(out.len() + self.framing.zeros(size), 0);
        let stated = size as u32 | if stored { STORED } else { 0 };
        out.extend(stated.to_le_bytes().iter().take(self.framing.size()));
        if stored {
            self.next()?;
            self.next()?;
            return Ok(Doing::Stored { left: size });
        }
        Ok(Doing::Sequence)
    }
}

/// Up to `most` bytes off the front of `plain`, which go into `out`; how many.
fn copy(plain: &mut &[u8], most: usize, out: Option<&mut Vec<u8>>) -> usize {
    let (now, later) = plain.split_at(most.min(plain.len()));
    if let Some(out) = out {
        out.extend_from_slice(now);
    }
    *plain = later;
    now.len()
}

/// What the words of a block come to.
struct Block {
    /// Its bytes.
    size: usize,
    /// Bytes of its content.
    content: u64,
    /// It is stored as it is.
    stored: bool,
}

impl Block {
    /// None where there is none, or no block can be such.
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let mut block = Self { size: 0, content: 0, stored: false };
        loop {
            let sequence = words.next()?;
            let Sequence { offset, literals, length, repeat } = sequence;
            block.content += u64::from(literals) + u64::from(length);
            (block.content <= PLAIN_MAX).then_some(())?;
            if length == 0 && block.content == 0 {
                let stored = words.next().filter(|sequence| sequence.length == 0)?;
                let (size, content) = (stored.literals as usize, stored.literals.into());
                return (content <= PLAIN_MAX).then_some(Self { size, content, stored: true });
            }
            block.size += block::cost(&sequence) + literals as usize;
            if length == 0 {
                return Some(block);
            }
            let matches = length >= MATCH_MIN && repeat == 0 && (1..=0xffff).contains(&offset);
            matches.then_some(())?;
        }
    }
}

/// Words make blocks of so many bytes of content. None of them takes more than twice its
/// content, so that what comes out is never much more than what goes in.
fn check(words: &[u8], framing: Framing, content: u64) -> Option<()> {
    let (mut words, mut left, mut count) = (Words::new(words), content, 0);
    while words.left() > 0 {
        let block = Block::read(&mut words)?;
        let takes = block.size + framing.zeros(block.size) + framing.size();
        (takes as u64 <= 2 * block.content).then_some(())?;
        (!block.stored || framing == Framing::Frame).then_some(())?;
        match framing {
            Framing::One { .. } if count > 0 => return None,
            Framing::Each { log } if block.size > 1 << log => return None,
            _ => {}
        }
        left = left.checked_sub(block.content)?;
        count += 1;
    }
    (left == 0).then_some(())
}
