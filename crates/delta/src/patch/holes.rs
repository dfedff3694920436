//! Streams that lie in several pieces: a file that a file system cut up, with what
//! belongs to others between its pieces.

use super::PatchError;
use crate::coder::{Coder, Number, Tree};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Bytes in the midst of a stream that are none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hole {
    /// Encoded bytes between the last hole, or the start, and this one.
    pub after: u64,
    /// Its bytes.
    pub len: u64,
}

/// All holes of a stream in order.
pub type Holes = Box<[Hole]>;

/// The most holes of all streams of a span's lists together.
const HOLES_MAX: usize = 8 << 10;

/// Bytes of all holes.
pub(crate) fn width(holes: &[Hole]) -> u64 {
    holes.iter().fold(0, |sum, hole| sum.saturating_add(hole.len))
}

/// Bytes up to the end of the last hole.
fn reach(holes: &[Hole]) -> u64 {
    holes.iter().fold(width(holes), |sum, hole| sum.saturating_add(hole.after))
}

/// The models of holes in lists.
pub(super) struct Models {
    are: Tree,
    numbers: Number,
    last: Hole,
    left: usize,
}

impl Models {
    pub(super) fn new() -> Self {
        let (are, numbers) = (Tree::new(1, 2), Number::new(3));
        Self { are, numbers, last: Hole::default(), left: HOLES_MAX }
    }

    /// Codes the holes of an old (0) or a new (1) stream; they reach no farther than `most` bytes.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        side: usize,
        wanted: &[Hole],
        most: u64,
        ended: impl Fn(&C) -> bool,
    ) -> Result<Holes, PatchError> {
        if self.are.code(coder, 1, side, u32::from(!wanted.is_empty())) == 0 {
            return Ok(Holes::default());
        }
        const IMPOSSIBLE: PatchError = PatchError::Impossible("hole");
        let count = self.numbers.code(coder, 0, wanted.len() as u64);
        let count = usize::try_from(count).ok().filter(|count| *count <= self.left);
        let count = count.ok_or(IMPOSSIBLE)?;
        self.left -= count;
        let mut holes = Vec::new();
        for number in 0..count {
            let hole = wanted.get(number).copied().unwrap_or_default();
            let last = self.last;
            let after = last.after ^ self.numbers.code(coder, 1, hole.after ^ last.after);
            let len = last.len ^ self.numbers.code(coder, 2, hole.len ^ last.len);
            self.last = Hole { after, len };
            holes.push(self.last);
            if ended(coder) {
                return Err(IMPOSSIBLE);
            }
        }
        let sound = holes.iter().all(|hole| hole.len > 0) && reach(&holes) <= most;
        if sound { Ok(holes.into()) } else { Err(IMPOSSIBLE) }
    }
}

/// A way along a stream's encoded bytes that steps over its holes.
#[derive(Debug, Clone)]
pub(crate) struct Way<'a> {
    holes: core::slice::Iter<'a, Hole>,
    /// Bytes up to the next hole, and that hole's.
    left: u64,
    next: u64,
}

impl<'a> Way<'a> {
    pub(crate) fn new(holes: &'a [Hole]) -> Self {
        let mut way = Self { holes: holes.iter(), left: 0, next: 0 };
        way.load();
        way
    }

    fn load(&mut self) {
        let hole = self.holes.next();
        (self.left, self.next) = hole.map_or((u64::MAX, 0), |hole| (hole.after, hole.len));
    }

    /// Goes on by up to `most` bytes that lie together: how many are stepped over before,
    /// and how many lie there.
    pub(crate) fn step(&mut self, most: u64) -> (u64, u64) {
        let mut over = 0u64;
        while self.left == 0 && self.next > 0 {
            over = over.saturating_add(self.next);
            self.load();
        }
        let count = self.left.min(most);
        self.left -= count;
        (over, count)
    }
}

/// The bytes of a stream's holes, which come before its content, on their way back to
/// where they stand.
#[derive(Debug, Default)]
pub(crate) struct Weaver {
    holes: Holes,
    /// The hole that is next, and encoded bytes that went by since the last.
    number: usize,
    passed: u64,
    /// The bytes of all holes so far, and how many of them were given back.
    bytes: Vec<u8>,
    given: usize,
    /// Bytes of holes that are still to come.
    awaited: u64,
}

