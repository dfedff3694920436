//! The sequences of a Zstandard frame (RFC 8878, 3.1.1): which matches its encoder
//! chose. Literals and checksums are not looked at.
//!
//! Frames come from images and are read on terminals, too: nothing is believed, and
//! the sequences of one block are all that is held.

use super::words;
use crate::sequences::{BLOCK, Sequence};
use alloc::vec::Vec;

/// Kinds of symbols in the order in which their tables are stored.
const KINDS: [Kind; 3] = [
    Kind { symbols: 36, log_max: 9, log: 6, counts: &LITERAL_COUNTS },
    Kind { symbols: 32, log_max: 8, log: 5, counts: &OFFSET_COUNTS },
    Kind { symbols: 53, log_max: 9, log: 6, counts: &MATCH_COUNTS },
];

struct Kind {
    symbols: usize,
    log_max: u32,
    /// Of the predefined table.
    log: u32,
    counts: &'static [i16],
}

const LITERAL_COUNTS: [i16; 36] = [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1,
    -1, -1, -1, -1,
];
const OFFSET_COUNTS: [i16; 29] =
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];
const MATCH_COUNTS: [i16; 53] = [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];

/// Base and extra bits of literal lengths from code 16 on.
const LITERAL_CODES: [(u32, u32); 20] = [
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16384, 14),
    (32768, 15),
    (65536, 16),
];
/// Base and extra bits of match lengths from code 32 on.
const MATCH_CODES: [(u32, u32); 21] = [
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16387, 14),
    (32771, 15),
    (65539, 16),
];

fn length(code: u8, plain: u8, add: u32, codes: &[(u32, u32)]) -> Option<(u32, u32)> {
    match code.checked_sub(plain) {
        None => Some((u32::from(code) + add, 0)),
        Some(index) => codes.get(usize::from(index)).copied(),
    }
}

/// One state of a table: its symbol, and how the next state follows.
#[derive(Clone, Copy, Default)]
struct State {
    symbol: u8,
    bits: u32,
    base: u32,
}

#[derive(Clone, Default)]
struct Table {
    log: u32,
    states: Vec<State>,
}

impl Table {
    fn one(symbol: u8) -> Self {
        Self { log: 0, states: alloc::vec![State { symbol, bits: 0, base: 0 }] }
    }

    /// RFC 8878, 4.1.1.
    fn new(log: u32, counts: &[i16]) -> Option<Self> {
        let size = 1usize << log;
        let mut states = alloc::vec![State::default(); size];
        let mut next = Vec::new();
        let mut high = size;
        for (symbol, count) in counts.iter().enumerate() {
            next.push(count.unsigned_abs().into());
            if *count == -1 {
                high = high.checked_sub(1)?;
                states.get_mut(high)?.symbol = symbol as u8;
            }
        }
        let (step, mut at) = ((size >> 1) + (size >> 3) + 3, 0);
        for (symbol, count) in counts.iter().enumerate() {
            for _ in 0..(*count).max(0) {
                states.get_mut(at)?.symbol = symbol as u8;
                at = (at + step) & (size - 1);
                while at >= high && high > 0 {
                    at = (at + step) & (size - 1);
                }
            }
        }
        for state in &mut states {
            let count: &mut u32 = next.get_mut(usize::from(state.symbol))?;
            let value = *count;
            *count += 1;
            state.bits = log.checked_sub(value.checked_ilog2()?)?;
            state.base = (value << state.bits).checked_sub(size as u32)?;
        }
        Some(Self { log, states })
    }

