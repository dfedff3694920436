//! The start of a stream's content, out of what was made of the stream before: an
//! encoder that gets it again stands where it stood.

use super::ApplyError;
use crate::correction::Correction;
use crate::recipe::again;
use crate::recipe::chosen::Retelling;
use crate::recipe::{Decoder, Recipe};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of the stream that are read at a time.
const PIECE: usize = 4 << 10;

/// Bytes of content that are handed on at a time.
const BATCH: usize = 16 << 10;

/// Bytes of heap that it takes for a stream of `plain` bytes of content; none where nothing
/// is made of a stream before all of its content is there.
pub(crate) fn heap(recipe: &Recipe, plain: u64, correction: &Correction) -> Option<u64> {
    match recipe.told(correction) {
        Some(told) => told.again_heap(),
        None if recipe.is_made_whole(correction) => None,
        None => Some(recipe.decoder_heap(plain).saturating_add((PIECE + BATCH) as u64)),
    }
}

/// Reads bytes of the stream from a place in it.
type Read<'a> = again::Read<'a, ApplyError>;

/// Gets the content.
type Sink<'a> = again::Sink<'a, ApplyError>;

/// A stream that is being read from its start.
pub(crate) struct Refeed {
    source: Source,
    /// Bytes of content that came out.
    done: u64,
}

/// What reads it.
enum Source {
    Content(Reading),
    /// What an encoder chose is read as well.
    Told(Retelling),
}

impl Refeed {
    /// Begins with a stream of `plain` bytes of content.
    pub(crate) fn new(
        recipe: &Recipe,
        plain: u64,
        correction: &Correction,
    ) -> Result<Self, ApplyError> {
        let source = match recipe.told(correction) {
            Some(told) => Source::Told(told.again(plain)?),
            None => Source::Content(Reading::new(recipe.decoder(plain)?)),
        };
        Ok(Self { source, done: 0 })
    }

    /// Goes on until `until` bytes of content came out, out of at most `there` bytes
    /// of the stream, which `read` reads; `sink` gets the content. Returns how many
    /// bytes of the stream that took so far.
    pub(crate) fn advance(
        &mut self,
        until: u64,
        there: u64,
        read: &mut Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, ApplyError> {
        let count = until.saturating_sub(self.done);
        self.done += count;
        match &mut self.source {
            Source::Content(reading) => reading.give(count, there, read, sink),
            Source::Told(again) => again.give(count, there, read, sink),
        }
    }
}

/// A stream of which nothing but its content is needed.
struct Reading {
    decoder: Decoder,
    piece: Vec<u8>,
    have: Range<usize>,
    batch: Vec<u8>,
    /// Bytes of the stream that were read.
    read: u64,
}

impl Reading {
    fn new(decoder: Decoder) -> Self {
        let (piece, batch) = (vec![0; PIECE], vec![0; BATCH]);
        Self { decoder, piece, have: 0..0, batch, read: 0 }
    }

    fn give(
        &mut self,
        mut left: u64,
        there: u64,
        read: &mut Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, ApplyError> {
        while left > 0 {
            if self.have.is_empty() {
                let count = there.saturating_sub(self.read).min(PIECE as u64) as usize;
                let into = self.piece.get_mut(..count).unwrap_or_default();
                read(self.read, into)?;
                self.read += count as u64;
                self.have = 0..count;
            }
            let room = left.min(BATCH as u64) as usize;
            let input = self.piece.get(self.have.clone()).unwrap_or_default();
            let batch = self.batch.get_mut(..room).unwrap_or_default();
            let step = self.decoder.step(input, batch).map_err(ApplyError::Codec)?;
            sink(batch.get(..step.filled).unwrap_or_default())?;
            self.have.start += step.consumed;
            left -= step.filled as u64;
            let stuck = step.consumed == 0 && step.filled == 0 && self.read == there;
            if (stuck || step.done) && left > 0 {
                return Err(ApplyError::Damaged("a stream cannot be read up to the span"));
            }
        }
        Ok(self.read)
    }
}
