//! Makes a stream of blocks out of words and content.

use super::block::{self, MATCH_MIN, STORED};
use super::{Framing, Lz4Recipe, PLAIN_MAX, Told};
use crate::codec::Fault;
use crate::recipe::weave::Loom;
#[cfg(any(test, feature = "diff"))]
use crate::recipe::words;
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
    /// Bytes of content, and of that which came.
    content: u64,
    done: usize,
    /// Words that are still to come before all content.
    wanted: usize,
    words: Vec<u8>,
    /// Bytes of words that were used.
    at: usize,
    loom: Loom,
    doing: Doing,
    /// The block that is being made, as its words were used so far; and its bytes as they
    /// were stated, where words come between the content.
    block: Block,
    stated: usize,
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
        let framing = recipe.framing;
        let wanted = if told.weave.is_some() { 0 } else { told.words };
        let (words, loom, block) = (Vec::with_capacity(wanted), Loom::default(), Block::default());
        let doing = Doing::Words;
        let (at, done, stated) = (0, 0, 0);
        Ok(Self { told, framing, content, done, wanted, words, at, loom, doing, block, stated })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (words, mut plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        if self.wanted > 0 {
            return Ok(());
        }
        if let Doing::Words = self.doing {
            if self.told.weave.is_none() {
                check(&self.words, self.framing, self.content).ok_or(IMPOSSIBLE)?;
            }
            out.extend_from_slice(&self.told.head);
            self.doing = Doing::Block;
        }
        loop {
            let until = self.weave(&mut plain)?;
            if until == 0 && !plain.is_empty() {
                return Err(IMPOSSIBLE);
            }
            let (mut now, later) = plain.split_at(until.min(plain.len()));
            self.done = self.done.saturating_add(now.len());
            self.spend(&mut now, out)?;
            if !now.is_empty() {
                return Err(IMPOSSIBLE);
            }
            plain = later;
            if plain.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes words off the front of what comes, where they come between the content;
    /// returns how much content comes before the next ones.
    fn weave(&mut self, plain: &mut &[u8]) -> Result<usize, Fault> {
        let Some(woven) = self.told.woven() else { return Ok(usize::MAX) };
        let content = usize::try_from(self.content).unwrap_or(usize::MAX);
        while let Some(due) = self.loom.due(woven, content) {
            if due > self.done || plain.is_empty() {
                return Ok(due.saturating_sub(self.done));
            }
            self.words.drain(..self.at);
            self.at = 0;
            self.words.reserve_exact(woven.weave.held.saturating_sub(self.words.len()));
            self.loom.take(woven, plain, &mut self.words).ok_or(IMPOSSIBLE)?;
            if self.words.len() > woven.weave.held {
                return Err(IMPOSSIBLE);
            }
        }
        Ok(content.saturating_sub(self.done))
    }

    /// Goes on as far as words and this content, all of which is used, reach.
    fn spend(&mut self, plain: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            self.doing = match self.doing {
                Doing::Words => return Err(IMPOSSIBLE),
                Doing::Block if self.waits() => return Ok(()),
                Doing::Sequence if self.waits() => return Ok(()),
                Doing::Block if self.told.weave.is_some() => self.begin_stated(out)?,
                Doing::Block => self.begin(out)?,
                Doing::Sequence => {
                    let sequence = self.next()?;
                    self.count(&sequence)?;
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
                    let left = left - copy(plain, left, Some(out));
                    Doing::Literals { left, sequence }
                }
                Doing::Stored { left } => {
                    Doing::Stored { left: left - copy(plain, left, Some(out)) }
                }
                Doing::Match { left } => Doing::Match { left: left - copy(plain, left, None) },
            };
        }
    }

    /// More words come, and none of them is there.
    fn waits(&self) -> bool {
        let content = usize::try_from(self.content).unwrap_or(usize::MAX);
        let due = self.told.woven().and_then(|woven| self.loom.due(woven, content));
        due.is_some() && self.at == self.words.len()
    }

    /// Counts a sequence of a block whose bytes were stated: no block takes more than twice
    /// its content, nor others than those bytes.
    fn count(&mut self, sequence: &Sequence) -> Result<(), Fault> {
        if self.told.weave.is_none() {
            return Ok(());
        }
        let block = &mut self.block;
        let is_over = block.add(sequence).ok_or(IMPOSSIBLE)?;
        let (is_more, is_other) = (block.size > self.stated, block.size != self.stated);
        let takes = (block.size + self.framing.size()) as u64;
        if is_more || is_over && (is_other || takes > 2 * block.content) {
            return Err(IMPOSSIBLE);
        }
        Ok(())
    }

    /// Begins a block whose bytes are stated, if there is one.
    fn begin_stated(&mut self, out: &mut Vec<u8>) -> Result<Doing, Fault> {
        if self.at == self.words.len() {
            return Ok(Doing::Done);
        }
        let Sequence { literals, length, .. } = self.next()?;
        let is_stored = literals & STORED != 0 && self.framing == Framing::Frame;
        self.stated = if is_stored { literals & !STORED } else { literals } as usize;
        self.block = Block::default();
        if length > 0 || self.stated as u64 > PLAIN_MAX || self.framing.size() == 0 {
            return Err(IMPOSSIBLE);
        }
        out.extend(literals.to_le_bytes());
        Ok(if is_stored { Doing::Stored { left: self.stored()? } } else { Doing::Sequence })
    }

    /// The content of a stored block, as its second word says.
    fn stored(&mut self) -> Result<usize, Fault> {
        let Sequence { literals, length, .. } = self.next()?;
        let is_sound = length == 0 && literals as usize == self.stated;
        if is_sound { Ok(self.stated) } else { Err(IMPOSSIBLE) }
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
#[derive(Default)]
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
        let mut block = Self::default();
        loop {
            let sequence = words.next()?;
            if sequence == Sequence::default() && block.content == 0 {
                let stored = words.next().filter(|sequence| sequence.length == 0)?;
                let (size, content) = (stored.literals as usize, stored.literals.into());
                return (content <= PLAIN_MAX).then_some(Self { size, content, stored: true });
            }
            if block.add(&sequence)? {
                return Some(block);
            }
        }
    }

    /// Adds a sequence; says whether it is the last. None if it cannot be in a block.
    fn add(&mut self, sequence: &Sequence) -> Option<bool> {
        let Sequence { offset, literals, length, repeat } = *sequence;
        self.content += u64::from(literals) + u64::from(length);
        (self.content <= PLAIN_MAX).then_some(())?;
        self.size += block::cost(sequence) + literals as usize;
        let matches = length >= MATCH_MIN && repeat == 0 && (1..=0xffff).contains(&offset);
        (length == 0 || matches).then_some(length == 0)
    }
}

/// Words where the bytes of each block are stated before it.
#[cfg(any(test, feature = "diff"))]
pub(super) fn with_heads(words: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut out) = (Words::new(words), Vec::new());
    while rest.left() > 0 {
        let before = rest.left();
        let Block { size, stored, .. } = Block::read(&mut rest)?;
        let stated = u32::try_from(size).ok()? | if stored { STORED } else { 0 };
        words::put(&mut out, Sequence { literals: stated, ..Sequence::default() });
        let block = words.get(words.len() - before..words.len() - rest.left())?;
        // A stored block's first word says no more than that.
        out.extend_from_slice(if stored { block.get(4..)? } else { block });
    }
    Some(out)
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
