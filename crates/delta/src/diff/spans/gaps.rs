//! Gaps between covers become symbols: the cheapest way through what nothing old explains.

use super::Writer;
use crate::coder::{EARLIER_MIN, Guess, Kind, Pace};
use crate::diff::DiffError;
use crate::diff::earlier::LONG;
use crate::diff::index::common;
use crate::diff::way::{How, Node, Step, again, earlier, lengths, new_byte, noise, offer, way};
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that are planned together.
const PLAN: usize = 4 << 10;

impl Writer<'_> {
    /// Writes what no cover explains, up to `end`; then old goes on at `next`.
    pub(super) fn gap(&mut self, end: usize, next: usize) -> Result<(), DiffError> {
        while self.at < end {
            self.make_room(next)?;
            let base = self.base;
            let end = end.min(self.ends.boundary(self.coder.len(), self.at));
            self.earlier.reach(self.at..end.min(self.at + PLAN));
            for step in self.plan(end) {
                self.make_room(next)?;
                if self.base != base {
                    // What was planned for another span does not hold.
                    break;
                }
                match step.how {
                    How::New => self.new_byte(),
                    How::Noise => self.noise(step.len),
                    How::Earlier(distance) => self.take_earlier(distance, step.len as u64),
                }
            }
        }
        Ok(())
    }

    /// The cheapest way through the next bytes of a gap that ends at `end`.
    fn plan(&mut self, end: usize) -> Vec<Step> {
        let count = PLAN.min(end - self.at);
        let start = Node { distances: self.symbols.distances_used, ..Node::START };
        let mut nodes = vec![Node::UNKNOWN; count + 1];
        nodes.iter_mut().take(1).for_each(|node| *node = start);
        let costs: Vec<u8> = self.earlier.costs(self.at).iter().take(count).copied().collect();
        for at in 0..count {
            let Some(node) = nodes.get(at).copied() else { break };
            let cost = node.cost + new_byte(self.pace, costs.get(at).copied().unwrap_or(80));
            offer(&mut nodes, at + 1, Node { cost, len: 1, how: How::New, ..node });
            noise(&mut nodes, at, &node);
            let best = self.taken(&mut nodes, at, &node, end);
            if best.0 >= LONG {
                let mut steps = way(&nodes, at);
                steps.push(Step { how: How::Earlier(best.1), len: best.0 });
                return steps;
            }
        }
        way(&nodes, count)
    }

    /// Offers what was made before; returns the longest, with its distance.
    fn taken(&mut self, nodes: &mut [Node], at: usize, node: &Node, end: usize) -> (usize, u64) {
        let place = self.at + at;
        let wanted = self.new.get(place..end).unwrap_or_default();
        let mut best = (0, 0);
        for (distance, price) in node.distances.into_iter().zip(again(self.pace).iter().copied()) {
            let again = common(self.before(place, distance), wanted);
            lengths(nodes, at, node, 1..again + 1, distance, price);
            best = best.max((again, distance));
        }
        let near = match self.pace {
            Pace::Mixed => [(0, 0); 2],
            Pace::Quick => self.earlier.near(place, wanted.len()),
        };
        let mut from = EARLIER_MIN as usize;
        let mut offer = |source: usize, len: usize| {
            if let Some((distance, most)) = self.distance(place, source).filter(|_| len >= from) {
                let len = len.min(most as usize);
                let price = earlier(self.pace) + 16 * distance.max(1).ilog2();
                lengths(nodes, at, node, from..len + 1, distance, price);
                from = len + 1;
                best = best.max((len, distance));
            }
        };
        near.into_iter().for_each(|(source, len)| offer(source, len));
        self.earlier.matches(place, wanted.len(), |source, len| offer(source, len as usize));
        best
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

    fn take_earlier(&mut self, distance: u64, len: u64) {
        let known = self.symbols.distances_used.iter().position(|used| *used == distance);
        let kind = if known.is_some() { Kind::Again } else { Kind::Earlier };
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, kind);
        match known {
            Some(number) => {
                self.symbols.length(&mut self.coder, kind, 1, len);
                self.symbols.again(&mut self.coder, number);
            }
            None => {
                self.symbols.length(&mut self.coder, kind, EARLIER_MIN, len);
                self.symbols.distance(&mut self.coder, len, distance);
            }
        }
        self.took(|why| &mut why.control, self.at, before);
        self.pass(len as usize);
    }

    fn new_byte(&mut self) {
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, Kind::New);
        let guess = match self.symbols.guess() {
            Guess::None => None,
            Guess::Old(from) => {
                let (start, end) = self.bounds(from as usize);
                let behind = from as usize > start && (from as usize) < end;
                if behind {
                    self.ledger.read(from as usize, 1);
                }
                self.old.get(from as usize).filter(|_| behind)
            }
            Guess::Earlier(distance) => self.before(self.at, distance).first(),
        };
        let guess = guess.copied().unwrap_or(0);
        let byte = self.new.get(self.at).copied().unwrap_or(0);
        self.symbols.new_byte(&mut self.coder, guess, byte);
        self.took(|why| &mut why.new_bytes, self.at, before);
        self.at += 1;
    }

    fn noise(&mut self, count: usize) {
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, Kind::Noise);
        self.symbols.length(&mut self.coder, Kind::Noise, 1, count as u64);
        for byte in self.new.iter().skip(self.at).take(count) {
            self.symbols.noise(&mut self.coder, *byte);
        }
        self.took(|why| &mut why.new_bytes, self.at, before);
        self.at += count;
    }
}
