//! What the opened streams of the new image cost, and which had better stay shut.

use super::plain::{Outermost, PlainNew};
use alloc::vec::Vec;
use std::collections::HashSet;

/// 1/16 bits of a byte.
const BYTE: u64 = 128;

/// Fewer bytes are not worth writing the patch again.
const WORTHWHILE: u64 = 512;

/// Notes what was written when each stream began and ended.
pub(crate) struct Prices {
    /// Where the outermost streams begin and end in plain new, in order.
    edges: Vec<usize>,
    /// What was written at each edge that was passed, in 1/16 bits.
    written: Vec<u64>,
}

impl Prices {
    /// Nothing is written yet.
    pub(crate) fn new(new: &PlainNew) -> Self {
        let edges = new.streams.iter().flat_map(|stream| [stream.start, stream.end]).collect();
        Self { edges, written: Vec::new() }
    }

    /// `written` 1/16 bits say what comes before the place `at` in plain new.
    pub(crate) fn reached(&mut self, at: usize, written: u64) {
        while self.edges.get(self.written.len()).is_some_and(|edge| *edge <= at) {
            self.written.push(written);
        }
    }

    /// Where in the image the streams are that cost more than their compressed
    /// bytes; none when all that they cost more is little.
    pub(crate) fn dear(&self, new: &PlainNew) -> HashSet<u64> {
        let (mut dear, mut more) = (HashSet::new(), 0);
        for (stream, cost) in self.costs(new).filter(|(stream, cost)| *cost > stream.len) {
            dear.insert(stream.at);
            more += cost - stream.len;
        }
        if more < WORTHWHILE { HashSet::new() } else { dear }
    }

    /// Where the streams are that may resemble old more as they are compressed: opened they
    /// save little of it, as where nothing could read the old ones. None where they are not
    /// most of a patch of `size` bytes.
    pub(crate) fn doubtful(&self, new: &PlainNew, size: usize) -> HashSet<u64> {
        let (mut doubtful, mut sum) = (HashSet::new(), 0);
        for (stream, cost) in self.costs(new).filter(|(stream, cost)| cost * 2 > stream.len) {
            doubtful.insert(stream.at);
            sum += cost;
        }
        if sum * 2 > size as u64 { doubtful } else { HashSet::new() }
    }

    /// The outermost streams, and bytes of the patch for each.
    fn costs<'a>(&'a self, new: &'a PlainNew) -> impl Iterator<Item = (&'a Outermost, u64)> {
        let (costs, _) = self.written.as_chunks::<2>();
        new.streams.iter().zip(costs).map(|(stream, [before, behind])| {
            let cost = behind.saturating_sub(*before) / BYTE + stream.correction as u64;
            (stream, cost)
        })
    }
}
