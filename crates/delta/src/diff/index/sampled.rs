//! Some places of old, by what stands there.

use super::{Match, SMALL, common};
use alloc::vec::Vec;

/// How many places are known of `len` bytes.
pub(super) fn samples(len: usize, wanted: usize) -> usize {
    len.div_ceil(step(len, wanted))
}

/// The number of hashes of so many samples that are told apart, as a power of two.
pub(super) fn sampled_log(samples: usize) -> u32 {
    samples.max(1).ilog2().clamp(10, 30)
}

/// Every third place of old, or every fourth, or fewer of a large one, by a hash of what
/// stands there.
pub(crate) struct Sampled<'a> {
    bytes: &'a [u8],
    /// For each hash, the first place with it in steps, plus one.
    places: Vec<u32>,
    /// For each sample, the next one with its hash, plus one.
    next: Vec<u32>,
    /// Which hashes there are, two of eight bits for each place: most of what is not there
    /// is seen without waiting for the memory of the places.
    seen: Vec<u64>,
    step: usize,
}

/// Bytes that are hashed.
const SAMPLE: usize = 12;

/// So many places that start alike are looked at.
const ALIKE: usize = 8;

/// After so many places that were not found some are left out ...
const SPARSE: usize = 32;

/// ... and after so many more, more each time.
const PATIENCE: usize = 4 << 10;

/// Steps from place to place that fall on samples in the end: one that divides theirs never
/// does.
const STRIDES: [usize; 4] = [3, 2, 5, 7];

/// So many samples there are at most.
pub(super) const MOST: usize = 3 << 27;

/// Bytes from one sample to the next.
fn step(len: usize, wanted: usize) -> usize {
    wanted.max(len.div_ceil(MOST)).max(1)
}

impl<'a> Sampled<'a> {
    pub(super) fn new(bytes: &'a [u8], step: usize) -> Self {
        let step = self::step(bytes.len(), step);
        let mut next = alloc::vec![0u32; bytes.len().div_ceil(step)];
        let mut places = alloc::vec![0u32; 1 << sampled_log(next.len())];
        let mut seen = alloc::vec![0u64; places.len() / 8];
        let mask = places.len() - 1;
        // From the end, so that each chain begins with the first place.
        for (number, next) in next.iter_mut().enumerate().rev() {
            let Some(hash) = bytes.get(number * step..).and_then(sample) else { continue };
            if let Some(place) = places.get_mut(hash as usize & mask) {
                *next = core::mem::replace(place, number as u32 + 1);
            }
            let (word, bits) = seen_at(hash);
            let number = word & (seen.len() - 1);
            if let Some(word) = seen.get_mut(number) {
                *word |= bits;
            }
        }
        Self { bytes, places, next, seen, step }
    }

    /// How far to go when so many places were not found.
    pub(super) fn stride(&self, missed: usize) -> usize {
        match self.bytes.len() < SMALL {
            true => 1 + missed / PATIENCE,
            false => stride(self.step, missed),
        }
    }

    /// The longest match among the first of those that start alike; of several, the one
    /// nearest to `near`.
    pub(super) fn find(&self, new: &[u8], near: usize) -> Match {
        let Some(hash) = sample(new) else { return Match::default() };
        let (word, bits) = seen_at(hash);
        let seen = self.seen.get(word & (self.seen.len() - 1)).copied().unwrap_or(0);
        if seen & bits != bits {
            return Match::default();
        }
        let place = hash as usize & (self.places.len() - 1);
        let mut place = self.places.get(place).copied().unwrap_or(0);
        let mut best = Match::default();
        for _ in 0..ALIKE {
            let Some(number) = (place as usize).checked_sub(1) else { break };
            let at = number * self.step;
            let len = common(self.bytes.get(at..).unwrap_or_default(), new);
            let nearer = at.abs_diff(near) < best.at.abs_diff(near);
            if len >= SAMPLE && (len > best.len || len == best.len && nearer) {
                best = Match { at, len };
            }
            place = self.next.get(number).copied().unwrap_or(0);
        }
        best
    }
}

/// How far to go among samples so many bytes apart when so many places were not found.
fn stride(step: usize, missed: usize) -> usize {
    let sparse = STRIDES.into_iter().find(|stride| !step.is_multiple_of(*stride));
    let stride = sparse.filter(|_| missed >= SPARSE).unwrap_or(1);
    stride + step * (missed / PATIENCE)
}

/// A hash of the first bytes.
fn sample(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.get(..SAMPLE)?;
    let [first, last] = [bytes.first_chunk(), bytes.last_chunk()];
    let [first, last] = [first?, last?].map(|word| u64::from_le_bytes(*word));
    const MANY: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = (first.wrapping_mul(MANY).rotate_left(29) ^ last).wrapping_mul(MANY);
    Some(hash ^ hash >> 32)
}

/// Where it is noted that a hash is there: which word, which bits.
fn seen_at(hash: u64) -> (usize, u64) {
    ((hash >> 36) as usize, 1 << (hash >> 30 & 63) | 1 << (hash >> 24 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of `new` in old, sampled at every fourth byte.
    fn check(old: &[u8], new: &[u8], near: usize, expected: Match) {
        assert_eq!(Sampled::new(old, 4).find(new, near), expected);
    }

    #[test]
    fn of_places_that_start_alike_the_longest_is_taken_and_then_the_nearest() {
        let start = *b"these twelve";
        let old = [&start[..], b"....", &start, b"go o", &start, b"....", &start, b"...."].concat();
        check(&old, b"these twelve go", 0, Match { at: 0, len: 12 });
        check(&old, b"these twelvego on", 60, Match { at: 16, len: 16 });
        check(&old, &start, 45, Match { at: 48, len: 12 });
        check(&old, &start, 20, Match { at: 16, len: 12 });
        check(&old, b"those twelve go", 0, Match::default());
        check(b"", &start, 0, Match::default());
    }

    /// A piece that is long enough is found wherever it stands.
    #[test]
    fn what_is_looked_for_seldom_is_found_in_the_end() {
        let noise: Vec<u8> = (0u32..1 << 16).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
        for (step, missed) in [(3, 40), (4, 40), (4, 9 << 10), (12, 40), (16, 0), (30, 40)] {
            let sampled = Sampled::new(&noise, step);
            let stride = stride(step, missed);
            let found = (0..step).filter(|turn| {
                let at = 1001 + turn * stride;
                sampled.find(&noise[at..at + SAMPLE], at).at == at
            });
            assert_eq!(found.count(), 1, "{step} {missed} {stride}");
        }
    }

    #[test]
    fn what_stands_everywhere_costs_few_looks() {
        let old = alloc::vec![7; 1 << 20];
        check(&old, &[7; 64], 0, Match { at: 0, len: 64 });
        check(&old, &[7; 64], 1 << 20, Match { at: 4 * (ALIKE - 1), len: 64 });
    }
}
