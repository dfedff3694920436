//! Where two, three and four bytes of the gaps stood last: what is near is cheap to say,
//! however short it is.

use super::index::common;
use alloc::vec;
use alloc::vec::Vec;

/// Bits of the hashes of two, three and four bytes at most.
const LOGS: [u32; 3] = [16, 16, 20];

/// The last places of what two, three and four bytes may be.
pub(super) struct Near {
    /// Places, plus one.
    places: [Vec<u32>; 3],
}

impl Near {
    /// Nothing is noted yet of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let most = bytes.max(1 << 10).ilog2();
        Self { places: LOGS.map(|log| vec![0; 1 << log.min(most)]) }
    }

    /// Places and lengths of matches of `wanted`, which stands at `place`; then that is noted.
    pub(super) fn matches(
        &mut self,
        new: &[u8],
        (place, wanted): (usize, &[u8]),
    ) -> [(usize, usize); 3] {
        let Some(first) = wanted.first_chunk() else { return [(0, 0); 3] };
        let four = u32::from_le_bytes(*first);
        let mut starts = [four << 16, four << 8, four].into_iter();
        self.places.each_mut().map(|places| {
            let hash = starts.next().unwrap_or(0).wrapping_mul(0x9e37_79b1);
            let slot = hash >> (32 - places.len().ilog2());
            let slot = places.get_mut(slot as usize);
            let next = u32::try_from(place + 1).unwrap_or(0);
            let last = slot.map_or(0, |slot| core::mem::replace(slot, next)) as usize;
            let before = last.checked_sub(1).filter(|at| *at < place);
            before.map_or((0, 0), |at| (at, common(new.get(at..).unwrap_or_default(), wanted)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_two_three_and_four_bytes_are_found() {
        let new = b"abcd-abce-abx-abcd";
        let mut near = Near::new(1 << 16);
        let found: Vec<_> = (0..new.len()).map(|at| near.matches(new, (at, &new[at..]))).collect();
        assert_eq!(found[0], [(0, 0); 3]);
        assert_eq!(found[5], [(0, 3), (0, 3), (0, 0)]);
        assert_eq!(found[14], [(10, 2), (5, 3), (0, 4)]);
        // What stands behind is none.
        assert_eq!(near.matches(new, (5, &new[5..])), [(0, 0); 3]);
    }
}