    /// Reads a stored table (4.1.1); advances `bytes`.
    fn read(bytes: &mut &[u8], kind: &Kind) -> Option<Self> {
        let bit = |at: usize| bytes.get(at / 8).map(|byte| u32::from(byte >> (at % 8) & 1));
        let bits = |at: usize, count: u32| {
            (0..count as usize).try_fold(0, |value, place| Some(value | bit(at + place)? << place))
        };
        let log = bits(0, 4)? + 5;
        (log <= kind.log_max).then_some(())?;
        let (mut at, mut left, mut counts) = (4, 1i32 << log, Vec::new());
        while left > 0 && counts.len() < kind.symbols {
            let width = (left + 1).ilog2() + 1;
            let low_mask = (1i32 << (width - 1)) - 1;
            let threshold = (1i32 << width) - 1 - (left + 1);
            // The last bit may lie beyond the end where it is not needed.
            let low = bits(at, width - 1)? as i32;
            let mut value = low;
            if low < threshold {
                at += width as usize - 1;
            } else {
                value |= (bit(at + width as usize - 1)? as i32) << (width - 1);
                at += width as usize;
                if value > low_mask {
                    value -= threshold;
                }
            }
            let count = value - 1;
            left -= count.abs();
            counts.push(count as i16);
            // After a zero, two bits at a time say how many more follow.
            let mut zeros = if count == 0 { 3 } else { 0 };
            while zeros == 3 {
                zeros = bits(at, 2)?;
                at += 2;
                counts.extend((0..zeros).map(|_| 0));
            }
        }
        (left == 0 && counts.len() <= kind.symbols).then_some(())?;
        *bytes = bytes.get(at.div_ceil(8)..)?;
        Self::new(log, &counts)
    }
}

/// Bits from the end of a buffer towards its start (4.1).
struct Backward<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Backward<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let last = bytes.last()?.checked_ilog2()?;
        Some(Self { bytes, left: (bytes.len() - 1) * 8 + last as usize })
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        self.left = self.left.checked_sub(count as usize)?;
        let (byte, shift) = (self.left / 8, self.left % 8);
        let mut word = [0; 8];
        word.iter_mut().zip(self.bytes.get(byte..)?).for_each(|(to, from)| *to = *from);
        Some((u64::from_le_bytes(word) >> shift & ((1 << count) - 1)) as u32)
    }
}

/// What goes on from block to block.
struct Frame {
    tables: [Table; 3],
    /// Words of sequences.
    out: Vec<u8>,
    /// Literals since the last match.
    literals: u32,
    /// Content so far.
    done: usize,
}

/// Where a frame's parts begin and end.
pub(crate) struct Head {
    /// Bytes before the first block.
    pub(crate) len: usize,
    /// Bytes behind the last one.
    pub(crate) tail: usize,
    /// Bytes of content that a decoder has to remember.
    pub(crate) window: u64,
}

impl Head {
    /// Bytes from which [`read`](Self::read) can tell.
    pub(crate) const LONGEST: usize = 14;

    /// Of the frame at the front of `bytes` (3.1.1.1).
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let descriptor = *bytes.get(4)?;
        let single = descriptor & 0x20 != 0;
        let stated = bytes.get(5..).unwrap_or_default();
        let size = match descriptor >> 6 {
            0 => usize::from(single),
            flag => 1 << flag,
        };
        let tail = if descriptor & 4 != 0 { 4 } else { 0 };
        (descriptor & 3 == 0).then_some(())?;
        let window = if single { content_size(stated, size) } else { window(stated) };
        Some(Self { len: 5 + size + usize::from(!single), tail, window })
    }
}

/// The size of content in so many bytes (3.1.1.1.4).
fn content_size(bytes: &[u8], size: usize) -> u64 {
    let stated = bytes.iter().take(size).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    if size == 2 { stated + 256 } else { stated }
}

/// What the byte of a window says (3.1.1.1.2).
fn window(bytes: &[u8]) -> u64 {
    let byte = bytes.first().copied().unwrap_or(0);
    let base = 1u64 << (10 + (byte >> 3));
    base + base / 8 * u64::from(byte & 7)
}

/// How a block begins (3.1.1.2): how many bytes of it follow, and whether it is the last.
pub(crate) fn block(head: [u8; 3]) -> (usize, bool) {
    (if head[0] >> 1 & 3 == 1 { 1 } else { stated(head) }, head[0] & 1 == 1)
}

