//! Where what stands in large gaps stood last, in memory that does not grow with them.
//!
//! Chains as of small gaps would be walked from one end of the memory to the other for
//! every byte. Here the places of what has one hash are side by side, the last few of them.

use super::index::common;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that are hashed, and the least match that is found: shorter ones are cheaper said
/// as new bytes when they stand as far away as here.
const HASHED: usize = 6;

/// So many places share a line of a processor's cache, with what tells them apart.
const PLACES: usize = 12;

/// Lines: 256 MiB of them.
const LINES_LOG: u32 = 22;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    /// Places, plus one.
    places: [u32; PLACES],
    /// More of the hash of what stands there.
    tags: [u8; PLACES],
    /// Where the next place is put.
    next: u8,
}

/// The last places of what has one hash.
pub(super) struct Recent {
    lines: Vec<Line>,
}

impl Recent {
    /// Bytes of memory.
    pub(super) const MEMORY: usize = size_of::<Line>() << LINES_LOG;

    /// Nothing is noted yet.
    pub(super) fn new() -> Self {
        let empty = Line { places: [0; PLACES], tags: [0; PLACES], next: 0 };
        Self { lines: vec![empty; 1 << LINES_LOG] }
    }

    /// Notes what stands at a place.
    pub(super) fn note(&mut self, new: &[u8], place: usize) {
        let Some((line, tag)) = line(new, place) else { return };
        let (Some(line), Ok(place)) = (self.lines.get_mut(line), u32::try_from(place + 1)) else {
            return;
        };
        let next = usize::from(line.next);
        if let (Some(slot), Some(its)) = (line.places.get_mut(next), line.tags.get_mut(next)) {
            (*slot, *its) = (place, tag);
        }
        line.next = ((next + 1) % PLACES) as u8;
    }

    /// Calls `each` with place and length of matches of `wanted`, which stands at `place`,
    /// the nearest first, each longer than those before; at most `depth` places are looked
    /// at. A match of `long` bytes is enough.
    pub(super) fn matches(
        &self,
        new: &[u8],
        (place, wanted): (usize, &[u8]),
        depth: usize,
        long: usize,
        mut each: impl FnMut(usize, usize),
    ) {
        let Some((number, tag)) = line(new, place) else { return };
        let Some(line) = self.lines.get(number) else { return };
        let newest = usize::from(line.next) + PLACES;
        let (mut longest, mut left) = (HASHED - 1, depth);
        for back in 1..=PLACES {
            let slot = (newest - back) % PLACES;
            let at = line.places.get(slot).and_then(|at| (*at as usize).checked_sub(1));
            let Some(at) = at else { return };
            if at >= place || line.tags.get(slot) != Some(&tag) {
                continue;
            }
            let tail = new.get(at..).unwrap_or_default();
            if tail.get(longest) == wanted.get(longest) {
                let len = common(tail, wanted);
                if len > longest {
                    longest = len;
                    each(at, len);
                    if len >= wanted.len() || len >= long {
                        return;
                    }
                }
            }
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}

/// The line of what stands at a place, and its tag.
fn line(new: &[u8], place: usize) -> Option<(usize, u8)> {
    let bytes = u64::from_le_bytes(*new.get(place..)?.first_chunk()?);
    let hash = (bytes << (64 - 8 * HASHED)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some(((hash >> (64 - LINES_LOG)) as usize, (hash >> (56 - LINES_LOG)) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places and lengths of what stands at the end of `new`, if `depth` places are looked at.
    fn check(new: &[u8], noted: usize, depth: usize, expected: &[(usize, usize)]) {
        let mut recent = Recent::new();
        (0..noted).for_each(|at| recent.note(new, at));
        let (place, mut found) = (new.len() - 16, Vec::new());
        let wanted = &new[place..];
        recent.matches(new, (place, wanted), depth, 64, |at, len| found.push((at, len)));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_nearest_come_first_and_then_only_longer_ones() {
        let new = b"-sixteen bytes ab-sixteen bytes-sixteen by-sixtXXX-sixteen bytes ab";
        let place = new.len() - 16;
        check(new, place, 12, &[(32, 10), (18, 13), (1, 16)]);
        check(new, place, 2, &[(32, 10), (18, 13)]);
        // What is noted already and stands behind is none.
        check(new, new.len(), 12, &[(32, 10), (18, 13), (1, 16)]);
        check(new, 20, 12, &[(18, 13), (1, 16)]);
    }

    #[test]
    fn the_last_places_stay() {
        let mut new = vec![0u8; 4096];
        new.iter_mut().zip(1u32..).for_each(|(byte, at)| *byte = (at.wrapping_mul(at) >> 7) as u8);
        for at in (0..4000).step_by(100) {
            new[at..at + 12].copy_from_slice(b"forty places");
        }
        new[4080..].copy_from_slice(b"forty places too");
        let mut recent = Recent::new();
        (0..4080).for_each(|at| recent.note(&new, at));
        let mut found = Vec::new();
        let wanted = &new[4080..];
        recent.matches(&new, (4080, wanted), 1, 64, |at, len| found.push((at, len)));
        assert_eq!(found, [(3900, 12)]);
    }
}
