//! Plain old: the old image, and behind it what its streams hold.

use super::ApplyError;
use super::pages::{PAGE, Pages};
use super::room::{Content, Room};
use crate::patch::{OldStream, Way, width};
use crate::read::ReadAt;
use crate::recipe::Recipe;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of the old image that are read at a time to be decoded.
const PIECE: usize = 16 << 10;

/// A stream whose content is held.
struct Held {
    stream: OldStream,
    content: Content,
    /// When it was read last.
    used: u64,
}

/// The stream that was read last: its place among those that are held, and where its
/// content begins and ends.
struct Last {
    place: usize,
    start: u64,
    end: u64,
}

/// Plain old as a span sees it.
pub(crate) struct PlainOld {
    pages: Pages,
    streams: Vec<OldStream>,
    recipes: Vec<Recipe>,
    held: Vec<Held>,
    last: Option<Last>,
    /// What holds their content, and how many bytes a content and the one that it is read
    /// from may have.
    room: Room,
    most: u64,
    decoding: Decoding,
    clock: u64,
}

/// What becomes of streams that are read and not held.
enum Decoding {
    /// They are decoded, with so many bytes of heap. So much work is left.
    Done { heap: u64, left: u64 },
    /// Their work is added up.
    #[cfg(any(test, feature = "diff"))]
    Counted(u64),
}

/// What decoding a stream counts beside its content and its encoded bytes: to begin.
const BEGUN: u64 = 4 << 10;

/// What decoding a stream counts: an encoder of bad intent makes any number of bytes that
/// hold nothing.
fn work(stream: &OldStream) -> u64 {
    stream.plain.saturating_add(stream.len).saturating_add(BEGUN)
}

impl PlainOld {
    /// With `room` for content and `heap` for one decoder; decoding may do so much `work`.
    pub(crate) fn new(recipes: Vec<Recipe>, room: u64, heap: u64, work: u64) -> Self {
        Self::with(recipes, room, Decoding::Done { heap, left: work })
    }