/// The bytes that it states: its own, or, of a repeated byte, those of its content.
fn stated(head: [u8; 3]) -> usize {
    let [low, middle, high] = head.map(usize::from);
    (low | middle << 8 | high << 16) >> 3
}

/// Reads the sequences of a frame, block by block.
pub(crate) struct Reader {
    /// Bytes of the frame that were read.
    pub(crate) at: usize,
    frame: Frame,
    /// The last block was read.
    pub(crate) ended: bool,
    /// Words end where any block does, not only where 128 KiB of content end.
    each: bool,
}

impl Reader {
    /// At the front of a frame.
    pub(crate) fn new() -> Self {
        let tables = core::array::from_fn(|_| Table::default());
        let frame = Frame { tables, out: Vec::new(), literals: 0, done: 0 };
        Self { at: 0, frame, ended: false, each: false }
    }

    /// The same, with words that end where any block does.
    pub(crate) fn each() -> Self {
        Self { each: true, ..Self::new() }
    }

    /// Words end here.
    pub(crate) fn is_between(&self) -> bool {
        self.each || self.ended || self.frame.done.is_multiple_of(BLOCK)
    }

    /// Bytes of content of what was read.
    pub(crate) fn done(&self) -> usize {
        self.frame.done
    }

    /// Gives the words of what was read for an empty vector.
    pub(crate) fn swap(&mut self, words: &mut Vec<u8>) {
        core::mem::swap(&mut self.frame.out, words);
    }

    /// Reads the next block of `bytes`. None if blocks do not end where 128 KiB of
    /// content do.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<()> {
        if self.at == 0 {
            self.at = Head::read(bytes)?.len;
        }
        self.next_block(bytes.get(self.at..)?)
    }

    /// The same of a block that `bytes` begin with.
    pub(crate) fn next_block(&mut self, bytes: &[u8]) -> Option<()> {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (size, last) = block(*head);
        let block = rest.get(..size)?;
        match head[0] >> 1 & 3 {
            0 | 1 => self.frame.literals(stated(*head))?,
            2 => self.frame.block(block)?,
            _ => return None,
        }
        self.at += 3 + size;
        self.ended = last;
        if self.is_between() {
            self.frame.end();
        }
        Some(())
    }
}

/// The words of the frame at the front of `bytes`, of `plain` bytes of content: each 128
/// KiB are ended by a sequence without a match. None if blocks were cut otherwise.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn words(bytes: &[u8], plain: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new();
    while !reader.ended {
        reader.next(bytes)?;
    }
    (reader.done() == plain).then_some(reader.frame.out)
}

/// The same with words that end where blocks do, and bytes of content of all blocks but
/// the last one.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn blocks(bytes: &[u8], plain: usize) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut reader = Reader::each();
    let mut blocks = Vec::new();
    while !reader.ended {
        let before = reader.done();
        reader.next(bytes)?;
        blocks.push(reader.done() - before);
    }
    blocks.pop();
    (reader.done() == plain && !blocks.contains(&0)).then_some((reader.frame.out, blocks))
}

impl Frame {
    fn literals(&mut self, count: usize) -> Option<()> {
        let before = self.done / BLOCK;
        self.done += count;
        self.literals += u32::try_from(count).ok()?;
        // A part that goes over a block's end is of an encoder that cuts otherwise.
        (count == 0 || (self.done - 1) / BLOCK == before).then_some(())
    }

    fn end(&mut self) {
        words::put(&mut self.out, Sequence { literals: self.literals, ..Sequence::default() });
        self.literals = 0;
    }

    fn block(&mut self, block: &[u8]) -> Option<()> {
        let (literals, mut bytes) = split_literals(block)?;
        let first = *bytes.first()?;
        let (count, skip) = match first {
            0..128 => (usize::from(first), 1),
            255 => {
                let low = u16::from_le_bytes([*bytes.get(1)?, *bytes.get(2)?]);
                (usize::from(low) + 0x7f00, 3)
            }
            _ => (((usize::from(first) - 128) << 8) + usize::from(*bytes.get(1)?), 2),
        };
        bytes = bytes.get(skip..)?;
        let mut left = literals;
        if count > 0 {
            let modes = *bytes.first()?;
            bytes = bytes.get(1..)?;
            for (kind, shift) in [(0, 6), (1, 4), (2, 2)] {
                self.table(kind, modes >> shift & 3, &mut bytes)?;
            }
            left = self.decode(bytes, count, literals)?;
        }
        self.literals(left)
    }

