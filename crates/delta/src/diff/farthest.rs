//! The longest match of every place with what stands before it, by sorting: what is rare
//! and far away is found as well as what is near.

use alloc::vec;
use alloc::vec::Vec;
use libsais::SuffixArrayConstruction;

/// Places in a part of some bytes, each with the two before it that are most like it.
pub(super) struct Farthest {
    /// Where the part begins, and its bytes.
    first: usize,
    len: usize,
    /// For each place in the part, plus one: the place before it that comes next below it
    /// in the order of what stands there, and the one next above it, plus one.
    sides: Vec<[u32; 2]>,
}

impl Farthest {
    /// Bytes of memory for each of a part, which is copied for that, while it is sorted.
    pub(super) const BYTE: usize = 13;

    /// Sorts a part that begins at `first`. If there is no memory, nothing is found in it.
    pub(super) fn new(first: usize, part: &[u8]) -> Self {
        let len = part.len();
        let sorted = SuffixArrayConstruction::for_text(part).in_owned_buffer32();
        let Ok(sorted) = sorted.single_threaded().run() else {
            return Self { first, len, sides: Vec::new() };
        };
        let mut sides = vec![[0; 2]; part.len() + 1];
        let mut last = 0u32;
        for at in sorted.into_vec() {
            let at = at.cast_unsigned() + 1;
            link(&mut sides, last, at);
            last = at;
        }
        // From the last place on, each leaves the order: its neighbours stand before it.
        for at in (1..sides.len()).rev() {
            let [below, above] = sides.get(at).copied().unwrap_or_default();
            link(&mut sides, below, above);
        }
        Self { first, len, sides }
    }

    /// Whether a place is in the part.
    pub(super) fn holds(&self, place: usize) -> bool {
        place >= self.first && place - self.first < self.len
    }

    /// The places before `place` of which one starts the longest match.
    pub(super) fn before(&self, place: usize) -> [Option<usize>; 2] {
        let sides = place.checked_sub(self.first).and_then(|at| self.sides.get(at + 1));
        let sides = sides.copied().unwrap_or_default();
        sides.map(|side| (side as usize).checked_sub(1).map(|at| self.first + at))
    }
}

/// One comes next above the other; the first of the list stands for no place.
fn link(sides: &mut [[u32; 2]], below: u32, above: u32) {
    if let Some([_, its]) = sides.get_mut(below as usize) {
        *its = above;
    }
    if let Some([its, _]) = sides.get_mut(above as usize) {
        *its = below;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::index::common;

    /// The best match before each place, as long as any that there is.
    fn check(part: &[u8]) {
        let sorted = Farthest::new(100, part);
        for place in 0..part.len() {
            let len = |at: usize| common(&part[at..], &part[place..]);
            let found = sorted.before(100 + place).into_iter().flatten();
            let found = found.map(|at| (at < 100 + place).then(|| len(at - 100)).unwrap()).max();
            let longest = (0..place).map(len).max();
            assert_eq!(found.unwrap_or(0), longest.unwrap_or(0), "{place}");
        }
        assert!(!sorted.holds(99) && !sorted.holds(100 + part.len()));
        assert_eq!(sorted.holds(100), !part.is_empty());
        assert_eq!(sorted.before(99), [None; 2]);
    }

    #[test]
    fn the_longest_match_is_found() {
        check(b"");
        check(b"a");
        check(&[7; 100]);
        check(b"one of two, two of one, one of two and three of one");
        let mut seed = 7u32;
        let noise = core::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 30) as u8
        });
        check(&noise.take(2000).collect::<Vec<_>>());
    }
}
