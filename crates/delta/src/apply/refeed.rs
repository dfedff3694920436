//! The start of a stream's content, out of what was made of the stream before: an
//! encoder that gets it again stands where it stood.

use super::ApplyError;
use crate::recipe::{Decoder, Recipe};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of the stream that are read at a time.
const PIECE: usize = 4 << 10;

/// Bytes of content that are handed on at a time.
const BATCH: usize = 16 << 10;

/// Bytes of heap that it takes beside the decoder.
pub(crate) const HEAP: u64 = (PIECE + BATCH) as u64;

/// Reads bytes of the stream from a place in it.
type Read<'a> = dyn FnMut(u64, &mut [u8]) -> Result<(), ApplyError> + 'a;

/// A stream that is being read from its start.
pub(crate) struct Refeed {
    decoder: Decoder,
    piece: Vec<u8>,
    have: Range<usize>,
    batch: Vec<u8>,
    /// Bytes of the stream that were read.
    read: u64,
    /// Bytes of content that came out.
    done: u64,
}

impl Refeed {
    /// Begins with a stream of `plain` bytes of content.
    pub(crate) fn new(recipe: &Recipe, plain: u64) -> Result<Self, ApplyError> {
        let decoder = recipe.decoder(plain).map_err(ApplyError::Codec)?;
        let (piece, batch) = (vec![0; PIECE], vec![0; BATCH]);
        Ok(Self { decoder, piece, have: 0..0, batch, read: 0, done: 0 })
    }

    /// Goes on until `until` bytes of content came out, out of at most `there` bytes
    /// of the stream, which `read` reads; `sink` gets the content. Returns how many
    /// bytes of the stream that took so far.
    pub(crate) fn advance(
        &mut self,
        until: u64,
        there: u64,
        read: &mut Read<'_>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), ApplyError>,
    ) -> Result<u64, ApplyError> {
        while self.done < until {
            if self.have.is_empty() {
                let count = there.saturating_sub(self.read).min(PIECE as u64) as usize;
                let into = self.piece.get_mut(..count).unwrap_or_default();
                read(self.read, into)?;
                self.read += count as u64;
                self.have = 0..count;
            }
            let room = (until - self.done).min(BATCH as u64) as usize;
            let input = self.piece.get(self.have.clone()).unwrap_or_default();
            let batch = self.batch.get_mut(..room).unwrap_or_default();
            let step = self.decoder.step(input, batch).map_err(ApplyError::Codec)?;
            sink(batch.get(..step.filled).unwrap_or_default())?;
            self.have.start += step.consumed;
            self.done += step.filled as u64;
            let stuck = step.consumed == 0 && step.filled == 0 && self.read == there;
            if (stuck || step.done) && self.done < until {
                return Err(ApplyError::Damaged("a stream cannot be read up to the span"));
            }
        }
        Ok(self.read)
    }
}
