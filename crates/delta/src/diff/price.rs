//! What the opened streams of the new image cost, and which had better stay shut.

use super::plain::PlainNew;
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
        let (costs, _) = self.written.as_chunks::<2>();
        let (mut dear, mut more) = (HashSet::new(), 0);
        for (stream, [before, behind]) in new.streams.iter().zip(costs) {
            let cost = behind.saturating_sub(*before) / BYTE + stream.correction as u64;
            if cost > stream.len {
                dear.insert(stream.at);
                more += cost - stream.len;
            }
        }
        if more < WORTHWHILE { HashSet::new() } else { dear }
    }
}
