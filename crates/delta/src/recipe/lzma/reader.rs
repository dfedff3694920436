//! Reads a stream: the words of its packets, and its content.

pub(super) mod beside;

use super::super::words;
use super::super::xz::check_len;
use super::{ALONE_HEAD, AloneHead, ChunkKind, Frame, LZIP_HEAD, LZIP_TAIL, LzmaRecipe, NO_STREAM};
use crate::codec::{Fault, Progress};
use crate::packets::branch::{Branch, Way};
use crate::packets::range::{Decoder, Encoder, Point};
use crate::packets::window::Window;
use crate::packets::{END, Model, PACKET_MAX, Packet, Place};
use crate::sequences::Sequence;
use alloc::vec::Vec;
use beside::Beside;

/// The most content of a chunk of LZMA2, and its most bytes.
pub(crate) const CHUNK_MAX: usize = 2 << 20;
pub(crate) const CHUNK_PACKED: usize = 64 << 10;

/// Bytes that are read at a time before they are given: little more than so many.
pub(super) const READY: usize = 16 << 10;

/// Bytes of heap beside window and model.
pub(super) const HEAP: u64 = 24 << 10;

/// The head of an .xz stream.
const XZ_HEAD: usize = 12;

/// Reads a stream.
pub(crate) struct ToldReader {
    recipe: LzmaRecipe,
    doing: Doing,
    /// Bytes that are collected until there are enough.
    gathered: Vec<u8>,
    model: Model,
    point: Option<Point>,
    window: Window,
    place: Place,
    /// Words, or content, and how many bytes of them went out.
    ready: Vec<u8>,
    given: usize,
    /// Content that is read beside words.
    beside: Option<Beside>,
    /// Literals since the last match.
    literals: u32,
    /// Content that is still to come of a chunk, or of all, where that is known.
    left: Option<u64>,
    /// Bytes of a chunk that are still to come.
    packed: usize,
    /// Bytes of a block so far, and where in the window it begins.
    encoded: u64,
    block: usize,
    /// The last packet said that it is the last.
    pub(crate) marked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The head of the stream, of so many bytes.
    Head(usize),
    /// That of a block, of one byte, and of all that it states.
    Block(usize),
    /// That of a chunk of LZMA2.
    Chunk(usize),
    /// What a range coder begins with.
    Start,
    Packets,
    /// Packets are over.
    Last,
    Plain,
    /// Behind a block, or behind all.
    Tail(usize),
    /// Content, from here on.
    Content(usize),
    Done,
}

impl ToldReader {
    /// Of a stream of `plain` bytes of words and content.
    pub(crate) fn new(recipe: LzmaRecipe, plain: u64) -> Result<Self, Fault> {
        let head = match recipe.frame {
            Frame::Xz { .. } => XZ_HEAD,
            Frame::Alone => ALONE_HEAD,
            Frame::Lzip => LZIP_HEAD,
        };
        Ok(Self {
            recipe,
            doing: Doing::Head(head),
            gathered: Vec::new(),
            model: Model::new(recipe.properties()),
            point: None,
            window: Window::new(recipe.window(plain))?,
            place: Place::default(),
            ready: Vec::with_capacity(READY + READY / 16),
            given: 0,
            beside: None,
            literals: 0,
            left: None,
            packed: 0,
            encoded: 0,
            block: 0,
            marked: false,
        })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        let (mut consumed, mut filled) = (0, 0);
        loop {
            filled += self.give(out.get_mut(filled..).unwrap_or_default());
            // Words and content are given apart.
            if self.given < self.ready.len() || matches!(self.doing, Doing::Content(_)) {
                break;
            }
            self.ready.clear();
            self.given = 0;
            if self.doing == Doing::Done {
                break;
            }
            let before = self.doing;
            let taken = self.go(input.get(consumed..).unwrap_or_default())?;
            consumed += taken;
            if self.doing != before && matches!(self.doing, Doing::Content(_)) && filled > 0 {
                break;
            }
            if taken == 0 && self.ready.is_empty() && self.doing == before {
                break;
            }
        }
        let done = self.doing == Doing::Done && self.ready.is_empty();
        Ok(Progress { consumed, filled, done })
    }