    fn table(&mut self, which: usize, mode: u8, bytes: &mut &[u8]) -> Option<()> {
        let kind = KINDS.get(which)?;
        let table = match mode {
            0 => Table::new(kind.log, kind.counts)?,
            1 => {
                let symbol = *bytes.first()?;
                *bytes = bytes.get(1..)?;
                Table::one(symbol)
            }
            2 => Table::read(bytes, kind)?,
            _ => return Some(()),
        };
        *self.tables.get_mut(which)? = table;
        Some(())
    }

    /// Decodes the sequences; says how many literals are left after the last one.
    fn decode(&mut self, bytes: &[u8], count: usize, literals: usize) -> Option<usize> {
        let mut bits = Backward::new(bytes)?;
        let tables = core::mem::take(&mut self.tables);
        let [lengths, offsets, matches] = &tables;
        let mut states = [0; 3];
        for (state, table) in states.iter_mut().zip([lengths, offsets, matches]) {
            *state = bits.take(table.log)?;
        }
        let mut left = literals;
        for index in 0..count {
            let [a, b, c] = states;
            let literal = lengths.states.get(a as usize)?;
            let offset = offsets.states.get(b as usize)?;
            let length_of = matches.states.get(c as usize)?;
            (offset.symbol < 31).then_some(())?;
            let value = (1 << offset.symbol) + bits.take(offset.symbol.into())?;
            let (base, extra) = length(length_of.symbol, 32, 3, &MATCH_CODES)?;
            let length_value = base + bits.take(extra)?;
            let (base, extra) = length(literal.symbol, 16, 0, &LITERAL_CODES)?;
            let run = base + bits.take(extra)?;
            if index + 1 < count {
                let next = |state: &State, bits: &mut Backward<'_>| {
                    Some(state.base + bits.take(state.bits)?)
                };
                let a = next(literal, &mut bits)?;
                let c = next(length_of, &mut bits)?;
                let b = next(offset, &mut bits)?;
                states = [a, b, c];
            }
            left = left.checked_sub(run as usize)?;
            self.literals(run as usize)?;
            let (offset, repeat) = if value > 3 { (value - 3, 0) } else { (0, value) };
            let literals = core::mem::take(&mut self.literals);
            words::put(&mut self.out, Sequence { offset, literals, length: length_value, repeat });
            let before = self.done / BLOCK;
            self.done += length_value as usize;
            ((self.done - 1) / BLOCK == before).then_some(())?;
        }
        self.tables = tables;
        Some(left)
    }
}

/// How many literals a block has, and what follows their section (3.1.1.3.1).
fn split_literals(block: &[u8]) -> Option<(usize, &[u8])> {
    let first = *block.first()?;
    let mut word = [0; 8];
    word.iter_mut().zip(block.iter().take(5)).for_each(|(to, from)| *to = *from);
    let word = u64::from_le_bytes(word);
    let form = first >> 2 & 3;
    if first & 3 < 2 {
        let (head, count) = match form {
            1 => (2, word >> 4 & 0xfff),
            3 => (3, word >> 4 & 0xf_ffff),
            _ => (1, word >> 3 & 0x1f),
        };
        let stored = if first & 3 == 1 { 1 } else { count as usize };
        return Some((count as usize, block.get(head + stored..)?));
    }
    let (head, bits) = match form {
        0 | 1 => (3, 10),
        2 => (4, 14),
        _ => (5, 18),
    };
    let mask = (1u64 << bits) - 1;
    let (count, stored) = (word >> 4 & mask, word >> (4 + bits) & mask);
    Some((count as usize, block.get(head + stored as usize..)?))
}
