//! Codes content as words tell it: packets, and the chunks of LZMA2 around them.

use super::super::words::Words;
use super::{CHUNK_MAX, CHUNK_PACKED, Chunk, ChunkKind};
use crate::codec::Fault;
use crate::packets::range::Encoder as Range;
use crate::packets::window::Window;
use crate::packets::{END, LENGTH_MAX, LENGTH_MIN, Model, PACKET_MAX, Packet, Place, Properties};
use alloc::vec::Vec;

/// liblzma ends a chunk where so much of it is made (`lzma_lzma_encode`) ...
const FULL: u64 = (1 << 16) - (4096 + 1);
/// ... or so much content is in it.
const LONG: usize = CHUNK_MAX - LENGTH_MAX as usize;

/// Nothing is known before.
const FIRST: ChunkKind = ChunkKind::Packets { reset: 3 };

/// Codes content.
pub(super) struct Packer {
    words: Vec<u8>,
    /// Bytes of words that were taken.
    at: usize,
    /// Bytes of words that were counted, and of the block's content that they describe;
    /// there are no others of the block.
    counted: usize,
    described: u64,
    complete: bool,
    model: Model,
    range: Range,
    window: Window,
    place: Place,
    /// Literals that come next, and the match behind them.
    literals: u32,
    next: Option<Packet>,
    /// The last word of the block was taken.
    ended: bool,
    /// Bytes of content of the last match that are still to come.
    covered: usize,
    /// Chunks that are told, and how many of them are over.
    told: Vec<Chunk>,
    number: usize,
    /// The chunk that is being made, and how much of it is; none where there are none.
    chunk: Option<Chunk>,
    done: usize,
    in_chunks: bool,
    /// The next chunk is the first.
    first: bool,
}

impl Packer {
    /// With a window of `reach` bytes, and room for `held` bytes of words. Chunks are those
    /// told, or as liblzma makes them.
    pub(super) fn new(
        properties: Properties,
        reach: u64,
        held: usize,
        in_chunks: bool,
        told: Vec<Chunk>,
    ) -> Result<Self, Fault> {
        // A chunk ends before its last packet is too long.
        let most = if in_chunks { CHUNK_PACKED + 2 * PACKET_MAX } else { 0 };
        Ok(Self {
            words: Vec::with_capacity(held),
            at: 0,
            counted: 0,
            described: 0,
            complete: false,
            model: Model::new(properties),
            range: Range::with_capacity(most),
            window: Window::new(reach)?,
            place: Place::default(),
            literals: 0,
            next: None,
            ended: false,
            covered: 0,
            told,
            number: 0,
            chunk: None,
            done: 0,
            in_chunks,
            first: true,
        })
    }

    /// Words that are to come are appended to those that were not taken.
    pub(super) fn hear(&mut self) -> &mut Vec<u8> {
        self.words.drain(..self.at);
        self.counted -= self.at;
        self.at = 0;
        &mut self.words
    }

    /// Everything that is told was made.
    pub(super) fn is_over(&self) -> bool {
        self.at == self.words.len() && self.number == self.told.len()
    }

    /// A block begins.
    pub(super) fn begin(&mut self) {
        self.model.reset();
        self.range.restart();
        self.place = Place::default();
        (self.ended, self.first) = (false, true);
        (self.counted, self.described, self.complete) = (self.at, 0, false);
    }

    /// The bytes of content of the block, if all of its words are there.
    pub(super) fn content(&mut self) -> Option<u64> {
        let mut words = Words::new(self.words.get(self.counted..).unwrap_or_default());
        while !self.complete {
            let Some(sequence) = words.next() else { break };
            let length = sequence.length.saturating_sub(2);
            let more = u64::from(sequence.literals) + u64::from(length);
            self.described = self.described.saturating_add(more);
            self.complete = sequence.length == 0;
        }
        self.counted = self.words.len() - words.left();
        self.complete.then_some(self.described)
    }

    /// The next content of the block.
    pub(super) fn code(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        while let Some(first) = plain.first() {
            let taken = if self.covered > 0 {
                self.cover(plain)
            } else {
                self.prepare(out)?;
                match self.chunk {
                    Some(Chunk { kind: ChunkKind::Plain { .. }, size }) => {
                        let (now, _) = plain.split_at(plain.len().min(size - self.done));
                        self.plain(now, out)?
                    }
                    _ => self.packet(*first)?,
                }
            };
            plain = plain.get(taken..).unwrap_or_default();
        }
        if !self.in_chunks {
            out.append(&mut self.range.out);
        }
        Ok(())
    }

    /// The block ends, and may say so itself.
    pub(super) fn end(&mut self, marked: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.literals == 0 && self.next.is_none() && !self.ended {
            self.word()?;
        }
        let over = self.literals == 0 && self.next.is_none() && self.ended && self.covered == 0;
        over.then_some(()).ok_or(IMPOSSIBLE)?;
        if self.in_chunks {
            self.end_chunk(out)?;
            out.push(0);
            return Ok(());
        }
        if marked {
            let last = Packet::Match { distance: END, length: LENGTH_MIN };
            self.model.code(&mut self.range, self.place, last);
        }
        self.range.flush();
        out.append(&mut self.range.out);
        Ok(())
    }

