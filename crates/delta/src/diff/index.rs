//! Where in old a piece of new stands: the longest match, or a long one.

mod sampled;
mod sorted;

use super::{DiffError, Progress, Stage};
use alloc::vec::Vec;
use sampled::{Sampled, sampled_log, samples};
use sorted::{Grams, Piece};

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
        Self::Sampled(len.div_ceil(sampled::MOST).max(4))
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
            Self::Sampled(sampled) => sampled.stride(missed),
        }
    }

    /// The longest match around a place in old, if it is long enough to come back from it.
    pub(crate) fn around(&self, old: &[u8], new: &[u8], near: usize) -> Match {
        let found = around(old, new, near);
        match self {
            Self::Sampled(_) if found.len < COMES_BACK => Match::default(),
            _ => found,
        }
    }

    /// The longest match of the start of `new`; of several, one near `near`. Matches
    /// of fewer than [`sorted::GRAM`] bytes are not looked for.
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

/// Where some places are known, what went on before a shorter match is often not found
/// again behind it.
const COMES_BACK: usize = 14;

/// Bytes that are the same at least in a match around a place, and how far it is at most.
const AROUND: usize = 8;
const NEARBY: usize = 32;

/// The longest match around a place in old, of several the nearest: code moves by a few
/// instructions.
fn around(old: &[u8], new: &[u8], near: usize) -> Match {
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
}