impl Weaver {
    pub(crate) fn new(holes: Holes) -> Self {
        Self { awaited: width(&holes), holes, ..Self::default() }
    }

    /// Bytes of heap that it takes.
    pub(crate) fn heap(holes: &[Hole]) -> u64 {
        width(holes).saturating_add(size_of_val(holes) as u64)
    }

    /// Takes what belongs to holes from the front of `bytes`; what is left is content.
    pub(crate) fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.awaited == 0 {
            return bytes;
        }
        let count = self.awaited.min(bytes.len() as u64) as usize;
        let (now, rest) = bytes.split_at(count);
        self.bytes.extend_from_slice(now);
        self.awaited -= count as u64;
        rest
    }

    /// No stream was cut up.
    pub(crate) fn is_idle(&self) -> bool {
        self.holes.is_empty()
    }

    /// Appends encoded bytes to `out`, and each hole's where it stands.
    pub(crate) fn weave(&mut self, mut encoded: &[u8], out: &mut Vec<u8>) {
        while let Some(hole) = self.holes.get(self.number) {
            let count = (hole.after - self.passed).min(encoded.len() as u64);
            let (now, later) = encoded.split_at(count as usize);
            out.extend_from_slice(now);
            encoded = later;
            self.passed += count;
            if self.passed < hole.after {
                return;
            }
            let end = self.given.saturating_add(hole.len as usize);
            out.extend_from_slice(self.bytes.get(self.given..end).unwrap_or_default());
            (self.given, self.passed) = (end, 0);
            self.number += 1;
        }
        out.extend_from_slice(encoded);
    }

    /// Every hole was filled.
    pub(crate) fn is_done(&self) -> bool {
        self.number == self.holes.len() && self.awaited == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::{Decoder, Encoder};
    use proptest::prelude::*;

    fn holes(pairs: &[(u64, u64)]) -> Holes {
        pairs.iter().map(|(after, len)| Hole { after: *after, len: *len }).collect()
    }

    proptest! {
        /// What a way reads of a woven stream is what was woven, and lists say the same.
        #[test]
        fn what_was_taken_apart_is_woven_again(
            pairs in prop::collection::vec((0u64..40, 1u64..30), 0..20),
            behind in 0usize..50,
            piece in 1usize..60,
        ) {
            let holes = holes(&pairs);
            let whole = reach(&holes) as usize + behind;
            let image: Vec<u8> = (0..whole).map(|at| at as u8).collect();
            let (mut way, mut at) = (Way::new(&holes), 0);
            let (mut encoded, mut between) = (Vec::new(), Vec::new());
            while encoded.len() < whole - width(&holes) as usize {
                let left = (whole - width(&holes) as usize - encoded.len()).min(piece);
                let (over, count) = way.step(left as u64);
                between.extend_from_slice(&image[at..at + over as usize]);
                at += over as usize;
                encoded.extend_from_slice(&image[at..at + count as usize]);
                at += count as usize;
            }
            between.extend_from_slice(&image[at..]);
            let mut weaver = Weaver::new(holes.clone());
            for piece in between.chunks(piece) {
                prop_assert!(weaver.take(piece).is_empty());
            }
            let mut out = Vec::new();
            encoded.chunks(piece).for_each(|piece| weaver.weave(piece, &mut out));
            weaver.weave(&[], &mut out);
            prop_assert!(weaver.is_done() && out == image);

            let mut coder = Encoder::new();
            Models::new().code(&mut coder, 1, &holes, whole as u64, |_| false).unwrap();
            let bytes = coder.finish();
            let read = |most| {
                let mut decoder = Decoder::new(bytes.clone());
                Models::new().code(&mut decoder, 1, &[], most, Decoder::is_beyond)
            };
            prop_assert_eq!(read(whole as u64), Ok(holes.clone()));
            prop_assert!(holes.is_empty() || read(reach(&holes) - 1).is_err());
        }
    }
}
