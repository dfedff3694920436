//! The tokens of deflate streams that another encoder made than zlib: GNU gzip, 7-Zip,
//! zopfli, libdeflate. What zlib would choose is corrected match by match; or all that was
//! chosen is told. Where blocks end is told, too, and their tables where zlib would not
//! build them of the same symbols.
//!
//! Streams here come from zlib or from anybody, as edits and words do: all are read with
//! bounds.

mod block;
mod codes;
mod hear;
mod retell;
mod speak;
mod trees;

use crate::correction::{CorrectionError, number, put_number};
use alloc::vec::Vec;
use codes::{Bits, Codes, Writer};
pub(crate) use hear::{Hearing, WORDS_HEAP};
pub(crate) use retell::Retelling;
pub(crate) use speak::Speaking;
use trees::Counts;

/// A match, or a literal if its length is 1; the literal itself is the content's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    length: u16,
    distance: u16,
}

const LITERAL: Token = Token { length: 1, distance: 0 };

/// The tokens of a deflate stream, one after the other.
struct Tokens {
    block: Now,
    last: bool,
    /// What is told of the blocks so far, if somebody wants to know.
    blocks: Option<Vec<u8>>,
    in_block: u64,
    counts: Counts,
    head: Vec<u8>,
    /// Bytes of a block that is stored.
    stored: u32,
    /// The most tokens of a block whose codes are not told.
    gathered: u64,
}

enum Now {
    Between,
    Stored(u32),
    Coded(Codes),
}

/// What comes next in a stream of which not all need be there.
enum Next {
    Token(Token),
    /// A block ended; what is known of it stays until the next one begins.
    Closed,
    End,
    /// More bytes are needed to tell.
    Later,
}

/// A block with codes of its own.
const DYNAMIC: u32 = 2;

/// In place of a block's kind: its codes are built of its symbols as zlib does.
const BUILT: u32 = 3;

/// The most tokens of such a block, which are held until it ends: zlib counts symbols
/// in 16 bits, and its blocks have half as many.
const GATHERED_MAX: u64 = (1 << 16) - 2;

/// Bytes that are enough for a token, or for the head of a block (RFC 1951, 3.2.7).
const AHEAD: usize = 1 << 10;

impl Tokens {
    fn new() -> Self {
        Self {
            block: Now::Between,
            last: false,
            blocks: None,
            in_block: 0,
            counts: Counts::default(),
            head: Vec::new(),
            stored: 0,
            gathered: 0,
        }
    }

    /// The next token, or what there is instead; `all` says that no more bytes follow.
    /// `None` if it is no deflate stream.
    fn next(&mut self, bits: &mut Bits<'_>, all: bool) -> Option<Next> {
        loop {
            match self.step(bits, all)? {
                Next::Closed => self.note(),
                next => return Some(next),
            }
        }
    }

    /// What comes next, ends of blocks included.
    fn step(&mut self, bits: &mut Bits<'_>, all: bool) -> Option<Next> {
        loop {
            if !all && bits.bytes.len().saturating_sub(bits.at / 8) < AHEAD {
                return Some(Next::Later);
            }
            match &mut self.block {
                Now::Between if self.last => return Some(Next::End),
                Now::Between => self.open(bits)?,
                Now::Stored(0) => {
                    self.block = Now::Between;
                    return Some(Next::Closed);
                }
                Now::Stored(left) => {
                    *left -= 1;
                    bits.take(8)?;
                    self.in_block += 1;
                    return Some(Next::Token(LITERAL));
                }
                Now::Coded(codes) => match codes.token(bits, &mut self.counts)? {
                    Some(token) => {
                        self.in_block += 1;
                        return Some(Next::Token(token));
                    }
                    None => {
                        self.block = Now::Between;
                        return Some(Next::Closed);
                    }
                },
            }
        }
    }

