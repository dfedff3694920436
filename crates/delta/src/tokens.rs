//! Corrections of deflate streams that another encoder made than zlib: GNU gzip,
//! 7-Zip, zopfli. What zlib would choose is corrected match by match; where blocks
//! end, and their tables, are told.
//!
//! Streams here come from zlib, edits from anybody: both are read with bounds.

mod codes;

use crate::correction::{CorrectionError, number, put_number};
use alloc::vec::Vec;
use codes::{Bits, Codes, END, Writer};

/// A match, or a literal if its length is 1; the literal itself is the content's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    length: u16,
    distance: u16,
}

const LITERAL: Token = Token { length: 1, distance: 0 };

/// The tokens of a deflate stream, one after the other.
struct Tokens<'a> {
    bits: Bits<'a>,
    block: Now,
    last: bool,
    /// What is told of the blocks so far, if somebody wants to know.
    blocks: Option<Vec<u8>>,
    in_block: u64,
    head: Vec<u8>,
}

enum Now {
    Between,
    Stored(u32),
    Coded(Codes),
}

impl<'a> Tokens<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let bits = Bits { bytes, at: 0 };
        let (last, blocks) = (false, None);
        Self { bits, block: Now::Between, last, blocks, in_block: 0, head: Vec::new() }
    }

    /// `None` if the stream is none; the inner one at its end.
    fn next(&mut self) -> Option<Option<Token>> {
        loop {
            match &mut self.block {
                Now::Between if self.last => return Some(None),
                Now::Between => self.open()?,
                Now::Stored(0) => self.close(),
                Now::Stored(left) => {
                    *left -= 1;
                    self.bits.at += 8;
                    self.in_block += 1;
                    return Some(Some(LITERAL));
                }
                Now::Coded(codes) => match codes.token(&mut self.bits)? {
                    Some(token) => {
                        self.in_block += 1;
                        return Some(Some(token));
                    }
                    None => self.close(),
                },
            }
        }
    }

    fn open(&mut self) -> Option<()> {
        self.last = self.bits.take(1)? == 1;
        let kind = self.bits.take(2)?;
        self.head.clear();
        put_number(&mut self.head, u64::from(kind << 1) | u64::from(self.last));
        let start = self.bits.clone();
        self.block = match kind {
            0 => {
                let left = (8 - self.bits.at % 8) % 8;
                let padding = self.bits.take(left as u8)?;
                put_number(&mut self.head, padding.into());
                let length = self.bits.take(16)?;
                (self.bits.take(16)? == length ^ 0xffff).then_some(())?;
                Now::Stored(length)
            }
            1 => Now::Coded(Codes::fixed()),
            2 => {
                let codes = Codes::read(&mut self.bits)?;
                let (mut from, mut writer) = (start, Writer::default());
                let count = self.bits.at - from.at;
                for _ in 0..count {
                    writer.put(from.take(1)?, 1);
                }
                writer.align(0);
                put_number(&mut self.head, count as u64);
                self.head.extend(writer.out);
                Now::Coded(codes)
            }
            _ => return None,
        };
        Some(())
    }

    fn close(&mut self) {
        self.block = Now::Between;
        if let Some(blocks) = &mut self.blocks {
            put_number(blocks, self.in_block);
            blocks.append(&mut self.head);
        }
        self.in_block = 0;
    }
}

/// Where in the edits one is.
enum Phase {
    Start,
    Keep(u64),
    Put(u64),
    Rest,
}

/// Edits that are being applied to what zlib chose.
struct Edited<'a> {
    chosen: Tokens<'a>,
    edits: &'a [u8],
    phase: Phase,
    /// Literals of a run that are still to come.
    literals: u64,
}

impl Edited<'_> {
    fn next(&mut self) -> Result<Token, CorrectionError> {
        loop {
            if self.literals > 0 {
                self.literals -= 1;
                return Ok(LITERAL);
            }
            match &mut self.phase {
                Phase::Start if self.edits.is_empty() => self.phase = Phase::Rest,
                Phase::Start => self.phase = Phase::Keep(number(&mut self.edits)?),
                Phase::Keep(0) => {
                    for _ in 0..number(&mut self.edits)? {
                        self.choice()?;
                    }
                    self.phase = Phase::Put(number(&mut self.edits)?);
                }
                Phase::Keep(left) => {
                    *left -= 1;
                    return self.choice();
                }
                Phase::Put(0) => self.phase = Phase::Start,
                Phase::Put(left) => {
                    *left -= 1;
                    if let Some(token) = self.given()? {
                        return Ok(token);
                    }
                }
                Phase::Rest => return self.choice(),
            }
        }
    }

    /// A match that is put in, or the start of a run of literals.
    fn given(&mut self) -> Result<Option<Token>, CorrectionError> {
        let value = number(&mut self.edits)?;
        if value & 1 == 0 {
            self.literals = value >> 1;
            return Ok(None);
        }
        let length = u16::try_from((value >> 1).saturating_add(3));
        let distance = u16::try_from(number(&mut self.edits)?.saturating_add(1));
        match (length, distance) {
            (Ok(length @ 3..=258), Ok(distance @ 1..=32768)) => {
                Ok(Some(Token { length, distance }))
            }
            _ => Err(CorrectionError::Sequence),
        }
    }

    fn choice(&mut self) -> Result<Token, CorrectionError> {
        self.chosen.next().flatten().ok_or(CorrectionError::Short)
    }
}

