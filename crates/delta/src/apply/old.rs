//! Plain old: the old image, and behind it what its streams hold.

use super::ApplyError;
use super::pages::{PAGE, Pages};
use crate::patch::{OldStream, Way, width};
use crate::read::ReadAt;
use crate::recipe::Recipe;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of the old image that are read at a time to be decoded.
const PIECE: usize = 16 << 10;

/// The content of a stream.
struct Content {
    stream: OldStream,
    bytes: Vec<u8>,
    /// When it was read last.
    used: u64,
}

/// Plain old as a span sees it.
pub(crate) struct PlainOld {
    pages: Pages,
    streams: Vec<OldStream>,
    recipes: Vec<Recipe>,
    held: Vec<Content>,
    /// Bytes of content that may be held.
    room: u64,
    /// Bytes of heap that a decoder may take.
    decoder_heap: u64,
    clock: u64,
}

impl PlainOld {
    /// With `room` for content and `decoder_heap` for one decoder.
    pub(crate) fn new(recipes: Vec<Recipe>, room: u64, decoder_heap: u64) -> Self {
        Self {
            pages: Pages::new(),
            streams: Vec::new(),
            recipes,
            held: Vec::new(),
            room,
            decoder_heap,
            clock: 0,
        }
    }

    /// A span reads these streams. Content of streams that stay is kept.
    pub(crate) fn list(&mut self, streams: Vec<OldStream>) {
        self.streams = streams;
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

    fn content_at(&mut self, old: &mut dyn ReadAt, at: u64) -> Result<&[u8], ApplyError> {
        let behind = self.streams.partition_point(|stream| stream.plain_at <= at);
        let Some(number) = behind.checked_sub(1) else { return Ok(&[]) };
        let Some(stream) = self.streams.get(number) else { return Ok(&[]) };
        let offset = at - stream.plain_at;
        if offset >= stream.plain {
            return Ok(&[]);
        }
        let place = self.hold(old, number, 0)?;
        let content = self.held.get(place).map(|content| content.bytes.as_slice());
        Ok(content.and_then(|bytes| bytes.get(offset as usize..)).unwrap_or_default())
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
            if let Some(content) = self.held.get_mut(place) {
                content.used = clock;
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
        let above = parent.as_ref().map_or(0, |parent| parent.bytes.len() as u64);
        self.make_room(stream.plain.saturating_add(above))?;
        let encoded = parent.as_ref().map(|parent| parent.bytes.as_slice());
        let bytes = self.decode(old, &stream, encoded);
        self.held.extend(parent);
        self.held.push(Content { stream, bytes: bytes?, used: clock });
        Ok(self.held.len() - 1)
    }

    /// Forgets what was not read for the longest time until `bytes` fit.
    fn make_room(&mut self, bytes: u64) -> Result<(), ApplyError> {
        let room = self.room.checked_sub(bytes);
        let room = room.ok_or(ApplyError::Damaged("an old stream is larger than the cache"))?;
        while self.held.iter().map(|held| held.bytes.len() as u64).sum::<u64>() > room {
            let oldest = (0..).zip(&self.held).min_by_key(|(_, held)| held.used);
            let Some((oldest, _)) = oldest else { break };
            self.held.swap_remove(oldest);
        }
        Ok(())
    }

    fn decode(
        &self,
        old: &mut dyn ReadAt,
        stream: &OldStream,
        parent: Option<&[u8]>,
    ) -> Result<Vec<u8>, ApplyError> {
        let recipe = self.recipes.get(stream.recipe).ok_or(NO_STREAM)?;
        if recipe.decoder_heap(stream.plain) > self.decoder_heap {
            return Err(ApplyError::Damaged("an old stream needs more heap than declared"));
        }
        let whole = parent.map_or(old.size(), |parent| parent.len() as u64);
        if stream.at.checked_add(stream.len).is_none_or(|end| end > whole) {
            return Err(NO_STREAM);
        }
        let mut decoder = recipe.decoder(stream.plain).map_err(ApplyError::Codec)?;
        let mut bytes = vec![0; stream.plain as usize];
        let mut piece = vec![0; PIECE];
        let (mut way, mut at) = (Way::new(&stream.holes), stream.at);
        let mut left = stream.len.saturating_sub(width(&stream.holes));
        let mut filled = 0usize;
        let (mut have, mut ended) = (0..0, false);
        while filled < bytes.len() && !ended {
            if have.is_empty() {
                let (over, count) = way.step(left.min(PIECE as u64));
                at = at.saturating_add(over);
                let into = piece.get_mut(..count as usize).unwrap_or_default();
                read(old, parent, at, into)?;
                at = at.saturating_add(count);
                left -= count;
                have = 0..count as usize;
            }
            let input = piece.get(have.clone()).unwrap_or_default();
            let room = bytes.get_mut(filled..).unwrap_or_default();
            let step = decoder.step(input, room).map_err(ApplyError::Codec)?;
            if step.consumed == 0 && step.filled == 0 && (have.is_empty() || !step.done) {
                return Err(ApplyError::Damaged("an old stream ends too early"));
            }
            have.start += step.consumed;
            filled += step.filled;
            ended = step.done;
        }
        if filled < bytes.len() {
            return Err(ApplyError::Damaged("an old stream ends too early"));
        }
        Ok(bytes)
    }
}

const NO_STREAM: ApplyError = ApplyError::Damaged("an old stream is not there");

/// Reads encoded bytes from the image or from the stream above.
fn read(
    old: &mut dyn ReadAt,
    parent: Option<&[u8]>,
    at: u64,
    into: &mut [u8],
) -> Result<(), ApplyError> {
    let Some(parent) = parent else { return old.read_at(at, into).map_err(ApplyError::Old) };
    let from = parent.get(at as usize..).and_then(|from| from.get(..into.len()));
    into.copy_from_slice(from.ok_or(NO_STREAM)?);
    Ok(())
}
