//! Where in old a piece of new stands: the longest match, or a long one.

use super::{DiffError, Progress, Stage};
use alloc::vec::Vec;
use libsais::SuffixArrayConstruction;

/// Old, made ready to be searched.
pub(crate) enum Index<'a> {
    /// All of it is sorted, in pieces.
    Sorted(Vec<Piece<'a>>),
    /// Some places are known by what stands there.
    Sampled(Sampled<'a>),
}

/// A way to find what old holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Find {
    /// Everything, by sorting all of old.
    Sorted,
    /// What is long, by places here and there, so many bytes from each other.
    Sampled(usize),
}

/// A first look at what is sampled has so many times fewer places.
const FIRST_LOOK: usize = 4;

/// Fewer bytes are looked through quickly, and what is not found costs more than to look.
pub(super) const SMALL: usize = 8 << 20;

/// What has more bytes is hardly one program, and it hardly pays to look at it twice: the
/// first look is a good one then.
const ONE_PROGRAM: usize = 64 << 20;

impl Find {
    /// Places so many bytes from each other, or more where old is large: half a GiB of
    /// places and of those like them.
    pub(crate) fn sparse(len: usize, wanted: usize) -> Self {
        Self::Sampled(wanted.max(len.div_ceil(1 << 26)))
    }

    /// As many places as there may be of a large old image: up to three GiB of them.
    pub(crate) fn dense(len: usize) -> Self {
        Self::Sampled(len.div_ceil(SAMPLES_MAX).max(4))
    }

    /// The way that is good enough to see where long pieces of `len` bytes of old went.
    pub(crate) fn first_look(self, len: usize) -> Self {
        match self {
            Self::Sampled(step) if (SMALL..=ONE_PROGRAM).contains(&len) => {
                Self::Sampled(step * FIRST_LOOK)
            }
            _ => self,
        }
    }

    /// Bytes of memory that it takes for `len` bytes of old, and once more old with
    /// other addresses.
    pub(crate) fn memory(self, len: usize) -> u64 {
        let places = match self {
            Self::Sorted => {
                (len as u64).saturating_mul(4).saturating_add(1 << 20) + Grams::memory(len)
            }
            Self::Sampled(step) => {
                let samples = samples(len, step);
                (5 << sampled_log(samples)) + 4 * samples as u64
            }
        };
        places.saturating_add(len as u64)
    }
}

/// How many places are known of `len` bytes.
fn samples(len: usize, wanted: usize) -> usize {
    len.div_ceil(step(len, wanted))
}

/// The number of hashes of so many samples that are told apart, as a power of two.
fn sampled_log(samples: usize) -> u32 {
    samples.max(1).ilog2().clamp(10, 30)
}

/// A part of old and its sorted suffixes.
pub(crate) struct Piece<'a> {
    bytes: &'a [u8],
    base: usize,
    suffixes: Vec<i32>,
    /// For two first bytes, where in `suffixes` theirs begin; one more at the end.
    starts: Vec<u32>,
    grams: Grams,
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Match {
    /// Its place in old.
    pub(crate) at: usize,
    /// Its length.
    pub(crate) len: usize,
}

/// Suffixes are numbered with 31 bits.
const PIECE_MAX: usize = 1 << 30;

impl<'a> Index<'a> {
    /// Sorts or samples `old`.
    pub(crate) fn new(
        old: &'a [u8],
        find: Find,
        progress: &dyn Progress,
    ) -> Result<Self, DiffError> {
        if let Find::Sampled(step) = find {
            return Ok(Self::Sampled(Sampled::new(old, step)));
        }
        let mut pieces = Vec::new();
        let mut base = 0;
        for bytes in old.chunks(PIECE_MAX) {
            progress.reached(Stage::Sorting, base as u64, old.len() as u64);
            pieces.push(Piece::new(bytes, base)?);
            base += bytes.len();
        }
        progress.reached(Stage::Sorting, base as u64, old.len() as u64);
        Ok(Self::Sorted(pieces))
    }

    /// How far to go to the next place that is looked for, when so many in turn were not
    /// found.
    pub(crate) fn stride(&self, missed: usize) -> usize {
        match self {
            Self::Sorted(_) => 1,
            Self::Sampled(sampled) if sampled.bytes.len() < SMALL => 1 + missed / PATIENCE,
            Self::Sampled(sampled) => stride(sampled.step, missed),
        }
    }

