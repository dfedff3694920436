//! The words and the content of a stream that is being made, out of what is there of it.

use super::block::{self, LONG, MATCH_MIN, STORED};
use super::{Framing, Told};
use crate::codec::Fault;
use crate::recipe::again::{self, BATCH, Read, Retold};
use crate::recipe::weave::Woven;
use crate::recipe::words;
use crate::sequences::Sequence;
use alloc::vec::Vec;

/// How far back a match can be.
const WINDOW: usize = 64 << 10;

/// Bytes of the stream that are read at a time.
const PIECE: usize = 4 << 10;

/// The most words of a run: blocks that have no content may describe none.
const WORDS_MAX: usize = 1 << 20;

/// Bytes of heap that it takes.
pub(crate) const HEAP: u64 = (2 * WORDS_MAX + WINDOW + 2 * BATCH + 2 * PIECE + (4 << 10)) as u64;

const NO_STREAM: Fault = "a stream of LZ4 cannot be read up to where it is gone on with";

/// Reads a stream twice: for its words, and behind that for its content.
pub(crate) struct Retells {
    told: Told,
    /// Bytes of content of the whole stream, and of that which words describe that were read.
    all: usize,
    described: usize,
    /// Bytes of the stream that are there.
    there: u64,
    words: Walk,
    content: Walk,
    /// What of a sequence is to come of the content.
    next: Sequenced,
    /// The last content.
    made: Vec<u8>,
}

/// Of a stream of `plain` bytes of words and content.
pub(crate) fn again(
    framing: Framing,
    told: Told,
    plain: u64,
) -> Result<again::Again<Retells>, Fault> {
    let all = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
    let all = all.ok_or(NO_STREAM)?;
    let [words, content] = [(); 2].map(|()| Walk::new(framing, told.head.len() as u64));
    let (next, made) = (Sequenced::default(), Vec::with_capacity(WINDOW + BATCH));
    let reader = Retells { told, all, described: 0, there: 0, words, content, next, made };
    Ok(again::Again::new(reader, all))
}

/// A sequence, with the place of its literals in the stream.
#[derive(Clone, Copy, Default)]
struct Sequenced {
    at: u64,
    literals: usize,
    offset: usize,
    length: usize,
}

/// What is next in a stream.
enum Next {
    /// A block begins, of so many bytes, or is stored as it is.
    Block(u32),
    /// A sequence, whose literals were gone over.
    Sequence(Sequenced),
    /// The end of a frame.
    End,
}

/// Goes through a stream.
struct Walk {
    framing: Framing,
    /// What is read next, and where the block ends that is being read.
    at: u64,
    end: Option<u64>,
    /// The block is stored as it is.
    is_stored: bool,
    /// Bytes of the stream from a place.
    piece: Vec<u8>,
    piece_at: u64,
    /// The stream was looked at up to here.
    seen: u64,
}

impl Walk {
    fn new(framing: Framing, at: u64) -> Self {
        let piece = Vec::with_capacity(PIECE);
        Self { framing, at, end: None, is_stored: false, piece, piece_at: 0, seen: at }
    }

    /// Bytes of the stream from here, at least one of those up to `there`.
    fn bytes<E: From<Fault>>(&mut self, there: u64, read: &mut Read<'_, E>) -> Result<&[u8], E> {
        let within = self.at.checked_sub(self.piece_at).map(|at| at as usize);
        if within.is_none_or(|at| at >= self.piece.len()) {
            let count = there.saturating_sub(self.at).min(PIECE as u64) as usize;
            if count == 0 {
                return Err(E::from(NO_STREAM));
            }
            self.piece.resize(count, 0);
            read(self.at, &mut self.piece)?;
            self.piece_at = self.at;
        }
        let from = (self.at - self.piece_at) as usize;
        Ok(self.piece.get(from..).unwrap_or_default())
    }

    fn byte<E: From<Fault>>(&mut self, there: u64, read: &mut Read<'_, E>) -> Result<u8, E> {
        let byte = self.bytes(there, read)?.first().copied();
        self.at += 1;
        self.seen = self.seen.max(self.at);
        byte.ok_or(E::from(NO_STREAM))
    }

    /// A length whose first part is known.
    fn length<E: From<Fault>>(
        &mut self,
        first: u32,
        there: u64,
        read: &mut Read<'_, E>,
    ) -> Result<usize, E> {
        let mut sum = first;
        if first == LONG {
            loop {
                let byte = self.byte(there, read)?;
                sum = sum.checked_add(u32::from(byte)).ok_or(E::from(NO_STREAM))?;
                if byte != 255 {
                    break;
                }
            }
        }
        Ok(sum as usize)
    }

