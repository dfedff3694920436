//! In which steps a piece of old is compared with new.

use super::flat::word;
use crate::coder::{Grid, Moves, operand};
use core::ops::Range;

/// So few bytes that differ choose nothing.
const FEW: usize = 8;

/// Old and new.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
}

impl Sides<'_> {
    /// The grid of a range in new that stands beside what begins at `from`, and the residue
    /// of its words, by where bytes differ: in operands of x86, or seldom in the highest
    /// byte of an instruction or a pointer.
    pub(crate) fn grid(
        self,
        moves: &Moves,
        from: usize,
        range: Range<usize>,
    ) -> Option<(Grid, usize)> {
        let old = self.old.get(from..).unwrap_or_default();
        let new = self.new.get(range.clone()).unwrap_or_default();
        let mut differs = [0usize; 4];
        for (place, (a, b)) in range.clone().zip(old.iter().zip(new)) {
            if a != b
                && let Some(count) = differs.get_mut(place % 4)
            {
                *count += 1;
            }
        }
        let all: usize = differs.iter().sum();
        let (highest, least) =
            (0..4).zip(differs).min_by_key(|(_, count)| *count).unwrap_or((0, 0));
        if all < FEW {
            None
        } else if self.in_operands(moves, from, range) * 2 > all {
            Some((Grid::Code, 0))
        } else if least * 10 <= all {
            Some((Grid::Words, (highest + 1) % 4))
        } else {
            Some((Grid::Bytes, 0))
        }
    }

    /// How many bytes of an operand stand before its first one that differs.
    pub(crate) fn before_operand(self, moves: &Moves, from: usize, to: usize) -> usize {
        let is_before = |back: &usize| {
            let places = from.checked_sub(*back).zip(to.checked_sub(*back));
            places.is_some_and(|(from, to)| self.is_operand(moves, from, to))
        };
        (1..4).rev().find(is_before).unwrap_or(0)
    }

    /// An instruction of x86 may hold an address here, in old and new.
    fn is_operand(self, moves: &Moves, from: usize, to: usize) -> bool {
        let Some((before, last)) = from.checked_sub(4).zip(to.checked_sub(1)) else { return false };
        self.old.get(from - 1) == self.new.get(last)
            && operand(moves, word(self.old, before), word(self.old, from)).is_some()
    }

    /// How many bytes of a range differ in operands of x86.
    fn in_operands(self, moves: &Moves, from: usize, range: Range<usize>) -> usize {
        let (mut at, mut differs) = (0, 0);
        while at + 4 <= range.len() {
            let (old, new) = (from + at, range.start + at);
            if self.is_operand(moves, old, new) {
                let changed = word(self.old, old) ^ word(self.new, new);
                differs += changed.to_le_bytes().iter().filter(|byte| **byte != 0).count();
                at += 4;
            } else {
                at += 1;
            }
        }
        differs
    }
}