    fn open(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.last = bits.take(1)? == 1;
        let kind = bits.take(2)?;
        self.head.clear();
        self.in_block = 0;
        self.counts = Counts::default();
        put_number(&mut self.head, u64::from(kind << 1) | u64::from(self.last));
        let start = bits.clone();
        self.block = match kind {
            0 => {
                let left = (8 - bits.at % 8) % 8;
                let padding = bits.take(left as u8)?;
                put_number(&mut self.head, padding.into());
                let length = bits.take(16)?;
                (bits.take(16)? == length ^ 0xffff).then_some(())?;
                self.stored = length;
                Now::Stored(length)
            }
            1 => Now::Coded(Codes::fixed()),
            2 => {
                let codes = Codes::read(bits)?;
                let (mut from, mut writer) = (start, Writer::default());
                let count = bits.at - from.at;
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

    /// Says what is told of the block that ended.
    fn note(&mut self) {
        if let Some(mut blocks) = self.blocks.take() {
            if self.in_block <= GATHERED_MAX && self.is_built() {
                self.head.clear();
                put_number(&mut self.head, u64::from(BUILT << 1) | u64::from(self.last));
                self.gathered = self.gathered.max(self.in_block);
            }
            put_number(&mut blocks, self.in_block);
            blocks.append(&mut self.head);
            self.blocks = Some(blocks);
        }
    }

    /// The block's codes are those that zlib builds of its symbols.
    fn is_built(&self) -> bool {
        if self.head.first().is_none_or(|first| u32::from(first >> 1) != DYNAMIC) {
            return false;
        }
        let mut writer = Writer::default();
        self.counts.write(&mut writer);
        let count = writer.bits();
        writer.align(0);
        let mut head = Vec::new();
        put_number(&mut head, u64::from(DYNAMIC << 1) | u64::from(self.last));
        put_number(&mut head, count as u64);
        head.extend(writer.out);
        head == self.head
    }
}

/// How much waits at most while a stream is told: content that zlib has and that is
/// not told yet, and bytes of zlib that are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Waits {
    pub(crate) plain: usize,
    pub(crate) made: usize,
}

impl Waits {
    /// More is never granted: zlib holds back at most 32,767 matches of 258 bytes.
    pub(crate) const MOST: Self = Self { plain: 9 << 20, made: 2 << 20 };
}

/// What waits is stored in units of so many bytes.
const UNIT: usize = 4 << 10;

/// A correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// What telling it takes.
    pub(crate) waits: Waits,
    /// The most tokens of a block whose codes are built of them.
    gathered: u64,
    /// How many tokens each block has, and its head.
    blocks: Vec<u8>,
    /// What is put in place of zlib's choice.
    edits: Vec<u8>,
}

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let mut size = || Ok(usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX));
        let (plain, made) = (size()?.saturating_mul(UNIT), size()?.saturating_mul(UNIT));
        let (gathered, len) = (size()? as u64, size()?);
        if plain > Waits::MOST.plain || made > Waits::MOST.made {
            return Err(CorrectionError::Size(Waits::MOST.plain));
        }
        if gathered > GATHERED_MAX {
            return Err(CorrectionError::Sequence);
        }
        let (blocks, edits) = bytes.split_at_checked(len).ok_or(CorrectionError::Short)?;
        let waits = Waits { plain, made };
        Ok(Self { waits, gathered, blocks: blocks.to_vec(), edits: edits.to_vec() })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let units = |bytes: usize| bytes.div_ceil(UNIT);
        for size in [units(self.waits.plain), units(self.waits.made)] {
            put_number(&mut out, size as u64);
        }
        put_number(&mut out, self.gathered);
        put_number(&mut out, self.blocks.len() as u64);
        out.extend_from_slice(&self.blocks);
        out.extend_from_slice(&self.edits);
        out
    }

    /// Bytes of heap that telling takes beside the correction: what waits, and what
    /// comes out at once of content that waited, at most 15 bits a byte.
    pub(crate) fn heap(&self) -> u64 {
        (3 * self.waits.plain + self.waits.made + CODES) as u64 + self.gathered * HELD
    }
}

/// Bytes that a token takes that is held, and what is written of it at once.
const HELD: u64 = 12;

/// Bytes of the codes of two blocks, and of what zlib makes of one piece.
const CODES: usize = 192 << 10;

/// What turns the deflate stream that zlib makes into `wanted`; the length of that.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn find(zlib: &[u8], wanted: &[u8]) -> Option<(Told, usize)> {
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
    let len = to.bits.at.div_ceil(8);
    let (blocks, gathered) = (to.tokens.blocks.unwrap_or_default(), to.tokens.gathered);
    Some((Told { waits: Waits::MOST, gathered, blocks, edits }, len))
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
    tokens: Tokens,
    bits: Bits<'a>,
    next: Option<Token>,
    at: u64,
}

#[cfg(any(test, feature = "diff"))]
impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut tokens = Tokens::new();
        tokens.blocks = Some(Vec::new());
        let mut walk = Self { tokens, bits: Bits { bytes, at: 0 }, next: None, at: 0 };
        walk.step()?;
        Some(walk)
    }

    fn step(&mut self) -> Option<()> {
        self.at += self.next.map_or(0, |token| u64::from(token.length));
        self.next = match self.tokens.next(&mut self.bits, true)? {
            Next::Token(token) => Some(token),
            Next::Closed | Next::End | Next::Later => None,
        };
        Some(())
    }
}

#[cfg(test)]
mod tests;