    fn next<E: From<Fault>>(&mut self, there: u64, read: &mut Read<'_, E>) -> Result<Next, E> {
        let Some(end) = self.end else {
            let mut size = [0; 4];
            for byte in &mut size {
                *byte = self.byte(there, read)?;
            }
            let stated = u32::from_le_bytes(size);
            let is_frame = self.framing == Framing::Frame;
            if stated == 0 {
                return if is_frame { Ok(Next::End) } else { Err(E::from(NO_STREAM)) };
            }
            self.is_stored = is_frame && stated & STORED != 0;
            let len = if self.is_stored { stated & !STORED } else { stated };
            self.end = Some(self.at + u64::from(len));
            return Ok(Next::Block(stated));
        };
        if self.is_stored {
            self.end = None;
            let (at, literals) = (self.at, (end - self.at) as usize);
            self.at = end;
            return Ok(Next::Sequence(Sequenced { at, literals, offset: 0, length: 0 }));
        }
        let token = self.byte(there, read)?;
        let literals = self.length(u32::from(token >> 4), there, read)?;
        let at = self.at;
        self.at = self.at.saturating_add(literals as u64);
        if self.at >= end {
            self.end = None;
            let is_sound = self.at == end;
            let last = Next::Sequence(Sequenced { at, literals, offset: 0, length: 0 });
            return if is_sound { Ok(last) } else { Err(E::from(NO_STREAM)) };
        }
        let (low, high) = (self.byte(there, read)?, self.byte(there, read)?);
        let offset = usize::from(low) | usize::from(high) << 8;
        let length = self.length(u32::from(token & 15), there, read)? + MATCH_MIN as usize;
        if offset == 0 || self.at > end {
            return Err(E::from(NO_STREAM));
        }
        Ok(Next::Sequence(Sequenced { at, literals, offset, length }))
    }
}

impl Retold for Retells {
    fn woven(&self) -> Option<Woven<'_>> {
        self.told.woven()
    }

    fn words<E: From<Fault>>(
        &mut self,
        end: usize,
        there: u64,
        read: &mut Read<'_, E>,
        out: &mut Vec<u8>,
    ) -> Result<(), E> {
        self.there = there;
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        while self.described <= end && self.described < self.all {
            let sequence = match self.words.next(there, read)? {
                Next::End => return Err(E::from(NO_STREAM)),
                Next::Block(stated) => Sequence { literals: stated, ..Sequence::default() },
                Next::Sequence(Sequenced { literals, offset, length, .. }) => {
                    self.described = self.described.saturating_add(literals + length);
                    let (offset, literals, length) = (size(offset), size(literals), size(length));
                    Sequence { offset, literals, length, repeat: 0 }
                }
            };
            words::put(out, sequence);
            if out.len() > WORDS_MAX {
                return Err(E::from(NO_STREAM));
            }
        }
        Ok(())
    }

    fn content<E: From<Fault>>(
        &mut self,
        out: &mut [u8],
        read: &mut Read<'_, E>,
    ) -> Result<usize, E> {
        let over = self.made.len().saturating_sub(WINDOW);
        self.made.drain(..over);
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let Sequenced { at, literals, offset, length } = self.next;
            if literals > 0 {
                let now = literals.min(room.len());
                let Some(room) = room.get_mut(..now) else { break };
                if at + now as u64 > self.there {
                    return Err(E::from(NO_STREAM));
                }
                read(at, room)?;
                self.made.extend_from_slice(room);
                let (at, literals) = (at + now as u64, literals - now);
                self.next = Sequenced { at, literals, offset, length };
                self.content.seen = self.content.seen.max(at);
                filled += now;
            } else if length > 0 {
                let now = length.min(room.len());
                block::repeat(&mut self.made, offset, now).ok_or(E::from(NO_STREAM))?;
                let from = self.made.get(self.made.len() - now..).unwrap_or_default();
                room.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                self.next.length -= now;
                filled += now;
            } else {
                match self.content.next(self.there, read)? {
                    Next::End => return Err(E::from(NO_STREAM)),
                    Next::Block(_) => {}
                    Next::Sequence(next) => self.next = next,
                }
            }
        }
        Ok(filled)
    }

    fn took(&self) -> u64 {
        self.words.seen.max(self.content.seen)
    }
}
