//! The cheapest way through some bytes of a gap, by what symbols cost as the models are.

use super::Writer;
use crate::coder::{EARLIER_MIN, Guess, Kind, Kinds, NewPlace, Pace, StepCosts, Symbols};
use crate::diff::earlier::LONG;
use crate::diff::index::common;
use crate::diff::way::{How, Node, Step, lengths, noise, offer, way};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes that are planned together.
pub(super) const PLAN: usize = 4 << 10;

/// What a new byte costs of which nothing is known, in 1/16 bits.
const USUAL: u8 = 80;

/// Ways through some bytes of a gap.
struct Plan {
    /// The cheapest to each place.
    nodes: Vec<Node>,
    /// What new bytes are thought to cost, where models do not say it.
    estimates: Vec<u8>,
    /// Where the gap ends.
    end: usize,
    /// Places and lengths of what stands before.
    found: Vec<(usize, usize)>,
}

/// What steps would cost, as the models were some bytes of gaps ago.
pub(super) struct Costs {
    steps: Option<StepCosts>,
    ago: usize,
}

/// After so many bytes they are asked again: to ask takes as long as to plan a hundred.
const ASKED: usize = 1 << 10;

impl Costs {
    /// Nothing is known.
    pub(super) const NONE: Self = Self { steps: None, ago: 0 };

    /// `len` bytes are planned next.
    fn reach(&mut self, symbols: &Symbols, len: usize) {
        if self.steps.is_none() || self.ago >= ASKED {
            *self = Self { steps: Some(symbols.costs()), ago: 0 };
        }
        self.ago += len;
    }

    /// What bytes made before cost, see [`StepCosts::made`].
    fn made(&self, state: (u64, u8), len: usize, made: Made) -> u32 {
        let Made { distance, number } = made;
        self.steps.as_ref().map_or(0, |steps| steps.made(state, len as u64, (distance, number)))
    }
}

/// What new bytes took lately with what says that they are new: with little effort a price
/// for all, in the place of what models say of each.
pub(super) struct Lately {
    /// Of the last [`Self::MANY`], in 1/16 bits.
    sum: u32,
}

impl Lately {
    const MANY: u32 = 32;

    /// Before the first one.
    pub(super) const USUAL: Self = Self { sum: USUAL as u32 * Self::MANY };

    /// A new byte took so much.
    pub(super) fn took(&mut self, cost: u64) {
        self.sum = (self.sum - self.sum / Self::MANY).saturating_add(cost as u32);
    }

    /// What the next ones will take: the cheap ones among them are what would be taken.
    fn cost(&self) -> u32 {
        let mean = self.sum / Self::MANY;
        mean - mean / 8
    }
}

/// Bytes made before: how far, and which of the distances used last that is.
#[derive(Clone, Copy)]
struct Made {
    distance: u64,
    number: Option<usize>,
}

impl Made {
    fn kind(self) -> Kind {
        if self.number.is_some() { Kind::Again } else { Kind::Earlier }
    }
}

/// What new bytes teach models is worth so much to those behind, in 1/16 bits for each step
/// that takes what was made before in their place: mixed models learn more of them.
const fn taught(pace: Pace, kind: Kind) -> u32 {
    match (pace, kind) {
        (Pace::Mixed, Kind::Again) => 3 * 16,
        (Pace::Mixed, _) => 7 * 16,
        (Pace::Quick, Kind::Again) => 0,
        (Pace::Quick, _) => 8,
    }
}

/// The same for each new byte: a sixteenth of what quick models say that it costs.
const fn learned(cost: u32) -> u32 {
    cost - cost / 16
}

