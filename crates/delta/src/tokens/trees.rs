//! The codes of a block as zlib and GNU gzip build them of how often each symbol
//! occurs: a heap of frequencies with depths that break ties, lengths that are cut to
//! the most allowed, runs of lengths. Whoever has the symbols need not be told them.

use super::codes::{Codes, LENGTH_ORDER, Writer};
use alloc::vec;
use alloc::vec::Vec;

/// Symbols for literals, the end, and lengths.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
/// The longest codes, of symbols and of lengths.
const LONGEST: u8 = 15;
const LONGEST_OF_LENGTHS: u8 = 7;

/// How often each symbol of a block occurs.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Default for Counts {
    fn default() -> Self {
        Self { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }
}

impl Counts {
    /// Counts a symbol, and a distance behind a length.
    pub(super) fn add(&mut self, symbol: usize, distance: Option<usize>) {
        let distance = distance.and_then(|distance| self.distances.get_mut(distance));
        self.literals.get_mut(symbol).into_iter().chain(distance).for_each(|count| *count += 1);
    }

    /// Writes the codes of these frequencies (RFC 1951, 3.2.7) and says what they are.
    /// The end of the block has to be counted.
    pub(super) fn write(&self, writer: &mut Writer) -> Codes {
        let literals = lengths(&self.literals, LONGEST);
        let distances = lengths(&self.distances, LONGEST);
        let mut runs = runs(&literals);
        runs.extend(self::runs(&distances));
        let mut counts = [0; LENGTH_ORDER.len()];
        for (symbol, ..) in &runs {
            counts.iter_mut().skip(usize::from(*symbol)).take(1).for_each(|count| *count += 1);
        }
        let mut own = lengths(&counts, LONGEST_OF_LENGTHS);
        own.resize(LENGTH_ORDER.len(), 0);
        let length = |place: &usize| own.get(*place).copied().unwrap_or(0);
        let last = LENGTH_ORDER.iter().rposition(|place| length(place) > 0).unwrap_or(0).max(3);
        writer.put(literals.len().saturating_sub(257) as u32, 5);
        writer.put(distances.len().saturating_sub(1) as u32, 5);
        writer.put(last.saturating_sub(3) as u32, 4);
        for place in LENGTH_ORDER.iter().take(last + 1) {
            writer.put(length(place).into(), 3);
        }
        let code = Codes::of(&own, &[]);
        for (symbol, extra, bits) in runs {
            // Every symbol that occurs has a code.
            let _ = code.literals.write(symbol.into(), writer);
            writer.put(extra.into(), bits.into());
        }
        Codes::of(&literals, &distances)
    }
}

/// A tree of Huffman that grows from its leaves.
struct Tree {
    counts: Vec<u32>,
    depths: Vec<u8>,
    heap: Vec<usize>,
}

impl Tree {
    fn before(&self, one: usize, other: usize) -> bool {
        let key = |node: usize| (self.counts.get(node).copied(), self.depths.get(node).copied());
        let ((one, deep), (other, deeper)) = (key(one), key(other));
        one < other || (one == other && deep <= deeper)
    }

    fn at(&self, place: usize) -> usize {
        self.heap.get(place).copied().unwrap_or(0)
    }

    fn put(&mut self, place: usize, node: usize) {
        self.heap.iter_mut().skip(place).take(1).for_each(|to| *to = node);
    }

    /// Lets the node at `place`, the first of which is 0, sink to where it belongs.
    fn sink(&mut self, mut place: usize) {
        let node = self.at(place);
        loop {
            let mut child = 2 * place + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.before(self.at(child + 1), self.at(child)) {
                child += 1;
            }
            if self.before(node, self.at(child)) {
                break;
            }
            self.put(place, self.at(child));
            place = child;
        }
        self.put(place, node);
    }

    /// Takes the first node.
    fn take(&mut self) -> usize {
        let first = self.at(0);
        if let Some(last) = self.heap.pop()
            && !self.heap.is_empty()
        {
            self.put(0, last);
            self.sink(0);
        }
        first
    }
}

