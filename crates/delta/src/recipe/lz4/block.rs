//! Blocks of LZ4 (its block format), sequence by sequence.

use super::Framing;
use crate::recipe::words;
use crate::sequences::Sequence;
use alloc::vec::Vec;

/// The shortest match.
pub(super) const MATCH_MIN: u32 = 4;

/// A length from here on goes on in bytes of its own.
pub(super) const LONG: u32 = 15;

/// Of a block's size in a frame: it is stored as it is.
pub(super) const STORED: u32 = 1 << 31;

/// The magic numbers of a frame and of the older form.
pub(crate) const FRAME: [u8; 4] = [4, 0x22, 0x4d, 0x18];
pub(crate) const LEGACY: [u8; 4] = [2, 0x21, 0x4c, 0x18];

/// A part of a stream, as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Literals, which stand at a place, and the match behind them; none ends a block.
    Sequence { at: usize, literals: usize, offset: usize, length: usize },
    /// A block that is stored as it is, at a place.
    Stored { at: usize, len: usize },
}

/// Reads the parts of a whole stream.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    bytes: &'a [u8],
    framing: Framing,
    /// What is next.
    at: usize,
    /// Where the block ends; nothing between two.
    end: Option<usize>,
    /// The end of a frame was read.
    is_over: bool,
}

impl<'a> Parts<'a> {
    /// From a place that [`Parts::at`] gave; at first 0, between two blocks.
    pub(crate) fn new(bytes: &'a [u8], framing: Framing, place: Place) -> Self {
        let Place { at, end, is_over } = place;
        Self { bytes, framing, at, end, is_over }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        Place { at: self.at, end: self.end, is_over: self.is_over }
    }

    /// Bytes that were read.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn read(&self) -> usize {
        self.at
    }

    /// Between two blocks.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn is_between(&self) -> bool {
        self.end.is_none()
    }

    /// Reads the next part; the outer `None` says that the bytes are no such stream, the
    /// inner one that it is complete.
    pub(crate) fn next(&mut self) -> Option<Option<Part>> {
        if self.end.is_none()
            && let Some(stored) = self.begin()?
        {
            return Some(stored);
        }
        let end = self.end?;
        let token = self.byte(end)?;
        let literals = self.length(u32::from(token >> 4), end)?;
        let at = self.at;
        self.at = at.checked_add(literals).filter(|at| *at <= end)?;
        if self.at == end {
            self.end = None;
            return Some(Some(Part::Sequence { at, literals, offset: 0, length: 0 }));
        }
        let offset = usize::from(self.byte(end)?) | usize::from(self.byte(end)?) << 8;
        let length = self.length(u32::from(token & 15), end)?.checked_add(MATCH_MIN as usize)?;
        (offset > 0).then_some(())?;
        Some(Some(Part::Sequence { at, literals, offset, length }))
    }

    /// Begins a block; says what is next if it is not one of sequences.
    fn begin(&mut self) -> Option<Option<Option<Part>>> {
        if self.at == 0 {
            self.at = head(self.bytes, self.framing)?;
        }
        if self.is_over || self.at == self.bytes.len() {
            return (self.framing != Framing::Frame || self.is_over).then_some(Some(None));
        }
        match self.framing {
            Framing::One { .. } | Framing::Each { .. } => {
                let end = match self.framing {
                    Framing::Each { log } => self.at.checked_add(1 << log)?,
                    _ => self.bytes.len(),
                };
                let block = self.bytes.get(self.at..end)?;
                if !matches!(self.framing, Framing::One { log: 0 }) {
                    self.at += block.iter().position(|byte| *byte != 0)?;
                }
                self.end = Some(end);
            }
            Framing::Legacy | Framing::Frame => {
                let size = u32::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?);
                self.at += 4;
                if size == 0 && self.framing == Framing::Frame {
                    self.is_over = true;
                    let sum = *self.bytes.get(4)? & 4 != 0;
                    self.at += if sum { 4 } else { 0 };
                    return (self.at <= self.bytes.len()).then_some(Some(None));
                }
                let is_stored = self.framing == Framing::Frame && size & STORED != 0;
                let len = (if is_stored { size & !STORED } else { size }) as usize;
                let (at, end) = (self.at, self.at.checked_add(len)?);
                (end <= self.bytes.len() && len > 0).then_some(())?;
                if is_stored {
                    self.at = end;
                    return Some(Some(Some(Part::Stored { at, len })));
                }
                self.end = Some(end);
            }
        }
        Some(None)
    }

    fn byte(&mut self, end: usize) -> Option<u8> {
        let byte = *self.bytes.get(self.at).filter(|_| self.at < end)?;
        self.at += 1;
        Some(byte)
    }

    /// A length whose first part is known.
    fn length(&mut self, first: u32, end: usize) -> Option<usize> {
        let mut sum = first as usize;
        if first == LONG {
            loop {
                let byte = self.byte(end)?;
                sum = sum.checked_add(usize::from(byte))?;
                if byte != 255 {
                    break;
                }
            }
        }
        u32::try_from(sum).ok().map(|_| sum)
    }
}

