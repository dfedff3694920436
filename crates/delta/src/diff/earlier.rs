//! What of new stood before in new, where nothing old explains it.

use super::Effort;
use super::cover::Cover;
use super::farthest::Farthest;
use super::index::common;
use super::near::Near;
use super::pieces::Pieces;
use super::recent::Recent;
use crate::coder::{Meter, Models, Moves, Pace, Symbols};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes that are hashed, and the least match that is found by chains: what is shorter is
/// worth little but where it is [`Near`].
const HASHED: usize = 6;

/// What it costs to say that a byte is new, in 1/16 bits.
const NEW_KIND: u32 = 6;

/// A match of at least this length is taken without looking further.
pub(crate) const LONG: usize = 512;

/// Of so many bytes of new all may be taken again, of more only what no cover explains: it
/// is most of what is, and to remember all takes four times as much as new.
pub(super) const ALL: usize = 16 << 20;

/// More bytes of gaps are not chained ...
const LARGE: usize = 64 << 20;

/// ... and so many times fewer places that start alike are looked at there.
const FEWER: usize = 8;

/// Where they are large, so many bytes of them are sorted at a time at most, and fewer are
/// not worth it.
const PART: usize = 128 << 20;
const LEAST_PART: usize = 8 << 20;

/// Bytes of a link of a chain.
const LINK: usize = size_of::<u32>();

/// How many bytes of such gaps are sorted at a time: in the memory that chains of all would
/// take, beside the last places.
fn part(gaps: usize) -> usize {
    let room = (LINK * gaps).saturating_sub(Recent::MEMORY);
    let part = PART.min(room / Farthest::BYTE);
    if part < LEAST_PART { 0 } else { part }
}

/// A match of so many bytes is good enough to not look for a longer one far away.
const ENOUGH: usize = 48;

/// The gaps between covers, and chains of places that start alike.
pub(crate) struct Earlier<'a> {
    new: &'a [u8],
    gaps: Pieces,
    /// What may be taken again, if that is not the gaps alone.
    known: Option<Pieces>,
    /// For every byte of all that is known, the one before it that starts alike, plus one.
    chain: Vec<u32>,
    /// In the place of chains, where gaps are large: the last places, and the gap and
    /// where in it the next byte stands that is not noted yet.
    recent: Option<Recent>,
    noted: (usize, usize),
    depth: usize,
    /// The part of large gaps that is looked through.
    farthest: Option<Farthest>,
    /// With little effort what is short is not looked for.
    near: Option<Near>,
    /// What each byte of all gaps would cost as a new byte, in 1/16 bits.
    costs: Vec<u8>,
}

impl<'a> Earlier<'a> {
    /// Chains what `covers` leave of `new`, or all of it. Where `models` are mixed, estimates
    /// what new bytes cost; with little effort all cost the same there.
    pub(crate) fn new(new: &'a [u8], covers: &[Cover], effort: Effort, models: Models) -> Self {
        let gaps = Pieces::between(new, covers);
        let known = (new.len() <= ALL).then(|| Pieces::between(new, &[]));
        let is_large = gaps.sum() > LARGE;
        let depth = if effort == Effort::Fast { 8 } else { 48 };
        let mut earlier = Self {
            new,
            gaps,
            known,
            chain: Vec::new(),
            recent: is_large.then(Recent::new),
            noted: (0, 0),
            depth: if is_large { depth / FEWER } else { depth },
            farthest: None,
            near: (effort == Effort::Best).then(|| Near::new(new.len())),
            costs: Vec::new(),
        };
        if !is_large {
            earlier.link();
        }
        if effort == Effort::Best {
            earlier.sort(0);
            if models.pace == Pace::Mixed {
                earlier.price(models);
            }
        }
        earlier
    }

    /// What stands in this range of a gap will be looked for. Places are noted some at a
    /// time, so that what was touched to note one is near when it is looked for.
    pub(crate) fn reach(&mut self, range: Range<usize>) {
        let Some(recent) = &mut self.recent else { return };
        while let Some(gap) = self.gaps.list.get(self.noted.0).filter(|gap| gap.at < range.end) {
            let until = gap.len.min(range.end - gap.at);
            (self.noted.1..until).for_each(|at| recent.note(self.new, gap.at + at));
            self.noted.1 = until;
            if until < gap.len {
                break;
            }
            self.noted = (self.noted.0 + 1, 0);
        }
        let Some(farthest) = &self.farthest else { return };
        if let Some((_, order)) = self.gaps.piece(range.start)
            && !farthest.holds(order)
        {
            self.sort(order);
        }
    }

    /// Sorts the part of the gaps that holds the byte with this order, if they are so large.
    fn sort(&mut self, order: usize) {
        let len = part(self.gaps.sum());
        if len == 0 {
            return;
        }
        let (first, mut part) = (order / len * len, Vec::with_capacity(len));
        let gaps = self.gaps.list.iter().skip_while(|gap| gap.sum + gap.len <= first);
        for gap in gaps.take_while(|gap| gap.sum < first + len) {
            let (from, to) = (first.saturating_sub(gap.sum), gap.len.min(first + len - gap.sum));
            part.extend_from_slice(self.new.get(gap.at + from..gap.at + to).unwrap_or_default());
        }
        // The one before goes first: there is memory for one.
        self.farthest = None;
        self.farthest = Some(Farthest::new(first, &part));
    }

