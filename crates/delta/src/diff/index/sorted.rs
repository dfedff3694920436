//! All of old, sorted.

use super::{Match, common};
use crate::diff::DiffError;
use alloc::vec::Vec;
use libsais::SuffixArrayConstruction;

/// A part of old and its sorted suffixes.
pub(crate) struct Piece<'a> {
    bytes: &'a [u8],
    base: usize,
    suffixes: Vec<i32>,
    /// For two first bytes, where in `suffixes` theirs begin; one more at the end.
    starts: Vec<u32>,
    grams: Grams,
}

impl<'a> Piece<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Result<Self, DiffError> {
        let sorted = SuffixArrayConstruction::for_text(bytes)
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .map_err(|_| DiffError::Sort("out of memory"))?;
        let suffixes = sorted.into_vec();
        let mut starts = alloc::vec![0u32; (1 << 16) + 1];
        let mut count = |pair: usize| {
            if let Some(start) = starts.get_mut(pair + 1) {
                *start += 1;
            }
        };
        bytes.windows(2).for_each(|pair| count(prefix(pair).unwrap_or(0)));
        if let Some(last) = bytes.last() {
            // The last suffix has one byte and comes first among its like.
            count(usize::from(*last) << 8);
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Ok(Self { bytes, base, suffixes, starts, grams: Grams::new(bytes) })
    }

    pub(super) fn longest(&self, new: &[u8], near: usize) -> Match {
        let Some(first) = prefix(new).filter(|_| self.grams.may_hold(new)) else {
            return Match::default();
        };
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(0) as usize;
        let (mut low, mut high) = (bound(first), bound(first + 1));
        if low == high {
            return Match::default();
        }
        // Matches of the suffixes just below and just above the wanted place.
        let (mut below, mut above) = (0, 0);
        let (start, end) = (low, high);
        while low < high {
            let middle = low.midpoint(high);
            let at = self.suffix(middle);
            let known = below.min(above);
            let len = known + common(self.tail(at + known), new.get(known..).unwrap_or_default());
            if self.tail(at + len).first() < new.get(len..).unwrap_or_default().first() {
                (low, below) = (middle + 1, len);
            } else {
                (high, above) = (middle, len);
            }
        }
        self.nearest(low, start, end, new, near)
    }

    /// The longest of the neighbours of a place in the order, and of those the
    /// nearest to `near`.
    fn nearest(&self, place: usize, start: usize, end: usize, new: &[u8], near: usize) -> Match {
        let mut best = Match::default();
        let mut distance = usize::MAX;
        let mut look = |order: usize| {
            let at = self.suffix(order);
            let len = common(self.tail(at), new);
            let away = (self.base + at).abs_diff(near);
            let better = len > best.len || (len == best.len && away < distance);
            if better {
                (best, distance) = (Match { at: self.base + at, len }, away);
            }
            len >= best.len
        };
        for order in (start..place).rev().take(NEIGHBOURS) {
            if !look(order) {
                break;
            }
        }
        for order in (place..end).take(NEIGHBOURS) {
            if !look(order) {
                break;
            }
        }
        best
    }

    fn suffix(&self, order: usize) -> usize {
        self.suffixes.get(order).map_or(0, |at| *at as usize)
    }

    fn tail(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }
}

/// The least match that is looked for.
pub(super) const GRAM: usize = 6;

/// Which pieces of [`GRAM`] bytes may stand in old: one look here saves a search
/// through what is sorted for most of what is not there.
pub(super) struct Grams(Vec<u64>);

impl Grams {
    fn new(bytes: &[u8]) -> Self {
        let mut grams = Self(alloc::vec![0; bytes.len() / Self::BYTES + 1]);
        for gram in bytes.windows(GRAM) {
            let Some((word, bits)) = grams.place(gram) else { break };
            if let Some(word) = grams.0.get_mut(word) {
                *word |= bits;
            }
        }
        grams
    }

    /// So many bytes share a word of 64 bits.
    const BYTES: usize = 16;

    /// Bytes of memory for so many bytes.
    pub(super) const fn memory(len: usize) -> u64 {
        (len / Self::BYTES + 1) as u64 * 8
    }

    fn may_hold(&self, bytes: &[u8]) -> bool {
        let place = self.place(bytes);
        place.is_some_and(|(word, bits)| self.0.get(word).is_some_and(|word| word & bits == bits))
    }

    /// Its word, and two bits in it.
    fn place(&self, bytes: &[u8]) -> Option<(usize, u64)> {
        let mut gram = [0; 8];
        gram.first_chunk_mut::<GRAM>()?.copy_from_slice(bytes.first_chunk::<GRAM>()?);
        let hash = u64::from_le_bytes(gram).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (hash ^ hash >> 29).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let hash = hash ^ hash >> 32;
        let word = (u128::from(hash) * self.0.len() as u128) >> 64;
        Some((word as usize, 1 << (hash & 63) | 1 << (hash >> 6 & 63)))
    }
}

/// How many equally good matches are looked at in either direction.
const NEIGHBOURS: usize = 12;

fn prefix(bytes: &[u8]) -> Option<usize> {
    let [high, low] = bytes.first_chunk()?;
    Some(usize::from(*high) << 8 | usize::from(*low))
}