/// Makes content of a part until there are `until` bytes of it; returns what is left of
/// the part. None if it repeats what never was.
pub(super) fn spend(part: Part, bytes: &[u8], made: &mut Vec<u8>, until: usize) -> Option<Part> {
    let room = until.saturating_sub(made.len());
    let (at, literals) = match part {
        Part::Sequence { at, literals, .. } => (at, literals),
        Part::Stored { at, len } => (at, len),
    };
    let now = literals.min(room);
    made.extend_from_slice(bytes.get(at..at + now)?);
    let (at, left) = (at + now, literals - now);
    let Part::Sequence { offset, length, .. } = part else {
        return Some(Part::Stored { at, len: left });
    };
    let again = if left > 0 { 0 } else { length.min(room - now) };
    repeat(made, offset, again)?;
    Some(Part::Sequence { at, literals: left, offset, length: length - again })
}

/// Appends so many bytes that stand `offset` before.
pub(super) fn repeat(made: &mut Vec<u8>, offset: usize, count: usize) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let from = made.len().checked_sub(offset)?;
        let now = left.min(offset);
        made.extend_from_within(from..from + now);
        left -= now;
    }
    Some(())
}

/// Appends the content of a part, of at most `most` bytes in all.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn push(made: &mut Vec<u8>, part: Part, bytes: &[u8], most: usize) -> Option<()> {
    let left = spend(part, bytes, made, most)?;
    let is_all = match left {
        Part::Sequence { literals, length, .. } => literals + length == 0,
        Part::Stored { len, .. } => len == 0,
    };
    is_all.then_some(())
}

/// The words of a whole stream.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn words(bytes: &[u8], framing: Framing) -> Option<Vec<u8>> {
    let (mut parts, mut words) = (Parts::new(bytes, framing, Place::default()), Vec::new());
    while let Some(part) = parts.next()? {
        put_words(&mut words, part);
    }
    Some(words)
}

/// Where a reader of parts is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    at: usize,
    end: Option<usize>,
    is_over: bool,
}

/// Bytes before the first block.
pub(crate) fn head(bytes: &[u8], framing: Framing) -> Option<usize> {
    match framing {
        Framing::One { .. } | Framing::Each { .. } => Some(0),
        Framing::Legacy => bytes.starts_with(&LEGACY).then_some(4),
        Framing::Frame => {
            bytes.starts_with(&FRAME).then_some(())?;
            let flags = *bytes.get(4)?;
            // Its version; no reserved bit, no sum behind each block, no dictionary.
            (flags >> 6 == 1 && flags & 0x13 == 0).then_some(())?;
            Some(if flags & 8 != 0 { 15 } else { 7 })
        }
    }
}

/// Appends the word of a sequence, or those of a stored block.
pub(crate) fn put_words(out: &mut Vec<u8>, part: Part) {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    match part {
        Part::Sequence { literals, offset, length, .. } => words::put(
            out,
            Sequence {
                offset: size(offset),
                literals: size(literals),
                length: size(length),
                repeat: 0,
            },
        ),
        Part::Stored { len, .. } => {
            words::put(out, Sequence::default());
            words::put(out, Sequence { literals: size(len), ..Sequence::default() });
        }
    }
}

/// Bytes of a sequence in a block, without its literals.
pub(super) fn cost(sequence: &Sequence) -> usize {
    let more = |len: u32| len.checked_sub(LONG).map_or(0, |rest| 1 + rest as usize / 255);
    let behind = match sequence.length {
        0 => 0,
        length => 2 + more(length.saturating_sub(MATCH_MIN)),
    };
    1 + more(sequence.literals) + behind
}

/// Appends what stands before the literals of a sequence.
pub(super) fn put_before(out: &mut Vec<u8>, sequence: &Sequence) {
    let length = sequence.length.saturating_sub(MATCH_MIN);
    out.push((sequence.literals.min(LONG) << 4 | length.min(LONG)) as u8);
    put_more(out, sequence.literals);
}

/// Appends what stands behind them.
pub(super) fn put_behind(out: &mut Vec<u8>, sequence: &Sequence) {
    if sequence.length > 0 {
        out.extend((sequence.offset as u16).to_le_bytes());
        put_more(out, sequence.length.saturating_sub(MATCH_MIN));
    }
}

fn put_more(out: &mut Vec<u8>, len: u32) {
    let Some(rest) = len.checked_sub(LONG) else { return };
    out.resize(out.len() + rest as usize / 255, 255);
    out.push((rest % 255) as u8);
}
