//! Where the pieces of plain old went: what becomes of addresses.

use super::space::REGIONS_MAX;
use super::{Coder, Decoder, Number, Space};
use alloc::vec::Vec;

/// Where pieces went, and how addresses are written down. Pieces are told by
/// their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Moves {
    /// Addresses in plain old, in order, and by how much what stands behind each moved.
    pieces: Vec<(u64, i64)>,
    /// What is added to an address where one is written down, the lower 32 bits; 0: not known.
    base: u32,
    /// The addresses of places in plain old and in plain new.
    spaces: [Space; 2],
}

/// The most bytes of all moves in a header: with it and a span a resume reads at
/// most 256 KiB again.
pub(crate) const MOVES_BYTES_MAX: usize = 24 << 10;

/// The most pieces.
pub(crate) const MOVES_MAX: usize = 1 << 14;

/// So far behind the start of the last piece addresses are taken for such.
const BEHIND: u64 = 1 << 24;

impl Moves {
    /// The moves of these pieces.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn new(pieces: Vec<(u64, i64)>, base: u32, spaces: [Space; 2]) -> Self {
        Self { pieces, base, spaces }
    }

    /// Bytes of heap that moves with this stored form take at most, with it.
    pub(crate) const fn heap(bytes: &[u8]) -> u64 {
        let most = MOVES_BYTES_MAX + (MOVES_MAX + 2 * REGIONS_MAX) * size_of::<(u64, i64)>();
        if bytes.is_empty() { 0 } else { most as u64 }
    }

    /// Nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where in plain new stands what stood at a place in plain old.
    pub(crate) fn moved(&self, at: u64) -> Option<u64> {
        let number = self.pieces.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        at.checked_add_signed(self.pieces.get(number)?.1)
    }

    /// The addresses of a place in plain old and of one in plain new.
    #[inline]
    pub(crate) fn addresses(&self, from: u64, to: u64) -> (u64, u64) {
        (self.spaces[0].address(from), self.spaces[1].address(to))
    }

    /// What is added to an address where one is written down.
    pub(crate) fn base(&self) -> u32 {
        self.base
    }

    /// A word may be an address of what moved.
    #[inline]
    pub(crate) fn has_address(&self, word: u32) -> bool {
        let last = self.pieces.last().map_or(0, |(start, _)| *start);
        self.base != 0 && u64::from(word.wrapping_sub(self.base)) < last.saturating_add(BEHIND)
    }

    /// What a word becomes that is an address that is written down with `base` added.
    pub(crate) fn absolute(&self, base: u32, old: u32) -> Option<u32> {
        let moved = self.moved(old.wrapping_sub(base).into())?;
        u32::try_from(moved).ok().map(|moved| moved.wrapping_add(base))
    }

    /// What a word becomes that is a distance from where it stands.
    pub(crate) fn relative(&self, old: u32, from: u64, to: u64) -> Option<u32> {
        let target = from.checked_add_signed(old.cast_signed().into())?;
        let distance = self.moved(target)?.wrapping_sub(to).cast_signed();
        i32::try_from(distance).ok().map(i32::cast_unsigned)
    }

    /// Reads them from bytes. Nothing when they make no sense.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut coder = Decoder::new(bytes.into());
        let moves = Self::default().code(&mut coder);
        moves.filter(|_| !coder.is_beyond())
    }

    /// Their stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut coder = super::Encoder::new();
        self.code(&mut coder);
        coder.finish()
    }

    /// Codes them; a decoder gets what it read.
    fn code<C: Coder>(&self, coder: &mut C) -> Option<Self> {
        let mut numbers = Number::new(6);
        let [from, to] = &self.spaces;
        let from = from.code(coder, &mut numbers, 4)?;
        let to = to.code(coder, &mut numbers, 4)?;
        let base = numbers.code(coder, 3, self.base.into()) as u32;
        let count = numbers.code(coder, 0, self.pieces.len() as u64) as usize;
        if count > MOVES_MAX {
            return None;
        }
        let (mut pieces, mut last) = (Vec::with_capacity(count), (0u64, 0i64));
        for number in 0..count {
            let (start, moved) = self.pieces.get(number).copied().unwrap_or_default();
            let gap = numbers.code(coder, 1, start.wrapping_sub(last.0));
            let more = numbers.code(coder, 2, fold(moved.wrapping_sub(last.1)));
            last = (last.0.checked_add(gap)?, last.1.wrapping_add(unfold(more)));
            pieces.push(last);
        }
        Some(Self { pieces, base, spaces: [from, to] })
    }
}

/// A difference as a number: its size, then its sign.
fn fold(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)).cast_unsigned()
}

fn unfold(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_come_back() {
        let regions = [[(5, 0), (9, 1 << 40)].into(), Vec::new()];
        let spaces = regions.map(Space::new);
        let pieces = (0..1000).map(|at| (at * 77, at as i64 * 13 % 100 - 50)).collect();
        let moves = Moves::new(pieces, 0x0800_0000, spaces);
        assert_eq!(Moves::from_bytes(&moves.to_bytes()), Some(moves.clone()));
        assert_eq!(moves.moved(77 * 5 + 3), Some(77 * 5 + 3 + 5 * 13 - 50));
        assert_eq!(moves.absolute(0x0800_0000, 0x0800_0000 + 77), Some(0x0800_0000 + 77 - 37));
        assert_eq!(moves.relative(7, 70, 75), Some((77 - 37 - 75i32).cast_unsigned()));
        assert_eq!(Moves::default().moved(7), None);
    }

    #[test]
    fn bytes_that_are_no_moves_are_refused() {
        for bytes in [&[0xff; 40][..], &[0x55; 3], &[]] {
            if let Some(moves) = Moves::from_bytes(bytes) {
                assert!(moves.pieces.len() <= MOVES_MAX);
            }
        }
    }
}