/// Lengths of the codes of all symbols up to the last that occurs.
fn lengths(counts: &[u32], longest: u8) -> Vec<u8> {
    let mut symbols: Vec<usize> =
        (0..counts.len()).filter(|symbol| counts.get(*symbol).is_some_and(|n| *n > 0)).collect();
    let mut counts = counts.to_vec();
    let mut last = symbols.last().copied();
    // There are at least two codes.
    while symbols.len() < 2 {
        let symbol = match last {
            None => 0,
            Some(last) if last < 2 => last + 1,
            Some(_) => 0,
        };
        last = Some(last.map_or(symbol, |last| last.max(symbol)));
        counts.iter_mut().skip(symbol).take(1).for_each(|count| *count = 1);
        symbols.push(symbol);
    }
    let leaves = counts.len();
    let mut tree = Tree { depths: vec![0; leaves], counts, heap: symbols };
    for place in (0..tree.heap.len() / 2).rev() {
        tree.sink(place);
    }
    let (mut parents, mut order) = (vec![0usize; leaves], Vec::new());
    while tree.heap.len() > 1 {
        let one = tree.take();
        let other = tree.at(0);
        let node = tree.counts.len();
        let both = |of: &[u32]| of.get(one).zip(of.get(other)).map_or(0, |(a, b)| a + b);
        tree.counts.push(both(&tree.counts));
        let depth = |node: usize| tree.depths.get(node).copied().unwrap_or(0);
        tree.depths.push(depth(one).max(depth(other)) + 1);
        parents.push(0);
        for child in [one, other] {
            parents.iter_mut().skip(child).take(1).for_each(|parent| *parent = node);
            order.push(child);
        }
        tree.put(0, node);
        tree.sink(0);
    }
    cut(&order, &parents, leaves, longest, last.unwrap_or(0))
}

/// Lengths of nodes that were joined in this `order`, none above `longest`.
fn cut(order: &[usize], parents: &[usize], leaves: usize, longest: u8, last: usize) -> Vec<u8> {
    let mut lengths = vec![0u8; parents.len()];
    let (mut of_length, mut over) = ([0i32; LONGEST as usize + 2], 0i32);
    for node in order.iter().rev() {
        let parent = parents.get(*node).and_then(|parent| lengths.get(*parent)).copied();
        let mut length = parent.unwrap_or(0) + 1;
        if length > longest {
            length = longest;
            over += 1;
        }
        lengths.iter_mut().skip(*node).take(1).for_each(|to| *to = length);
        if *node < leaves {
            add(&mut of_length, length, 1);
        }
    }
    let leaf = |node: &&usize| **node < leaves;
    if over > 0 {
        while over > 0 {
            let there = |length: &u8| of_length.get(usize::from(*length)).is_some_and(|n| *n > 0);
            let Some(length) = (1..longest).rev().find(there) else { break };
            add(&mut of_length, length, -1);
            add(&mut of_length, length + 1, 2);
            add(&mut of_length, longest, -1);
            over -= 2;
        }
        // The rarest get the longest, in the order in which they were joined.
        let mut nodes = order.iter().filter(leaf);
        for length in (1..=longest).rev() {
            let count = of_length.get(usize::from(length)).copied().unwrap_or(0);
            for node in nodes.by_ref().take(usize::try_from(count).unwrap_or(0)) {
                lengths.iter_mut().skip(*node).take(1).for_each(|to| *to = length);
            }
        }
    }
    lengths.truncate(leaves.min(last + 1));
    lengths
}

fn add(counts: &mut [i32], at: u8, by: i32) {
    counts.iter_mut().skip(at.into()).take(1).for_each(|count| *count += by);
}

/// Runs of lengths: symbol, extra bits, how many of them.
fn runs(lengths: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut out = Vec::new();
    let (mut before, mut count) = (None, 0u8);
    let limits = |next: Option<u8>, now: Option<u8>| match next {
        Some(0) => (138, 3),
        _ if next == now => (6, 3),
        _ => (7, 4),
    };
    let (mut most, mut least) = limits(lengths.first().copied(), None);
    for (at, now) in lengths.iter().copied().enumerate() {
        let next = lengths.get(at + 1).copied();
        count += 1;
        if count < most && next == Some(now) {
            continue;
        }
        if count < least {
            out.extend((0..count).map(|_| (now, 0, 0)));
        } else if now != 0 {
            if before != Some(now) {
                out.push((now, 0, 0));
                count -= 1;
            }
            out.push((16, count - 3, 2));
        } else if count <= 10 {
            out.push((17, count - 3, 3));
        } else {
            out.push((18, count - 11, 7));
        }
        (count, before) = (0, Some(now));
        (most, least) = limits(next, Some(now));
    }
    out
}
