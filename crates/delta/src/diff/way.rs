//! The cheapest way through bytes that nothing old explains.

use crate::coder::{Kind, Kinds, REMEMBERED};
use alloc::vec::Vec;
use core::ops::Range;

/// One step through a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) how: How,
    pub(super) len: usize,
}

/// What is said about some bytes of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Each is a new byte.
    New,
    /// They are noise.
    Noise,
    /// They stand so far before.
    Earlier(u64),
}

/// Bytes of noise that are offered together.
pub(super) const NOISE: usize = 64;

/// What it costs to say that noise begins, and each byte of it, in 1/16 bits.
const NOISE_BEGINS: u32 = 18 * 16;
const NOISE_BYTE: u32 = 8 * 16;

/// The cheapest known way to a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// In 1/16 bits.
    pub(super) cost: u32,
    /// Bytes of the last step.
    pub(super) len: u32,
    /// The last step.
    pub(super) how: How,
    /// The distances used last, the latest first.
    pub(super) distances: [u64; REMEMBERED],
    /// The last two kinds.
    pub(super) kinds: Kinds,
    /// So many bytes at the distance used last are a part of the last step, behind one new
    /// byte if the step begins with bytes made before.
    pub(super) tail: u32,
}

impl Node {
    pub(super) const START: Self =
        Self { cost: 0, len: 0, how: How::New, distances: [1; REMEMBERED], kinds: (0, 0), tail: 0 };
    pub(super) const UNKNOWN: Self = Self { cost: u32::MAX, ..Self::START };

    /// The same behind a step of this kind, which is not described yet.
    pub(super) fn then(&self, kind: Kind) -> Self {
        Self { kinds: (kind.code() as u8, self.kinds.0), ..*self }
    }

    /// The same where bytes were taken from so far before.
    pub(super) fn at(&self, distance: u64) -> Self {
        let mut distances = self.distances;
        let known = distances.iter().position(|used| *used == distance).unwrap_or(REMEMBERED - 1);
        distances.get_mut(..=known).into_iter().for_each(|moved| moved.rotate_right(1));
        distances[0] = distance;
        Self { how: How::Earlier(distance), tail: 0, distances, ..*self }
    }
}

pub(super) fn offer(nodes: &mut [Node], at: usize, node: Node) {
    if let Some(known) = nodes.get_mut(at)
        && node.cost < known.cost
    {
        *known = node;
    }
}

/// Offers steps of these lengths, which are made before, all like `step`.
pub(super) fn lengths(
    nodes: &mut [Node],
    at: usize,
    step: &Node,
    lens: Range<usize>,
    price: impl Fn(usize) -> u32,
) {
    let most = lens.end.min(nodes.len() - at);
    // Of long matches only the whole is worth a look.
    let least = if most > EACH { most - 1 } else { lens.start };
    for len in least.max(1)..most {
        let cost = step.cost + price(len);
        offer(nodes, at + len, Node { cost, len: len as u32, ..*step });
    }
}

/// Offers noise.
pub(super) fn noise(nodes: &mut [Node], at: usize, from: &Node) {
    let begins = if from.how == How::Noise { 0 } else { NOISE_BEGINS };
    let cost = from.cost + begins + NOISE_BYTE * NOISE as u32;
    let how = How::Noise;
    let node = Node { cost, len: NOISE as u32, how, tail: 0, ..from.then(Kind::Noise) };
    offer(nodes, at + NOISE, node);
}

/// Of longer matches not each length is tried.
const EACH: usize = 48;

/// The steps to the node `last`; noise that goes on is one step.
pub(super) fn way(nodes: &[Node], last: usize) -> Vec<Step> {
    let (mut steps, mut at) = (Vec::<Step>::new(), last);
    while let Some(node) = nodes.get(at).filter(|node| node.len > 0) {
        let mut bytes = node.len as usize;
        if node.tail > 0 {
            let len = node.tail as usize;
            steps.push(Step { how: How::Earlier(node.distances[0]), len });
            bytes += len;
            if node.how != How::New {
                steps.push(Step { how: How::New, len: 1 });
                bytes += 1;
            }
        }
        match steps.last_mut() {
            Some(next) if node.how == How::Noise && next.how == How::Noise => {
                next.len += node.len as usize;
            }
            _ => steps.push(Step { how: node.how, len: node.len as usize }),
        }
        at = at.saturating_sub(bytes);
    }
    steps.reverse();
    steps
}
