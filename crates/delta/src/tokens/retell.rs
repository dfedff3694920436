//! Another encoder's stream, told while zlib's comes in.

use super::block::{Coding, stated};
use super::codes::{Bits, Codes, Writer};
use super::{LITERAL, Next, Token, Tokens, Told, Waits};
use crate::correction::{CorrectionError, number};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where in the edits one is.
enum Phase {
    Start,
    Keep(u64),
    Drop(u64),
    Put(u64),
    Rest,
}

/// Bytes that are read from the front.
struct Rest {
    bytes: Vec<u8>,
    at: usize,
}

impl Rest {
    fn get(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn number(&mut self) -> Result<u64, CorrectionError> {
        self.read(number)
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut &[u8]) -> Result<T, CorrectionError>,
    ) -> Result<T, CorrectionError> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let before = rest.len();
        let value = read(&mut rest);
        self.at += before - rest.len();
        value
    }

    /// Takes bytes in, at most `most` with those that wait, and forgets what was read.
    fn refill(&mut self, bytes: &[u8], most: usize) -> Result<(), CorrectionError> {
        self.bytes.drain(..self.at.min(self.bytes.len()));
        self.at = 0;
        if self.bytes.len() + bytes.len() > most {
            return Err(CorrectionError::Size(most));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// A block that is being told.
struct Block {
    coding: Coding,
    /// Tokens that are to come.
    left: u64,
}

/// A stream that is being told.
pub(crate) struct Retelling {
    granted: Waits,
    /// The most tokens that are held.
    gathered: u64,
    /// The most that waited so far.
    pub(crate) waited: Waits,
    blocks: Rest,
    edits: Rest,
    phase: Phase,
    /// Literals of a run that are still to come.
    literals: u64,
    chosen: Tokens,
    /// What zlib made, and how many bits of its first byte were read.
    made: Rest,
    bit: usize,
    /// Content that is not told yet.
    plain: Rest,
    /// A token whose content is not there yet.
    waiting: Option<Token>,
    block: Option<Block>,
    writer: Writer,
}

impl Retelling {
    /// Starts telling.
    pub(crate) fn new(told: Told) -> Self {
        let rest = |bytes| Rest { bytes, at: 0 };
        let Told { waits: granted, gathered, blocks, edits } = told;
        Self {
            granted,
            gathered,
            waited: Waits::default(),
            blocks: rest(blocks),
            edits: rest(edits),
            phase: Phase::Start,
            literals: 0,
            chosen: Tokens::new(),
            made: rest(Vec::with_capacity(granted.made)),
            bit: 0,
            plain: rest(Vec::with_capacity(granted.plain)),
            waiting: None,
            block: None,
            writer: Writer::default(),
        }
    }

    /// Takes the next bytes of the content and what zlib made meanwhile; appends what
    /// can be told by now. `all` says that nothing follows.
    pub(crate) fn push(
        &mut self,
        plain: &[u8],
        made: &[u8],
        all: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), CorrectionError> {
        self.plain.refill(plain, self.granted.plain)?;
        self.made.refill(made, self.granted.made)?;
        self.waited.plain = self.waited.plain.max(self.plain.bytes.len());
        self.waited.made = self.waited.made.max(self.made.bytes.len());
        self.tell(all)?;
        if all {
            self.writer.align(0);
            let told = self.blocks.get().is_empty() && self.plain.get().is_empty();
            if self.block.is_some() || !told {
                return Err(CorrectionError::Short);
            }
        }
        out.append(&mut self.writer.out);
        Ok(())
    }

    /// Tells blocks as far as it is known what is in them.
    fn tell(&mut self, all: bool) -> Result<(), CorrectionError> {
        loop {
            let Some(mut block) = self.block.take() else {
                if self.blocks.get().is_empty() {
                    return Ok(());
                }
                self.block = Some(self.open()?);
                continue;
            };
            if !self.tokens(&mut block, all)? {
                self.block = Some(block);
                return Ok(());
            }
            block.coding.end(&mut self.writer).ok_or(CorrectionError::Sequence)?;
        }
    }

    /// Writes the tokens of a block; whether it has all of them.
    fn tokens(&mut self, block: &mut Block, all: bool) -> Result<bool, CorrectionError> {
        while block.left > 0 {
            let Some(token) = self.next(all)? else { return Ok(false) };
            let len = usize::from(token.length);
            if self.plain.get().len() < len {
                self.waiting = Some(token);
                return if all { Err(CorrectionError::Sequence) } else { Ok(false) };
            }
            let literal = self.plain.get().first().copied().unwrap_or_default();
            let written = block.coding.take(token, literal, &mut self.writer);
            written.ok_or(CorrectionError::Sequence)?;
            self.plain.at += len;
            block.left -= 1;
        }
        Ok(true)
    }

    /// Writes the head of the next block.
    fn open(&mut self) -> Result<Block, CorrectionError> {
        let (left, head) = (self.blocks.number()?, self.blocks.number()?);
        let writer = &mut self.writer;
        let kind = (head >> 1 & 3) as u32;
        writer.put((head & 1) as u32, 1);
        // What is built is coded like what is told.
        writer.put(kind.min(2), 2);
        let coding = match kind {
            0 => {
                writer.align(self.blocks.number()? as u32);
                let length = u16::try_from(left).map_err(|_| CorrectionError::Sequence)?;
                writer.put(length.into(), 16);
                writer.put((!length).into(), 16);
                Coding::Stored
            }
            1 => Coding::Coded(Codes::fixed()),
            2 => Coding::Coded(self.blocks.read(|blocks| stated(blocks, writer))?),
            _ if left > self.gathered => return Err(CorrectionError::Sequence),
            _ => Coding::Built(Box::default(), Vec::with_capacity(left as usize)),
        };
        Ok(Block { coding, left })
    }

    /// The next token, zlib's or another; none when it is not known yet.
    fn next(&mut self, all: bool) -> Result<Option<Token>, CorrectionError> {
        if let Some(token) = self.waiting.take() {
            return Ok(Some(token));
        }
        loop {
            if self.literals > 0 {
                self.literals -= 1;
                return Ok(Some(LITERAL));
            }
            match self.phase {
                Phase::Start if self.edits.get().is_empty() => self.phase = Phase::Rest,
                Phase::Start => self.phase = Phase::Keep(self.edits.number()?),
                Phase::Keep(0) => self.phase = Phase::Drop(self.edits.number()?),
                Phase::Drop(0) => self.phase = Phase::Put(self.edits.number()?),
                Phase::Put(0) => self.phase = Phase::Start,
                Phase::Put(left) => {
                    self.phase = Phase::Put(left - 1);
                    if let Some(token) = self.given()? {
                        return Ok(Some(token));
                    }
                }
                Phase::Rest => return self.choice(all),
                Phase::Keep(left) => {
                    let token = self.choice(all)?;
                    self.phase = Phase::Keep(left - u64::from(token.is_some()));
                    return Ok(token);
                }
                Phase::Drop(left) => {
                    if self.choice(all)?.is_none() {
                        return Ok(None);
                    }
                    self.phase = Phase::Drop(left - 1);
                }
            }
        }
    }

    /// A match that is put in, or the start of a run of literals.
    fn given(&mut self) -> Result<Option<Token>, CorrectionError> {
        let value = self.edits.number()?;
        if value & 1 == 0 {
            self.literals = value >> 1;
            return Ok(None);
        }
        let length = u16::try_from((value >> 1).saturating_add(3));
        let distance = u16::try_from(self.edits.number()?.saturating_add(1));
        match (length, distance) {
            (Ok(length @ 3..=258), Ok(distance @ 1..=32768)) => {
                Ok(Some(Token { length, distance }))
            }
            _ => Err(CorrectionError::Sequence),
        }
    }

    /// What zlib chose next; none when it has not said it yet.
    fn choice(&mut self, all: bool) -> Result<Option<Token>, CorrectionError> {
        let mut bits = Bits { bytes: self.made.get(), at: self.bit };
        let next = self.chosen.next(&mut bits, all);
        let at = bits.at;
        self.made.at += at / 8;
        self.bit = at % 8;
        match next {
            Some(Next::Token(token)) => Ok(Some(token)),
            Some(Next::Later) => Ok(None),
            Some(Next::Closed | Next::End) | None => Err(CorrectionError::Short),
        }
    }
}