    /// What comes next is known, and there is a chunk for it.
    fn prepare(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.literals == 0 && self.next.is_none() {
            if self.ended {
                return Err(IMPOSSIBLE);
            }
            self.word()?;
        }
        if !self.in_chunks {
            return Ok(());
        }
        let made = self.range.out.len() as u64 + self.range.pending();
        if made > CHUNK_PACKED as u64 {
            return Err(IMPOSSIBLE);
        }
        let over = match self.chunk {
            Some(chunk) => chunk.size <= self.done || self.told.is_empty() && made >= FULL,
            None => false,
        };
        if over {
            self.end_chunk(out)?;
        }
        if self.chunk.is_none() { self.begin_chunk(out) } else { Ok(()) }
    }

    fn word(&mut self) -> Result<(), Fault> {
        let mut words = Words::new(self.words.get(self.at..).unwrap_or_default());
        let sequence = words.next().ok_or(IMPOSSIBLE)?;
        self.at = self.words.len() - words.left();
        self.literals = sequence.literals;
        self.ended = sequence.length == 0;
        if !self.ended {
            self.next = Some(Packet::of(&sequence).ok_or(IMPOSSIBLE)?);
        }
        Ok(())
    }

    /// Codes the next packet; a literal takes a byte of content.
    fn packet(&mut self, first: u8) -> Result<usize, Fault> {
        if self.literals > 0 {
            self.literals -= 1;
            self.place.matched = 0;
            if self.model.is_behind_match() {
                let matched = self.window.back(self.model.last_distance());
                self.place.matched = matched.ok_or(IMPOSSIBLE)?;
            }
            self.model.code(&mut self.range, self.place, Packet::Literal(first));
            self.model.follow(Packet::Literal(first));
            return Ok(self.pass(&[first]));
        }
        let packet = self.next.take().ok_or(IMPOSSIBLE)?;
        let length = packet.length() as usize;
        // A told chunk ends with a packet.
        let told = self.chunk.filter(|_| !self.told.is_empty());
        if told.is_some_and(|chunk| length > chunk.size - self.done) {
            return Err(IMPOSSIBLE);
        }
        self.model.code(&mut self.range, self.place, packet);
        self.model.follow(packet);
        self.covered = length;
        Ok(0)
    }

    /// Content of a match goes by.
    fn cover(&mut self, plain: &[u8]) -> usize {
        let now = plain.get(..plain.len().min(self.covered)).unwrap_or_default();
        self.covered -= now.len();
        self.pass(now)
    }

    /// Content of a chunk that is not packed.
    fn plain(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let literals = plain.len().min(self.literals as usize);
        if literals == 0 {
            return Err(IMPOSSIBLE);
        }
        let now = plain.get(..literals).unwrap_or_default();
        self.literals -= literals as u32;
        out.extend_from_slice(now);
        Ok(self.pass(now))
    }

    fn pass(&mut self, plain: &[u8]) -> usize {
        self.window.put_all(plain);
        self.place.position = self.place.position.wrapping_add(plain.len() as u32);
        self.place.last = plain.last().copied().unwrap_or(self.place.last);
        self.done += plain.len();
        plain.len()
    }

    fn begin_chunk(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let kind = if self.first { FIRST } else { ChunkKind::Packets { reset: 0 } };
        let natural = Chunk { size: LONG, kind };
        let chunk = match self.told.get(self.number) {
            Some(chunk) => *chunk,
            None if self.told.is_empty() => natural,
            None => return Err(IMPOSSIBLE),
        };
        self.number += usize::from(!self.told.is_empty());
        (self.first, self.done) = (false, 0);
        let fresh = matches!(
            chunk.kind,
            ChunkKind::Plain { reset: true } | ChunkKind::Packets { reset: 3 }
        );
        if fresh {
            self.place = Place::default();
        }
        match chunk.kind {
            ChunkKind::Plain { .. } if chunk.size > CHUNK_PACKED => return Err(IMPOSSIBLE),
            ChunkKind::Plain { .. } => {
                out.push(chunk.kind.control());
                out.extend((chunk.size as u16).wrapping_sub(1).to_be_bytes());
            }
            ChunkKind::Packets { reset } => {
                if reset > 0 {
                    self.model.reset();
                }
                self.range.restart();
            }
        }
        self.chunk = Some(chunk);
        Ok(())
    }

    fn end_chunk(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let chunk = self.chunk.take().ok_or(IMPOSSIBLE)?;
        if !self.told.is_empty() && chunk.size != self.done {
            return Err(IMPOSSIBLE);
        }
        let ChunkKind::Packets { reset } = chunk.kind else { return Ok(()) };
        self.range.flush();
        let (size, packed) = (self.done, self.range.out.len());
        if !(1..=CHUNK_MAX).contains(&size) || packed > CHUNK_PACKED {
            return Err(IMPOSSIBLE);
        }
        let [_, high, middle, low] = (size as u32 - 1).to_be_bytes();
        out.extend([chunk.kind.control() | high, middle, low]);
        out.extend((packed as u16).wrapping_sub(1).to_be_bytes());
        if reset >= 2 {
            out.push(self.model.properties().byte());
        }
        out.append(&mut self.range.out);
        Ok(())
    }
}

pub(super) const IMPOSSIBLE: Fault = "what is told leads to no stream of LZMA";