    /// All words were given.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn is_over(&self) -> bool {
        self.given == self.ready.len() && matches!(self.doing, Doing::Content(0))
    }

    /// Bytes of content that are held.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn content(&self) -> usize {
        self.window.held().len()
    }

    /// Gives what is ready; returns how many bytes.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let from = match self.doing {
            Doing::Content(at) if self.given == self.ready.len() => self.window.held().get(at..),
            _ => self.ready.get(self.given..),
        };
        let from = from.unwrap_or_default();
        let count = from.len().min(out.len());
        out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        match &mut self.doing {
            Doing::Content(at) if self.given == self.ready.len() => {
                *at += count;
                if *at == self.window.held().len() {
                    self.doing = Doing::Done;
                    self.ready.clear();
                    self.given = 0;
                }
            }
            _ => self.given += count,
        }
        count
    }

    /// Goes on by one part of the stream; returns how many bytes were taken.
    fn go(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let needs = match self.doing {
            Doing::Head(len) | Doing::Block(len) | Doing::Chunk(len) | Doing::Tail(len) => len,
            Doing::Start => Encoder::START,
            Doing::Packets => return self.packets(input),
            Doing::Plain => return self.plain(input),
            Doing::Last => return self.last(input),
            Doing::Content(_) | Doing::Done => return Ok(0),
        };
        let missing = needs.saturating_sub(self.gathered.len());
        let now = input.get(..missing.min(input.len())).unwrap_or_default();
        self.gathered.extend_from_slice(now);
        self.encoded += now.len() as u64;
        if now.len() == missing {
            self.part().ok_or(NO_STREAM)?;
        }
        Ok(now.len())
    }

    /// What was gathered is complete.
    fn part(&mut self) -> Option<()> {
        let first = self.gathered.first().copied();
        let next = match self.doing {
            Doing::Head(_) => self.head()?,
            Doing::Block(1) => match first? {
                0 => self.over(),
                size => Doing::Block((usize::from(size) + 1) * 4),
            },
            Doing::Block(_) => {
                self.encoded = 0;
                Doing::Chunk(1)
            }
            Doing::Chunk(len) => self.chunk(len)?,
            Doing::Start => {
                self.point = Some(Point::new(*self.gathered.first_chunk()?)?);
                self.packed = self.packed.checked_sub(Encoder::START)?;
                Doing::Packets
            }
            Doing::Tail(_) if matches!(self.recipe.frame, Frame::Xz { .. }) => Doing::Block(1),
            _ => self.over(),
        };
        // Of a head that goes on, the start is kept.
        let goes_on = match (self.doing, next) {
            (Doing::Block(len), Doing::Block(more)) => more > len,
            (Doing::Chunk(len), Doing::Chunk(more)) => more > len,
            _ => false,
        };
        if !goes_on {
            self.gathered.clear();
        }
        self.doing = next;
        Some(())
    }

    /// The head of the stream.
    fn head(&mut self) -> Option<Doing> {
        self.packed = usize::MAX;
        match self.recipe.frame {
            Frame::Xz { .. } => return Some(Doing::Block(1)),
            Frame::Alone => {
                let head = AloneHead::read(&self.gathered)?;
                (head.properties == self.recipe.properties).then_some(())?;
                self.left = head.size;
            }
            Frame::Lzip => {}
        }
        Some(Doing::Start)
    }

    /// The head of a chunk, of which so many bytes are there.
    fn chunk(&mut self, len: usize) -> Option<Doing> {
        let control = *self.gathered.first()?;
        if control == 0 {
            return Some(self.end_of_block());
        }
        let kind = ChunkKind::of(control)?;
        let whole = match kind {
            ChunkKind::Plain { .. } => 3,
            ChunkKind::Packets { reset } => 5 + usize::from(reset >= 2),
        };
        if len < whole {
            return Some(Doing::Chunk(whole));
        }
        let size = |at: usize| {
            let [high, low] = *self.gathered.get(at..)?.first_chunk()?;
            Some(usize::from(u16::from_be_bytes([high, low])) + 1)
        };
        let high = if control >= 0x80 { usize::from(control & 0x1f) << 16 } else { 0 };
        self.left = Some((high + size(1)?) as u64);
        match kind {
            ChunkKind::Plain { reset } => {
                if reset {
                    self.place = Place::default();
                }
                return Some(Doing::Plain);
            }
            ChunkKind::Packets { reset } => {
                self.packed = size(3)?;
                if reset >= 2 {
                    let properties = *self.gathered.get(5)?;
                    (properties == self.recipe.properties).then_some(())?;
                }
                if reset == 3 {
                    self.place = Place::default();
                }
                if reset > 0 {
                    self.model.reset();
                }
            }
        }
        Some(Doing::Start)
    }

    /// The words of a block end, and what a converter did is undone.
    fn end_of_block(&mut self) -> Doing {
        self.end_words();
        let Frame::Xz { check, branch } = self.recipe.frame else { return self.over() };
        if let Some(beside) = &mut self.beside {
            beside.end();
        }
        let content = match self.holds() {
            true => self.window.held_mut(self.block),
            false => &mut [],
        };
        if let Some(mut branch) = Branch::new(branch, Way::ToDistances) {
            branch.code(content);
        }
        self.block += content.len();
        let padding = (self.encoded.wrapping_neg() & 3) as usize;
        Doing::Tail(padding + check_len(check))
    }

    fn end_words(&mut self) {
        if self.recipe.told {
            let literals = core::mem::take(&mut self.literals);
            words::put(&mut self.ready, Sequence { literals, ..Sequence::default() });
        }
    }

    /// Everything was read.
    fn over(&mut self) -> Doing {
        if self.holds() { Doing::Content(0) } else { Doing::Done }
    }

    /// Bytes of a chunk as they are.
    fn plain(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let left = self.left.unwrap_or(0);
        let count = left.min(input.len().min(READY) as u64) as usize;
        let now = input.get(..count).unwrap_or_default();
        for byte in now {
            self.follow(Packet::Literal(*byte))?;
        }
        self.encoded += count as u64;
        if self.left == Some(0) {
            self.doing = Doing::Chunk(1);
        }
        Ok(count)
    }

    /// Reads packets; returns how many bytes were taken.
    fn packets(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let input = input.get(..input.len().min(self.packed)).unwrap_or_default();
        let mut used = 0;
        while self.doing == Doing::Packets && !self.is_full() {
            let rest = input.get(used..).unwrap_or_default();
            if self.gathered.is_empty() && rest.len() >= PACKET_MAX {
                used += self.several(rest)?;
                continue;
            }
            let before = self.gathered.len();
            let room = (2 * PACKET_MAX).saturating_sub(before).min(rest.len());
            self.gathered.extend_from_slice(rest.get(..room).unwrap_or_default());
            let small = core::mem::take(&mut self.gathered);
            if self.is_cut(&small) {
                self.gathered = small;
                used += room;
                break;
            }
            let took = self.one(&small)?;
            used += took.saturating_sub(before);
            self.gathered = small;
            self.gathered.clear();
        }
        self.packed -= used;
        self.encoded += used as u64;
        Ok(used)
    }

    /// There is not all of a packet in these bytes.
    fn is_cut(&mut self, bytes: &[u8]) -> bool {
        let Some(point) = self.point else { return true };
        let mut dry = Decoder::<true>::new(point, bytes);
        self.look_back();
        self.model.code(&mut dry, self.place, Packet::Short);
        dry.is_beyond
    }

    /// Reads one packet; returns its bytes.
    fn one(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut decoder = Decoder::<false>::new(self.point.ok_or(NO_STREAM)?, bytes);
        self.look_back();
        let packet = self.model.code(&mut decoder, self.place, Packet::Short);
        self.point = Some(decoder.point);
        self.follow(packet)?;
        Ok(decoder.at)
    }

    /// Reads as many as are there for certain.
    fn several(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut decoder = Decoder::<false>::new(self.point.ok_or(NO_STREAM)?, bytes);
        let until = bytes.len().saturating_sub(PACKET_MAX);
        while self.doing == Doing::Packets && !self.is_full() && decoder.at <= until {
            self.look_back();
            let packet = self.model.code(&mut decoder, self.place, Packet::Short);
            self.follow(packet)?;
        }
        self.point = Some(decoder.point);
        Ok(decoder.at)
    }

    #[inline]
    fn look_back(&mut self) {
        if self.model.is_behind_match() {
            self.place.matched = self.window.back(self.model.last_distance()).unwrap_or(0);
        }
    }

    /// A packet was read.
    #[inline]
    fn follow(&mut self, packet: Packet) -> Result<(), Fault> {
        let length = packet.length();
        if let Packet::Match { distance: END, .. } = packet {
            let early = matches!(self.recipe.frame, Frame::Xz { .. }) || self.left.unwrap_or(0) > 0;
            self.marked = true;
            self.doing = Doing::Last;
            return if early { Err(NO_STREAM) } else { Ok(()) };
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length.into()).ok_or(NO_STREAM)?;
        }
        if self.holds() && self.window.left() < length as usize {
            return Err(NO_STREAM);
        }
        if self.doing == Doing::Packets {
            self.model.follow(packet);
        }
        let content = match &mut self.beside {
            Some(beside) => Some(beside.bytes()),
            None if self.recipe.holds() => None,
            None => Some(&mut self.ready),
        };
        if let Packet::Literal(byte) = packet {
            self.window.put(byte);
            self.literals = self.literals.checked_add(1).ok_or(NO_STREAM)?;
            if let Some(content) = content {
                content.push(byte);
            }
            self.place.last = byte;
        } else {
            let distance = self.model.last_distance();
            let there = distance < self.place.position;
            if !there || !self.window.repeat(distance, length, content) {
                return Err(NO_STREAM);
            }
            self.place.last = self.window.back(0).unwrap_or(0);
            let literals = core::mem::take(&mut self.literals);
            if self.recipe.told {
                words::put(&mut self.ready, packet.told(literals));
            }
        }
        self.place.position = self.place.position.checked_add(length).ok_or(NO_STREAM)?;
        if self.left == Some(0) && self.doing == Doing::Packets {
            self.doing = Doing::Last;
        }
        Ok(())
    }

    /// The last byte of packets, if there is one more; then they are over, or the last
    /// packet says so.
    fn last(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(point) = &mut self.point else { return Err(NO_STREAM) };
        let mut taken = 0;
        if point.needs_byte() {
            let Some(byte) = input.first().filter(|_| self.packed > 0) else { return Ok(0) };
            point.take(*byte);
            taken = 1;
        }
        self.packed -= taken;
        self.encoded += taken as u64;
        self.doing = match self.recipe.frame {
            Frame::Xz { .. } if self.packed == 0 => Doing::Chunk(1),
            Frame::Xz { .. } => return Err(NO_STREAM),
            _ if !point.is_end() && !self.marked => {
                // A packet that says so comes behind the content.
                Doing::Packets
            }
            _ if !point.is_end() => return Err(NO_STREAM),
            frame => {
                self.end_words();
                if frame == Frame::Lzip { Doing::Tail(LZIP_TAIL) } else { self.over() }
            }
        };
        Ok(taken)
    }
}

/// Properties of lzip's streams.
#[cfg(any(test, feature = "diff"))]
pub(crate) const LZIP: crate::packets::Properties =
    crate::packets::Properties { lc: 3, lp: 0, pb: 2 };