impl Writer<'_> {
    /// The cheapest way through the next bytes of a gap that ends at `end`.
    pub(super) fn plan(&mut self, end: usize) -> Vec<Step> {
        let count = PLAN.min(end - self.at);
        let (distances, kinds) = (self.symbols.distances_used, self.symbols.last_kinds());
        let mut nodes = vec![Node::UNKNOWN; count + 1];
        let start = Node { distances, kinds, ..Node::START };
        nodes.iter_mut().take(1).for_each(|node| *node = start);
        let estimates = self.earlier.costs(self.at).iter().take(count).copied().collect();
        self.costs.reach(&self.symbols, count);
        let mut plan = Plan { nodes, estimates, end, found: Vec::new() };
        for at in 0..count {
            let Some(node) = plan.nodes.get(at).copied() else { break };
            self.offer_new(&mut plan, at, &node);
            noise(&mut plan.nodes, at, &node);
            let best = self.offer_earlier(&mut plan, at, &node);
            if best.0 >= LONG {
                let mut steps = way(&plan.nodes, at);
                steps.push(Step { how: How::Earlier(best.1), len: best.0 });
                return steps;
            }
        }
        way(&plan.nodes, count)
    }

    /// Offers a new byte, and behind it what stands at the distance used last.
    fn offer_new(&self, plan: &mut Plan, at: usize, node: &Node) {
        let distance = node.distances[0];
        let cost = node.cost + self.new_byte_cost(plan, at, node.kinds, distance);
        let new = Node { cost, len: 1, how: How::New, tail: 0, ..node.then(Kind::New) };
        offer(&mut plan.nodes, at + 1, new);
        self.offer_tail(plan, at + 1, distance, |_| new);
    }

    /// Offers what was made before; returns the longest, with its distance.
    fn offer_earlier(&mut self, plan: &mut Plan, at: usize, node: &Node) -> (usize, u64) {
        let place = self.at + at;
        let wanted = self.new.get(place..plan.end).unwrap_or_default();
        let mut best = (0, 0);
        for (number, distance) in node.distances.into_iter().enumerate() {
            let again = common(self.before(place, distance), wanted);
            let made = Made { distance, number: Some(number) };
            self.offer_made(plan, at, node, made, 1..again + 1);
            best = best.max((again, distance));
        }
        let mut found = core::mem::take(&mut plan.found);
        found.extend(self.earlier.near(place, wanted.len()));
        self.earlier.matches(place, wanted.len(), |source, len| found.push((source, len)));
        let mut least = EARLIER_MIN as usize;
        for (source, len) in found.drain(..) {
            if let Some((distance, most)) = self.distance(place, source).filter(|_| len >= least) {
                let len = len.min(most as usize);
                self.offer_made(plan, at, node, Made { distance, number: None }, least..len + 1);
                least = len + 1;
                best = best.max((len, distance));
            }
        }
        plan.found = found;
        best
    }

    /// Offers these lengths of what was made before, and behind the longest one new byte
    /// and what goes on behind that.
    fn offer_made(&self, plan: &mut Plan, at: usize, node: &Node, made: Made, lens: Range<usize>) {
        if lens.is_empty() {
            return;
        }
        let (kind, distance) = (made.kind(), made.distance);
        let step = node.then(kind).at(distance);
        let said = self.symbols.kind_cost(node.kinds, at, kind) + taught(self.pace, kind);
        let state = (self.symbols.to + at as u64, node.kinds.0);
        let price = |len: usize| said + self.costs.made(state, len, made);
        lengths(&mut plan.nodes, at, &step, lens.clone(), price);
        let len = lens.end - 1;
        self.offer_tail(plan, at + len + 1, distance, |plan| {
            let byte = self.new_byte_cost(plan, at + len, step.kinds, distance);
            let cost = step.cost + price(len) + byte;
            Node { cost, len: len as u32, ..step.then(Kind::New) }
        });
    }

    /// Offers what stands so far before a place, the distance used last, as a part of a step
    /// that ends there.
    fn offer_tail(
        &self,
        plan: &mut Plan,
        at: usize,
        distance: u64,
        step: impl FnOnce(&Plan) -> Node,
    ) {
        let place = self.at + at;
        let wanted = self.new.get(place..plan.end).unwrap_or_default();
        let tail = common(self.before(place, distance), wanted);
        let tail = tail.min((plan.nodes.len() - 1).saturating_sub(at));
        if tail < EARLIER_MIN as usize {
            return;
        }
        let step = step(plan);
        let state = (self.symbols.to + at as u64, step.kinds.0);
        let cost = step.cost
            + self.symbols.kind_cost(step.kinds, at, Kind::Again)
            + self.costs.made(state, tail, Made { distance, number: Some(0) });
        let node = Node { cost, tail: tail as u32, ..step.then(Kind::Again) };
        offer(&mut plan.nodes, at + tail, node);
    }

    /// What the byte `at` from here would cost as a new one, behind these kinds and this
    /// distance.
    fn new_byte_cost(&self, plan: &Plan, at: usize, kinds: Kinds, distance: u64) -> u32 {
        if let Some(lately) = &self.lately {
            return lately.cost();
        }
        let place = self.at + at;
        let guess = self.symbols.guess_after(kinds.0, distance);
        let trust = guess.trust();
        let guess = self.guessed(guess, place).unwrap_or(0);
        let to = (self.symbols.to + at as u64) as u32;
        let byte = self.new.get(place).copied().unwrap_or(0);
        let before = self.new.get(place.saturating_sub(8).max(self.base)..place);
        let last = before.unwrap_or_default().iter();
        let last = last.fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let known = self.symbols.new_byte_cost(&NewPlace { last, to, guess, trust }, byte);
        let byte = match known {
            Some(cost) => learned(cost),
            None => plan.estimates.get(at).copied().unwrap_or(USUAL).into(),
        };
        self.symbols.kind_cost(kinds, at, Kind::New) + byte
    }

    /// The byte that a new one at `place` is compared with.
    pub(super) fn guessed(&self, guess: Guess, place: usize) -> Option<u8> {
        match guess {
            Guess::None => None,
            Guess::Old(from) => {
                let (start, end) = self.bounds(from as usize);
                let behind = from as usize > start && (from as usize) < end;
                self.old.get(from as usize).filter(|_| behind).copied()
            }
            Guess::Earlier(distance) => self.before(place, distance).first().copied(),
        }
    }

    /// The distance of a place in plain new from a later one, and how many bytes
    /// can be taken from there at most.
    fn distance(&self, place: usize, at: usize) -> Option<(u64, u64)> {
        let near = (place - at) as u64;
        if at >= self.base {
            return (near <= self.window).then_some((near, u64::MAX));
        }
        // Before the span only the image is there.
        let (image, len) = self.pair.new.image(at)?;
        let back = self.finished.checked_sub(image).filter(|back| *back > 0)?;
        Some(((place - self.base + back) as u64, len.min(back) as u64))
    }

    /// The bytes that stand so far before a place in plain new.
    fn before(&self, place: usize, distance: u64) -> &[u8] {
        let distance = usize::try_from(distance).unwrap_or(usize::MAX);
        let bytes = match (place - self.base).checked_sub(distance) {
            Some(_) if distance as u64 > self.window => None,
            Some(at) => self.new.get(self.base + at..),
            None => {
                let at = self.finished.checked_sub(distance - (place - self.base));
                at.and_then(|at| self.pair.image.get(at..self.finished))
            }
        };
        bytes.unwrap_or_default()
    }
}
