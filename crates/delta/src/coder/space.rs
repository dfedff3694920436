//! Which addresses places have.

use super::{Coder, Number};
use alloc::vec::Vec;

/// The addresses of places, in plain old or in plain new: regions in order, each with the
/// place and the address where it starts. Without any, places are addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Space(Vec<(u64, u64)>);

/// The most regions: two for each run of content that words come before.
pub(crate) const REGIONS_MAX: usize = 256;

impl Space {
    /// The space of these regions.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn new(regions: Vec<(u64, u64)>) -> Self {
        Self(regions)
    }

    /// The places where regions start.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn starts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|(start, _)| *start)
    }

    /// The address of a place; one before all regions has one that nothing refers to.
    #[inline]
    pub(crate) fn address(&self, place: u64) -> u64 {
        let number = self.0.partition_point(|(start, _)| *start <= place);
        let region = self.0.get(number.saturating_sub(1)).copied().unwrap_or_default();
        region.1.wrapping_add(place.wrapping_sub(region.0))
    }

    /// Codes it with two contexts of `numbers` from `context` on; a decoder gets what it
    /// read.
    pub(super) fn code<C: Coder>(
        &self,
        coder: &mut C,
        numbers: &mut Number,
        context: usize,
    ) -> Option<Self> {
        let count = numbers.code(coder, context, self.0.len() as u64) as usize;
        if count > REGIONS_MAX {
            return None;
        }
        let (mut regions, mut last) = (Vec::with_capacity(count), 0u64);
        for number in 0..count {
            let (start, address) = self.0.get(number).copied().unwrap_or_default();
            last = last.checked_add(numbers.code(coder, context, start.wrapping_sub(last)))?;
            regions.push((last, numbers.code(coder, context + 1, address)));
        }
        Some(Self(regions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_the_addresses_of_their_region() {
        let space = Space::new([(100, 0), (150, 1000)].into());
        let addresses = [100, 149, 150, 1000].map(|place| space.address(place));
        assert_eq!(addresses, [0, 49, 1000, 1850]);
        assert_eq!(space.address(99), u64::MAX);
        assert_eq!(Space::default().address(77), 77);
    }
}