    /// One that decodes nothing, but counts what would have to be.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn counting(room: u64) -> Self {
        Self::with(Vec::new(), room, Decoding::Counted(0))
    }

    fn with(recipes: Vec<Recipe>, room: u64, decoding: Decoding) -> Self {
        Self {
            pages: Pages::new(),
            streams: Vec::new(),
            recipes,
            held: Vec::new(),
            last: None,
            room: Room::new(room),
            most: room,
            decoding,
            clock: 0,
        }
    }

    /// The content of a stream would be read.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn count(&mut self, stream: &OldStream) -> Result<(), ApplyError> {
        self.content_at(&mut &[][..], stream.plain_at).map(|_| ())
    }

    /// What was counted.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn counted(&self) -> u64 {
        if let Decoding::Counted(work) = self.decoding { work } else { 0 }
    }

    /// A span reads these streams. Content of streams that stay is kept.
    pub(crate) fn list(&mut self, streams: Vec<OldStream>) {
        self.streams = streams;
        self.last = None;
    }

    /// The bytes from `at` as far as they are at hand; none behind the end or
    /// between two streams.
    #[inline]
    pub(crate) fn get(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<&[u8], ApplyError> {
        let size = old.size();
        if at < size {
            return self.pages.get(old, size, at).map_err(ApplyError::Old);
        }
        self.content_at(old, at)
    }

    /// The four bytes before a place and, above them, the eight from there. Zeros
    /// where the image, or the stream that holds the place, has none.
    #[inline]
    pub(crate) fn around(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<u128, ApplyError> {
        let (start, end) = self.bounds(old.size(), at);
        let mut bytes = [0; 16];
        if let Some(before) = at.checked_sub(4)
            && before >= start
            && at < end
            && let Some(twelve) = self.get(old, before)?.first_chunk::<12>()
        {
            bytes.iter_mut().zip(twelve).for_each(|(to, from)| *to = *from);
            return Ok(u128::from_le_bytes(bytes));
        }
        for (place, byte) in (0u64..12).zip(&mut bytes) {
            let Some(at) = at.saturating_add(place).checked_sub(4) else { continue };
            if (start..end).contains(&at) {
                *byte = self.get(old, at)?.first().copied().unwrap_or(0);
            }
        }
        Ok(u128::from_le_bytes(bytes))
    }

    /// The byte at a place behind one that was copied; 0 when a stream begins there.
    pub(crate) fn next(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<u8, ApplyError> {
        let (start, end) = self.bounds(old.size(), at);
        if at == start || at >= end {
            return Ok(0);
        }
        Ok(self.get(old, at)?.first().copied().unwrap_or(0))
    }

    /// Where what holds a place begins and ends.
    #[inline]
    fn bounds(&self, image: u64, at: u64) -> (u64, u64) {
        if at < image {
            return (0, image);
        }
        let behind = self.streams.partition_point(|stream| stream.plain_at <= at);
        let stream = behind.checked_sub(1).and_then(|number| self.streams.get(number));
        stream.map_or((0, 0), |stream| (stream.plain_at, stream.plain_at + stream.plain))
    }

    /// Reads at least a page of the image past the pages, as much as `into` has
    /// and the image holds; nothing from streams.
    pub(crate) fn read(
        &mut self,
        old: &mut dyn ReadAt,
        at: u64,
        into: &mut [u8],
    ) -> Result<usize, ApplyError> {
        let there = old.size().saturating_sub(at).min(into.len() as u64) as usize;
        if there < PAGE as usize {
            return Ok(0);
        }
        let into = into.get_mut(..there).unwrap_or_default();
        old.read_at(at, into).map_err(ApplyError::Old)?;
        Ok(there)
    }

    #[inline]
    fn content_at(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<&[u8], ApplyError> {
        if !self.last.as_ref().is_some_and(|last| (last.start..last.end).contains(&at)) {
            self.last = self.find(old, at)?;
        }
        let last = self.last.as_ref();
        let bytes = last.and_then(|last| {
            let held = self.held.get(last.place)?;
            Some(self.room.get(&held.content, (at - last.start) as usize))
        });
        Ok(bytes.unwrap_or_default())
    }

    /// The stream that holds a place behind the image; it is held then.
    fn find(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<Option<Last>, ApplyError> {
        let behind = self.streams.partition_point(|stream| stream.plain_at <= at);
        let Some(number) = behind.checked_sub(1) else { return Ok(None) };
        let Some(stream) = self.streams.get(number) else { return Ok(None) };
        let (start, len) = (stream.plain_at, stream.plain);
        if at - start >= len {
            return Ok(None);
        }
        let place = self.hold(old, number, 0)?;
        Ok(Some(Last { place, start, end: start + len }))
    }

    /// Makes sure that a stream's content is held; returns its place.
    fn hold(
        &mut self,
        old: &mut dyn ReadAt,
        number: usize,
        depth: usize,
    ) -> Result<usize, ApplyError> {
        self.clock += 1;
        let Some(stream) = self.streams.get(number).cloned() else { return Err(NO_STREAM) };
        // A parent comes before its children, or the numbers make no sense.
        if stream.parent.is_some_and(|parent| parent >= number) || depth > crate::patch::DEPTH_MAX {
            return Err(NO_STREAM);
        }
        let clock = self.clock;
        if let Some(place) = self.held.iter().position(|held| held.stream == stream) {
            if let Some(held) = self.held.get_mut(place) {
                held.used = clock;
            }
            return Ok(place);
        }
        let parent = match stream.parent {
            None => None,
            Some(parent) => {
                let place = self.hold(old, parent, depth + 1)?;
                Some(self.held.swap_remove(place))
            }
        };
        let above = parent.as_ref().map_or(0, |parent| parent.content.len() as u64);
        let content = self.make_room(stream.plain, above)?;
        let encoded = parent.as_ref().map(|parent| &parent.content);
        let done = self.decode(old, &stream, encoded, &content);
        self.held.extend(parent);
        self.held.push(Held { stream, content, used: clock });
        done.map(|()| self.held.len() - 1)
    }

    /// Forgets what was not read for the longest time until `bytes` fit beside a parent
    /// that has `above`; returns room for them.
    fn make_room(&mut self, bytes: u64, above: u64) -> Result<Content, ApplyError> {
        let fits = above.checked_add(bytes).is_some_and(|bytes| bytes <= self.most);
        fits.then_some(()).ok_or(TOO_LARGE)?;
        loop {
            if let Some(content) = self.room.take(bytes as usize) {
                return Ok(content);
            }
            let oldest = (0..).zip(&self.held).min_by_key(|(_, held)| held.used);
            let (oldest, _) = oldest.ok_or(TOO_LARGE)?;
            let forgotten = self.held.swap_remove(oldest);
            self.room.give_back(forgotten.content);
        }
    }

    /// Decodes a stream of the image, or of the stream above, into `content`.
    fn decode(
        &mut self,
        old: &mut dyn ReadAt,
        stream: &OldStream,
        parent: Option<&Content>,
        content: &Content,
    ) -> Result<(), ApplyError> {
        let heap = match &mut self.decoding {
            #[cfg(any(test, feature = "diff"))]
            Decoding::Counted(sum) => {
                *sum = sum.saturating_add(work(stream));
                return Ok(());
            }
            Decoding::Done { heap, left } => {
                *left = left.checked_sub(work(stream)).ok_or(ApplyError::Work)?;
                *heap
            }
        };
        let recipe = self.recipes.get(stream.recipe).ok_or(NO_STREAM)?;
        if recipe.decoder_heap(stream.plain) > heap {
            return Err(ApplyError::Damaged("an old stream needs more heap than declared"));
        }
        let whole = parent.map_or(old.size(), |parent| parent.len() as u64);
        if stream.at.checked_add(stream.len).is_none_or(|end| end > whole) {
            return Err(NO_STREAM);
        }
        let mut decoder = recipe.decoder(stream.plain).map_err(ApplyError::Codec)?;
        let mut piece = vec![0; PIECE];
        let (mut way, mut at) = (Way::new(&stream.holes), stream.at);
        let mut left = stream.len.saturating_sub(width(&stream.holes));
        let mut filled = 0usize;
        let (mut have, mut ended) = (0..0, false);
        while filled < content.len() && !ended {
            if have.is_empty() {
                let (over, count) = way.step(left.min(PIECE as u64));
                at = at.saturating_add(over);
                let into = piece.get_mut(..count as usize).unwrap_or_default();
                match parent {
                    None => old.read_at(at, into).map_err(ApplyError::Old)?,
                    Some(parent) => {
                        self.room.read(parent, at as usize, into).ok_or(NO_STREAM)?;
                    }
                }
                at = at.saturating_add(count);
                left -= count;
                have = 0..count as usize;
            }
            let input = piece.get(have.clone()).unwrap_or_default();
            let room = self.room.get_mut(content, filled);
            let step = decoder.step(input, room).map_err(ApplyError::Codec)?;
            if step.consumed == 0 && step.filled == 0 && (have.is_empty() || !step.done) {
                return Err(ApplyError::Damaged("an old stream ends too early"));
            }
            have.start += step.consumed;
            filled += step.filled;
            ended = step.done;
        }
        if filled < content.len() {
            return Err(ApplyError::Damaged("an old stream ends too early"));
        }
        Ok(())
    }
}

const NO_STREAM: ApplyError = ApplyError::Damaged("an old stream is not there");
const TOO_LARGE: ApplyError = ApplyError::Damaged("an old stream is larger than the cache");
