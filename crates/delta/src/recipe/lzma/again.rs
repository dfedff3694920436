//! The words and the content of a stream that is being made, out of what is there of it.

use super::reader::beside::{self, FRESH};
use super::reader::{self, ToldReader};
use super::{LENGTHS_LONGER, LzmaRecipe, Told};
use crate::codec::Fault;
use crate::packets::Model;
use crate::recipe::again::{Again, BATCH, Read, Retold};
use crate::recipe::weave::Woven;
use crate::recipe::words::Words;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of the stream that are read at a time.
const PIECE: usize = 4 << 10;

/// Words and content come out of the same packets: content waits until the words of its
/// run were given.
pub(crate) struct LzmaAgain {
    told: Told,
    reader: ToldReader,
    piece: Vec<u8>,
    have: Range<usize>,
    /// Bytes of the stream that were read, and that are there.
    read: u64,
    there: u64,
    /// Words that were read, how many bytes of them were given, and the content that those
    /// describe.
    words: Vec<u8>,
    given: usize,
    described: usize,
}

/// Bytes of heap that it takes for a stream of `plain` bytes of words and content; none
/// where a stream cannot be read before it is complete.
pub(crate) fn heap(recipe: LzmaRecipe, told: &Told, plain: u64) -> Option<u64> {
    let woven = told.weave.as_ref()?;
    let content = plain.saturating_sub(told.words as u64);
    // Words of a run grow as a vector does, and so do those that were read too early.
    let words = (told.held() as u64).saturating_mul(2).saturating_add(4 * reader::READY as u64);
    let own = Model::HEAP + reader::HEAP + (PIECE + BATCH) as u64;
    let waits = beside::heap(woven.ahead);
    Some(recipe.reach(content).saturating_add(own).saturating_add(words).saturating_add(waits))
}

/// Of a stream of `plain` bytes of words and content.
pub(crate) fn again(recipe: LzmaRecipe, told: Told, plain: u64) -> Result<Again<LzmaAgain>, Fault> {
    let ahead = told.weave.as_ref().ok_or(NOT_THERE)?.ahead;
    let content = plain.checked_sub(told.words as u64).ok_or(NOT_THERE)?;
    let reader = ToldReader::beside(recipe, content, ahead)?;
    let (piece, words) = (vec![0; PIECE], Vec::new());
    let reader = LzmaAgain {
        told,
        reader,
        piece,
        have: 0..0,
        read: 0,
        there: 0,
        words,
        given: 0,
        described: 0,
    };
    Ok(Again::new(reader, usize::try_from(content).map_err(|_| NOT_THERE)?))
}

/// The most bytes of content that are read before their turn, where so many bytes of words
/// come at each place of the content.
#[cfg(any(test, feature = "diff"))]
pub(super) fn ahead(words: &[u8], places: &[(usize, usize)]) -> Option<u64> {
    let (mut rest, mut described, mut most) = (words, 0, 0);
    for (at, count) in places {
        let (now, later) = rest.split_at_checked(*count)?;
        rest = later;
        let each = Words::new(now);
        let each = each.map(|one| one.literals + one.length.saturating_sub(LENGTHS_LONGER));
        described += each.map(u64::from).sum::<u64>();
        most = most.max(described.saturating_sub(*at as u64));
    }
    Some(most)
}

impl Retold for LzmaAgain {
    fn woven(&self) -> Option<Woven<'_>> {
        self.told.woven()
    }

    fn words<E: From<Fault>>(
        &mut self,
        end: usize,
        there: u64,
        read: &mut Read<'_, E>,
        words: &mut Vec<u8>,
    ) -> Result<(), E> {
        self.there = there;
        loop {
            self.hand_on(end, words);
            if words.len() > self.told.held() {
                return Err(E::from(NOT_THERE));
            }
            if self.described > end || self.reader.is_done() {
                return Ok(());
            }
            self.go_on(read)?;
        }
    }

    fn content<E: From<Fault>>(
        &mut self,
        out: &mut [u8],
        read: &mut Read<'_, E>,
    ) -> Result<usize, E> {
        loop {
            let filled = self.reader.give_content(out);
            if filled > 0 || self.reader.is_done() {
                return Ok(filled);
            }
            self.go_on(read)?;
        }
    }

    fn took(&self) -> u64 {
        self.read - self.have.len() as u64
    }

    #[cfg(any(test, feature = "diff"))]
    fn reached(&self) -> Option<usize> {
        self.reader.reached()
    }
}

impl LzmaAgain {
    /// Moves words until they describe more content than up to `end`.
    fn hand_on(&mut self, end: usize, out: &mut Vec<u8>) {
        let from = self.words.get(self.given..).unwrap_or_default();
        let mut words = Words::new(from);
        while self.described <= end {
            let Some(sequence) = words.next() else { break };
            let length = sequence.length.saturating_sub(LENGTHS_LONGER);
            let more = (sequence.literals as usize).saturating_add(length as usize);
            self.described = self.described.saturating_add(more);
        }
        let count = from.len() - words.left();
        out.extend_from_slice(from.get(..count).unwrap_or_default());
        self.given += count;
        if self.given == self.words.len() {
            self.words.clear();
            self.given = 0;
        }
    }

    /// Reads more of the stream.
    fn go_on<E: From<Fault>>(&mut self, read: &mut Read<'_, E>) -> Result<(), E> {
        if self.have.is_empty() {
            let count = self.there.saturating_sub(self.read).min(PIECE as u64) as usize;
            read(self.read, self.piece.get_mut(..count).unwrap_or_default())?;
            self.read += count as u64;
            self.have = 0..count;
        }
        let (waited, heard) = (self.reader.waits(), self.words.len());
        let input = self.piece.get(self.have.clone()).unwrap_or_default();
        let used = self.reader.read_beside(input, &mut self.words)?;
        self.have.start += used;
        let waits = self.reader.waits();
        let ahead = self.told.weave.as_ref().map_or(0, |woven| woven.ahead);
        let still = used == 0 && waits == waited && self.words.len() == heard;
        if still || waits as u64 > ahead.saturating_add(2 * FRESH as u64) {
            return Err(E::from(NOT_THERE));
        }
        Ok(())
    }
}

const NOT_THERE: Fault = "a stream of LZMA cannot be read up to where it is gone on with";
