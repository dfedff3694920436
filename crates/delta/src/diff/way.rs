//! The cheapest way through bytes that nothing old explains.

use alloc::vec::Vec;
use core::ops::Range;

/// What bytes made before cost beside their length and distance, and those at a
/// distance used last, in 1/16 bits.
pub(super) const EARLIER: u32 = 7 * 16;
pub(super) const AGAIN: u32 = 5 * 16;

/// One step through a gap: a new byte (no distance), or bytes made before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) distance: u64,
    pub(super) len: usize,
}

/// The cheapest known way to a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// In 1/16 bits.
    pub(super) cost: u32,
    /// Bytes of the last step.
    pub(super) len: u32,
    /// The distance of the last step; 0: a new byte.
    pub(super) used: u64,
    /// The distance used last.
    pub(super) distance: u64,
}

impl Node {
    pub(super) const START: Self = Self { cost: 0, len: 0, used: 0, distance: 1 };
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
    let most = lens.end.min(nodes.len() - at);
    // Of long matches only the whole is worth a look.
    let least = if most > EACH { most - 1 } else { lens.start };
    for len in least.max(1)..most {
        let cost = from.cost + price + 16 * (len as u32).ilog2();
        let node = Node { cost, len: len as u32, used: distance, distance };
        offer(nodes, at + len, node);
    }
}

/// Of longer matches not each length is tried.
const EACH: usize = 48;

/// The steps to the node `last`.
pub(super) fn way(nodes: &[Node], last: usize) -> Vec<Step> {
    let (mut steps, mut at) = (Vec::new(), last);
    while let Some(node) = nodes.get(at).filter(|node| node.len > 0) {
        steps.push(Step { distance: node.used, len: node.len as usize });
        at = at.saturating_sub(node.len as usize);
    }
    steps.reverse();
    steps
}
