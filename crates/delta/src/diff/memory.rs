//! What making a patch takes of the memory that there may be, before it is taken.

use super::index::{Find, SMALL};
use super::{DiffError, DiffOptions, Effort, spans};

/// What of opening is not content or what proves it: streams grow while they are decoded.
const PROVING_SHARE: u64 = 2;

/// A byte of old takes so many at most where old is sampled, and so does one of new.
const OLD_BYTE: u64 = 5;
const NEW_BYTE: u64 = 10;

/// More bytes of old are not sorted: each search would wait for the memory some thirty times,
/// and what is found of so much is as good when places are known here and there.
const SORTED_MAX: usize = 512 << 20;

/// Bytes that are taken beside: by threads, and for what is small.
const BESIDE: u64 = 4 << 20;

/// The memory, and the images that are in it.
pub(super) struct Memory {
    limit: u64,
    /// Bytes of the old image that are borrowed, and in memory once more.
    borrowed: usize,
    old: usize,
    new: usize,
}

impl Memory {
    /// For images of so many bytes; of the old one, so many are `borrowed`.
    pub(super) fn new(options: &DiffOptions, borrowed: usize, [old, new]: [usize; 2]) -> Self {
        Self { limit: options.memory, borrowed, old, new }
    }

    /// Bytes that it takes to look for old pieces in this way, with so much content: what
    /// is looked through is given back before the patch is written, and what was found
    /// takes no more than new does.
    fn takes(&self, way: Find, [old, new]: [usize; 2]) -> u64 {
        let (old, new) = (self.old + old, self.new + new);
        let images = (self.borrowed + old + 2 * new) as u64;
        let comparing = way.memory(old).saturating_add(new as u64);
        images.saturating_add(comparing.max(spans::memory(new))).saturating_add(BESIDE)
    }

    /// The images can be compared as they are.
    ///
    /// # Errors
    /// There is too little memory even for that.
    pub(super) fn check(&self) -> Result<(), DiffError> {
        self.way(Effort::Fast, [0, 0]).map(|_| ())
    }

    /// The best way to look for old pieces that fits, with so much content.
    pub(super) fn way(&self, effort: Effort, content: [usize; 2]) -> Result<Find, DiffError> {
        let sampled = self.sampled(content[0]);
        let len = self.old + content[0];
        let best = if len > SORTED_MAX { Find::dense(len) } else { Find::Sorted };
        let ways = [best, sampled];
        let fits = |way: &Find| self.takes(*way, content) <= self.limit;
        let way = ways.into_iter().skip(usize::from(effort == Effort::Fast)).find(fits);
        let (least, limit) = (self.takes(sampled, content), self.limit);
        way.ok_or(DiffError::Memory { least, limit })
    }

    /// Places here and there. Where streams are opened, that takes the time, and a closer
    /// look costs little; what is small is compared in no time.
    fn sampled(&self, content: usize) -> Find {
        let wanted = match () {
            () if content > self.old / 2 => 3,
            () if self.old < SMALL => 4,
            () => 7,
        };
        Find::sparse(self.old + content, wanted)
    }

    /// Bytes that encoders may take together while streams are proven.
    pub(super) fn proving(&self) -> u64 {
        let images = (self.borrowed + self.old + self.new) as u64;
        self.limit.saturating_sub(images) / PROVING_SHARE
    }

    /// Bytes of content that the old image's streams may have; half of what is left.
    pub(super) fn old_content(&self) -> u64 {
        self.limit.saturating_sub(self.takes(self.sampled(0), [0, 0])) / OLD_BYTE / 2
    }

    /// Bytes of content that the new image's streams may have beside that of the old one's.
    pub(super) fn new_content(&self, old: usize) -> u64 {
        self.limit.saturating_sub(self.takes(self.sampled(old), [old, 0])) / NEW_BYTE
    }
}
