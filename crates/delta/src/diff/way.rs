//! The cheapest way through bytes that nothing old explains.

use crate::coder::{Pace, REMEMBERED};
use alloc::vec::Vec;
use core::ops::Range;

/// What bytes made before cost beside their length and distance, in 1/16 bits. Mixed models
/// say new bytes in fewer bits: short ones that stand before are rarely worth it.
pub(super) const fn earlier(pace: Pace) -> u32 {
    match pace {
        Pace::Mixed => 10 * 16,
        Pace::Quick => 6 * 16,
    }
}

/// What those at the distances used last cost, the latest first, as far as they are worth
/// a look.
pub(super) const fn again(pace: Pace) -> &'static [u32] {
    match pace {
        Pace::Mixed => &[5 * 16],
        Pace::Quick => &[4 * 16, 7 * 16, 8 * 16, 8 * 16],
    }
}

/// What a new byte costs that is thought to cost so much. Quick models learn less of what is
/// copied than what estimates: they are believed half, and the other half is the usual byte.
pub(super) const fn new_byte(pace: Pace, cost: u8) -> u32 {
    match pace {
        Pace::Mixed => cost as u32,
        Pace::Quick => cost as u32 / 2 + 4 * 16,
    }
}

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
}

impl Node {
    pub(super) const START: Self =
        Self { cost: 0, len: 0, how: How::New, distances: [1; REMEMBERED] };
    pub(super) const UNKNOWN: Self = Self { cost: u32::MAX, ..Self::START };
}

pub(super) fn offer(nodes: &mut [Node], at: usize, node: Node) {
    if let Some(known) = nodes.get_mut(at)
        && node.cost < known.cost
    {
        *known = node;
    }
}

/// Offers lengths of what stands `distance` before.
pub(super) fn lengths(
    nodes: &mut [Node],
    at: usize,
    from: &Node,
    lens: Range<usize>,
    distance: u64,
    price: u32,
) {
    let mut distances = from.distances;
    let known = distances.iter().position(|used| *used == distance).unwrap_or(REMEMBERED - 1);
    distances.get_mut(..=known).into_iter().for_each(|moved| moved.rotate_right(1));
    distances[0] = distance;
    let most = lens.end.min(nodes.len() - at);
    // Of long matches only the whole is worth a look.
    let least = if most > EACH { most - 1 } else { lens.start };
    for len in least.max(1)..most {
        let cost = from.cost + price + 16 * (len as u32).ilog2();
        let node = Node { cost, len: len as u32, how: How::Earlier(distance), distances };
        offer(nodes, at + len, node);
    }
}

/// Offers noise.
pub(super) fn noise(nodes: &mut [Node], at: usize, from: &Node) {
    let begins = if from.how == How::Noise { 0 } else { NOISE_BEGINS };
    let cost = from.cost + begins + NOISE_BYTE * NOISE as u32;
    let node = Node { cost, len: NOISE as u32, how: How::Noise, distances: from.distances };
    offer(nodes, at + NOISE, node);
}

/// Of longer matches not each length is tried.
const EACH: usize = 48;

/// The steps to the node `last`; noise that goes on is one step.
pub(super) fn way(nodes: &[Node], last: usize) -> Vec<Step> {
    let (mut steps, mut at) = (Vec::<Step>::new(), last);
    while let Some(node) = nodes.get(at).filter(|node| node.len > 0) {
        match steps.last_mut() {
            Some(next) if node.how == How::Noise && next.how == How::Noise => {
                next.len += node.len as usize;
            }
            _ => steps.push(Step { how: node.how, len: node.len as usize }),
        }
        at = at.saturating_sub(node.len as usize);
    }
    steps.reverse();
    steps
}