    /// Estimates what new bytes cost.
    fn price(&mut self, models: Models) {
        self.costs = Vec::with_capacity(self.gaps.sum());
        let mut symbols = Symbols::new(models, Moves::default());
        for gap in &self.gaps.list {
            for (at, byte) in self.new.iter().enumerate().skip(gap.at).take(gap.len) {
                let mut meter = Meter::default();
                symbols.learn(&mut meter, at as u64, *byte);
                self.costs.push(u8::try_from(meter.cost + NEW_KIND).unwrap_or(u8::MAX));
            }
        }
    }

    fn known(&self) -> &Pieces {
        self.known.as_ref().unwrap_or(&self.gaps)
    }

    fn link(&mut self) {
        let known = self.known.as_ref().unwrap_or(&self.gaps);
        let sum = known.sum();
        let log = sum.max(1).ilog2().clamp(16, 22);
        let mut heads = vec![0u32; 1 << log];
        self.chain = vec![0u32; sum];
        for gap in &known.list {
            for at in 0..gap.len {
                let order = gap.sum + at;
                let Some(head) = hash(self.new, gap.at + at, log).and_then(|at| heads.get_mut(at))
                else {
                    continue;
                };
                if let Some(link) = self.chain.get_mut(order) {
                    *link = *head;
                }
                *head = order as u32 + 1;
            }
        }
    }

    /// What the new bytes from a place in a gap would cost each, in 1/16 bits.
    pub(crate) fn costs(&self, place: usize) -> &[u8] {
        if self.costs.is_empty() {
            return &[];
        }
        let Some((gap, order)) = self.gaps.piece(place) else { return &[] };
        let all = self.costs.get(..gap.sum + gap.len).unwrap_or_default();
        all.get(order..).unwrap_or_default()
    }

    /// Places and lengths of the nearest matches of two, three and four bytes that stand at
    /// `place`. It is asked about every place in order.
    pub(crate) fn near(&mut self, place: usize, room: usize) -> [(usize, usize); 3] {
        let wanted = self.new.get(place..place + room).unwrap_or_default();
        let near = self.near.as_mut().map(|near| near.matches(self.new, (place, wanted)));
        near.unwrap_or_default()
    }

    /// Calls `each` with place and length of matches of what stands at
    /// `place`, the nearest first, each longer than those before. At most `room`
    /// bytes match.
    pub(crate) fn matches(&self, place: usize, room: usize, mut each: impl FnMut(usize, usize)) {
        let wanted = self.new.get(place..place + room).unwrap_or_default();
        let Some(recent) = &self.recent else { return self.chained(place, wanted, each) };
        let mut longest = 0;
        recent.matches(self.new, (place, wanted), self.depth, LONG, |at, len| {
            longest = len;
            each(at, len);
        });
        let Some(farthest) = self.farthest.as_ref().filter(|_| longest < ENOUGH) else { return };
        let Some((_, order)) = self.gaps.piece(place) else { return };
        let mut found = farthest.before(order).map(|order| {
            let at = order.map_or(place, |order| self.gaps.place(order));
            let tail = self.new.get(at..).filter(|_| at < place);
            (common(tail.unwrap_or_default(), wanted), at)
        });
        found.sort_unstable();
        for (len, at) in found {
            if len > longest {
                longest = len;
                each(at, len);
            }
        }
    }

    /// The same by chains.
    fn chained(&self, place: usize, wanted: &[u8], mut each: impl FnMut(usize, usize)) {
        let Some((_, order)) = self.known().piece(place) else { return };
        let mut longest = HASHED - 1;
        let mut next = self.chain.get(order).copied().unwrap_or(0);
        for _ in 0..self.depth {
            let Some(order) = (next as usize).checked_sub(1) else { return };
            let at = self.known().place(order);
            let tail = self.new.get(at..).unwrap_or_default();
            if tail.get(longest) == wanted.get(longest) {
                let len = common(tail, wanted);
                if len > longest {
                    longest = len;
                    each(at, len);
                    if len >= wanted.len() || len >= LONG {
                        return;
                    }
                }
            }
            next = self.chain.get(order).copied().unwrap_or(0);
        }
    }
}

fn hash(bytes: &[u8], at: usize, log: u32) -> Option<usize> {
    let bytes = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let hash = (bytes << (64 - 8 * HASHED)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some((hash >> (64 - log)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_a_part_takes_no_more_than_chains() {
        for mib in [65, 80, 91, 100, 170, 400, 4000] {
            let gaps = mib << 20;
            let takes = Recent::MEMORY + Farthest::BYTE * part(gaps);
            assert!(takes <= LINK * gaps && part(gaps) <= gaps, "{mib} MiB take {takes}");
            assert_eq!(part(gaps) > 0, mib > 90, "{mib} MiB");
        }
    }
}
