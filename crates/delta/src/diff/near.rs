//! Where two and three bytes of the gaps stood last: what is near is cheap to say, however
//! short it is.

use super::index::common;
use alloc::vec;
use alloc::vec::Vec;

/// Bits of a hash of three bytes.
const THREE_LOG: u32 = 16;

/// The last places of what two and three bytes may be.
pub(super) struct Near {
    /// Places, plus one.
    two: Vec<u32>,
    three: Vec<u32>,
}

impl Near {
    /// Nothing is noted yet.
    pub(super) fn new() -> Self {
        Self { two: vec![0; 1 << 16], three: vec![0; 1 << THREE_LOG] }
    }

    /// Places and lengths of matches of `wanted`, which stands at `place`; then that is noted.
    pub(super) fn matches(
        &mut self,
        new: &[u8],
        (place, wanted): (usize, &[u8]),
    ) -> [(usize, usize); 2] {
        let Some([a, b, c]) = wanted.first_chunk() else { return [(0, 0); 2] };
        let pair = u32::from_le_bytes([*a, *b, 0, 0]);
        let three = (pair | u32::from(*c) << 16).wrapping_mul(0x9e37_79b1) >> (32 - THREE_LOG);
        let slots = [self.two.get_mut(pair as usize), self.three.get_mut(three as usize)];
        slots.map(|slot| {
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
    fn the_nearest_of_two_and_of_three_bytes_are_found() {
        let new = b"abcd-abce-abx-abcd";
        let mut near = Near::new();
        let found: Vec<_> = (0..new.len()).map(|at| near.matches(new, (at, &new[at..]))).collect();
        assert_eq!(found[0], [(0, 0); 2]);
        assert_eq!(found[5], [(0, 3); 2]);
        assert_eq!(found[14], [(10, 2), (5, 3)]);
        // What stands behind is none.
        assert_eq!(near.matches(new, (5, &new[5..])), [(0, 0); 2]);
    }
}