    /// The longest match of the start of `new`; of several, one near `near`. Matches
    /// of fewer than [`GRAM`] bytes are not looked for.
    pub(crate) fn longest(&self, new: &[u8], near: usize) -> Match {
        let pieces = match self {
            Self::Sampled(sampled) => return sampled.find(new, near),
            Self::Sorted(pieces) => pieces,
        };
        let mut best = Match::default();
        for piece in pieces {
            let found = piece.longest(new, near);
            if found.len > best.len {
                best = found;
            }
        }
        best
    }
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
const SAMPLES_MAX: usize = 3 << 27;

/// Bytes from one sample to the next.
fn step(len: usize, wanted: usize) -> usize {
    wanted.max(len.div_ceil(SAMPLES_MAX)).max(1)
}

impl<'a> Sampled<'a> {
    fn new(bytes: &'a [u8], step: usize) -> Self {
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

    /// The longest match among the first of those that start alike; of several, the one
    /// nearest to `near`.
    fn find(&self, new: &[u8], near: usize) -> Match {
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

impl<'a> Piece<'a> {
    fn new(bytes: &'a [u8], base: usize) -> Result<Self, DiffError> {
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

    fn longest(&self, new: &[u8], near: usize) -> Match {
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
pub(crate) const GRAM: usize = 6;

/// Which pieces of [`GRAM`] bytes may stand in old: one look here saves a search
/// through what is sorted for most of what is not there.
struct Grams(Vec<u64>);

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
    const fn memory(len: usize) -> u64 {
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

/// Bytes that are the same at least in a match around a place, and how far it is at most.
const AROUND: usize = 8;
const NEARBY: usize = 32;

/// The longest match around a place in old, of several the nearest: code moves by a few
/// instructions.
pub(super) fn around(old: &[u8], new: &[u8], near: usize) -> Match {
    let Some(wanted) = new.first_chunk::<AROUND>() else { return Match::default() };
    let start = near.saturating_sub(NEARBY);
    let window = old.get(start..old.len().min(near + NEARBY)).unwrap_or_default();
    let windows = window.array_windows::<AROUND>().enumerate();
    let hits = windows.filter(|(_, bytes)| *bytes == wanted).map(|(number, _)| {
        let at = start + number;
        Match { at, len: common(old.get(at..).unwrap_or_default(), new) }
    });
    let better = |found: &Match| (found.len, core::cmp::Reverse(found.at.abs_diff(near)));
    hits.max_by_key(better).unwrap_or_default()
}

/// How many bytes are the same at the start of both.
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    let (wide_a, wide_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (at, (a, b)) in wide_a.iter().zip(wide_b).enumerate() {
        let differs = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differs != 0 {
            return at * 8 + (differs.trailing_zeros() / 8) as usize;
        }
    }
    let done = wide_a.len().min(wide_b.len()) * 8;
    let rest = a.iter().skip(done).zip(b.iter().skip(done));
    done + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of `new` in old, sampled at every fourth byte.
    fn check(old: &[u8], new: &[u8], near: usize, expected: Match) {
        assert_eq!(Sampled::new(old, 4).find(new, near), expected);
    }

    #[test]
    fn around_a_place_the_longest_is_taken_and_then_the_nearest() {
        let old = b"................eight by..eight bytes.eight bytes..................eight bytes";
        let check = |new: &[u8], near, [at, len]: [usize; 2]| {
            assert_eq!(around(old, new, near), Match { at, len });
        };
        check(b"eight byte", 20, [26, 10]);
        check(b"eight byte", 35, [38, 10]);
        check(b"eight bytes.e", 35, [26, 13]);
        check(b"eight byes", 16, [16, 8]);
        check(b"eight b", 16, [0, 0]);
        check(b"eight bytes", 1000, [0, 0]);
        check(b"eight bytes", 80, [67, 11]);
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

    /// As many samples as there are of a large image, and how far they are apart.
    #[test]
    fn samples_of_large_images_are_farther_apart() {
        let gib = 1 << 30;
        let [few, many] = [Find::sparse(gib, 4), Find::dense(gib)];
        assert_eq!((few, many), (Find::Sampled(16), Find::Sampled(4)));
        assert_eq!(Find::sparse(gib >> 6, 4), Find::Sampled(4));
        assert_eq!(Find::dense(8 * gib), Find::Sampled(22));
        // With both images and what writing takes: less than 8 times old.
        assert!(few.memory(gib) < 3 * gib as u64 && many.memory(gib) < 4 * gib as u64);
    }

    #[test]
    fn what_stands_everywhere_costs_few_looks() {
        let old = alloc::vec![7; 1 << 20];
        check(&old, &[7; 64], 0, Match { at: 0, len: 64 });
        check(&old, &[7; 64], 1 << 20, Match { at: 4 * (ALIKE - 1), len: 64 });
    }
}