/// Writes the deflate stream of `plain` that `stored` tells, given the one that
/// zlib makes.
pub(crate) fn apply(stored: &[u8], zlib: &[u8], plain: &[u8]) -> Result<Vec<u8>, CorrectionError> {
    let mut bytes = stored;
    let len = usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX);
    let (mut blocks, edits) = bytes.split_at_checked(len).ok_or(CorrectionError::Short)?;
    let chosen = Tokens::new(zlib);
    let mut edited = Edited { chosen, edits, phase: Phase::Start, literals: 0 };
    let (mut writer, mut rest) = (Writer::default(), plain);
    while !blocks.is_empty() {
        let count = number(&mut blocks)?;
        let head = number(&mut blocks)?;
        writer.put((head & 1) as u32, 1);
        writer.put((head >> 1 & 3) as u32, 2);
        let codes = match head >> 1 & 3 {
            0 => {
                let content = stored_head(&mut blocks, count, &mut writer)?;
                let (now, later) =
                    rest.split_at_checked(content).ok_or(CorrectionError::Sequence)?;
                writer.out.extend_from_slice(now);
                rest = later;
                for _ in 0..count {
                    (edited.next()? == LITERAL).then_some(()).ok_or(CorrectionError::Sequence)?;
                }
                continue;
            }
            1 => Codes::fixed(),
            _ => coded_head(&mut blocks, &mut writer)?,
        };
        for _ in 0..count {
            let token = edited.next()?;
            let literal = rest.first().copied().unwrap_or_default();
            rest = rest.get(usize::from(token.length)..).ok_or(CorrectionError::Sequence)?;
            codes.write(token, literal, &mut writer).ok_or(CorrectionError::Sequence)?;
        }
        codes.literals.write(END, &mut writer).ok_or(CorrectionError::Sequence)?;
    }
    writer.align(0);
    if rest.is_empty() { Ok(writer.out) } else { Err(CorrectionError::Short) }
}

fn stored_head(
    blocks: &mut &[u8],
    count: u64,
    writer: &mut Writer,
) -> Result<usize, CorrectionError> {
    writer.align(number(blocks)? as u32);
    let length = u16::try_from(count).map_err(|_| CorrectionError::Sequence)?;
    writer.put(length.into(), 16);
    writer.put((!length).into(), 16);
    Ok(usize::from(length))
}

fn coded_head(blocks: &mut &[u8], writer: &mut Writer) -> Result<Codes, CorrectionError> {
    let count = usize::try_from(number(blocks)?).unwrap_or(usize::MAX);
    let (head, rest) = blocks.split_at_checked(count.div_ceil(8)).ok_or(CorrectionError::Short)?;
    *blocks = rest;
    let mut bits = Bits { bytes: head, at: 0 };
    let codes = Codes::read(&mut bits).ok_or(CorrectionError::Sequence)?;
    (bits.at == count).then_some(()).ok_or(CorrectionError::Sequence)?;
    let mut bits = Bits { bytes: head, at: 0 };
    for _ in 0..count {
        writer.put(bits.take(1).ok_or(CorrectionError::Short)?, 1);
    }
    Ok(codes)
}

/// What turns the deflate stream that zlib makes into `wanted`; the length of that.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn find(zlib: &[u8], wanted: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut to = Walk::new(wanted)?;
    let (mut from, mut edits) = (Walk::new(zlib)?, Vec::new());
    loop {
        let mut keep = 0u64;
        while from.next.is_some() && from.next == to.next {
            from.step()?;
            to.step()?;
            keep += 1;
        }
        if from.next.is_none() && to.next.is_none() {
            break;
        }
        let (mut drop, mut put) = (0u64, Vec::new());
        // On until both stand at the same place before the same token.
        while from.next.is_some() || to.next.is_some() {
            let behind = from.at.cmp(&to.at);
            if behind.is_eq() && from.next == to.next {
                break;
            }
            let token = to.next.filter(|_| behind.is_ge() || from.next.is_none());
            if to.next.is_none() || (behind.is_le() && from.next.is_some()) {
                from.step()?;
                drop += 1;
            }
            if let Some(token) = token {
                put.push(token);
                to.step()?;
            }
        }
        put_number(&mut edits, keep);
        put_number(&mut edits, drop);
        put_tokens(&mut edits, &put);
    }
    let len = to.tokens.bits.at.div_ceil(8);
    let blocks = to.tokens.blocks.unwrap_or_default();
    let mut out = Vec::new();
    put_number(&mut out, blocks.len() as u64);
    out.extend(blocks);
    out.extend(edits);
    Some((out, len))
}

#[cfg(any(test, feature = "diff"))]
fn put_tokens(out: &mut Vec<u8>, tokens: &[Token]) {
    let runs = || tokens.chunk_by(|one, next| *one == LITERAL && *next == LITERAL);
    put_number(out, runs().count() as u64);
    for run in runs() {
        match run {
            [token] if *token != LITERAL => {
                put_number(out, u64::from(token.length - 3) << 1 | 1);
                put_number(out, u64::from(token.distance) - 1);
            }
            literals => put_number(out, (literals.len() as u64) << 1),
        }
    }
}

/// Tokens and the position in the content at which the next one starts.
#[cfg(any(test, feature = "diff"))]
struct Walk<'a> {
    tokens: Tokens<'a>,
    next: Option<Token>,
    at: u64,
}

#[cfg(any(test, feature = "diff"))]
impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut tokens = Tokens::new(bytes);
        tokens.blocks = Some(Vec::new());
        let next = tokens.next()?;
        Some(Self { tokens, next, at: 0 })
    }

    fn step(&mut self) -> Option<()> {
        self.at += self.next.map_or(0, |token| u64::from(token.length));
        self.next = self.tokens.next()?;
        Some(())
    }
}

#[cfg(test)]
mod tests;
