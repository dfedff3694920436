//! What of new stood before in new, where nothing old explains it.

use super::cover::Cover;
use super::index::common;
use super::recent::Recent;
use crate::coder::{Meter, Models, Moves, Symbols};
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that are hashed, and the least match that is found.
const HASHED: usize = 4;

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

/// The gaps between covers, and chains of places that start alike.
pub(crate) struct Earlier<'a> {
    new: &'a [u8],
    gaps: Vec<Piece>,
    /// What may be taken again, if that is not the gaps alone.
    known: Option<Vec<Piece>>,
    /// For every 64th byte of all that is known together, the piece that it is in.
    anchors: Vec<u32>,
    /// For every byte of all that is known, the one before it that starts alike, plus one.
    chain: Vec<u32>,
    /// In the place of chains, where gaps are large: the last places, and the gap and
    /// where in it the next byte stands that is not noted yet.
    recent: Option<Recent>,
    noted: (usize, usize),
    depth: usize,
    /// What each byte of all gaps would cost as a new byte, in 1/16 bits.
    costs: Vec<u8>,
}

/// A piece of new.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Its place in new.
    at: usize,
    len: usize,
    /// Bytes of those before it.
    sum: usize,
}

/// What `covers` leave of `new`, but for runs.
fn gaps(new: &[u8], covers: &[Cover]) -> Vec<Piece> {
    let (mut gaps, mut at, mut sum) = (Vec::new(), 0, 0);
    let ends = covers.iter().map(|cover| (cover.to, cover.to + cover.len));
    for (start, end) in ends.chain([(new.len(), new.len())]) {
        for (at, len) in without_runs(new.get(at..start).unwrap_or_default(), at) {
            gaps.push(Piece { at, len, sum });
            sum += len;
        }
        at = end;
    }
    gaps
}

/// Bytes of all.
fn sum(pieces: &[Piece]) -> usize {
    pieces.last().map_or(0, |last| last.sum + last.len)
}

/// The piece that a place in new is in, and its order.
fn piece(pieces: &[Piece], place: usize) -> Option<(Piece, usize)> {
    let number = pieces.partition_point(|piece| piece.at <= place).checked_sub(1)?;
    let piece = *pieces.get(number)?;
    (place < piece.at + piece.len).then(|| (piece, piece.sum + place - piece.at))
}

impl<'a> Earlier<'a> {
    /// Chains what `covers` leave of `new`, or all of it; `depth` candidates are looked at.
    pub(crate) fn new(new: &'a [u8], covers: &[Cover], depth: usize) -> Self {
        let gaps = gaps(new, covers);
        let known = (new.len() <= ALL).then(|| self::gaps(new, &[]));
        let (anchors, chain, costs) = (Vec::new(), Vec::new(), Vec::new());
        let recent = (sum(&gaps) > LARGE).then(Recent::new);
        let depth = if recent.is_some() { depth / FEWER } else { depth };
        let noted = (0, 0);
        let mut earlier = Self { new, gaps, known, anchors, chain, recent, noted, depth, costs };
        if earlier.recent.is_none() {
            earlier.link();
        }
        earlier
    }

    /// What stands before `end` will be looked for. Places are noted some at a time, so that
    /// what was touched to note one is near when it is looked for.
    pub(crate) fn reach(&mut self, end: usize) {
        let Some(recent) = &mut self.recent else { return };
        while let Some(gap) = self.gaps.get(self.noted.0).filter(|gap| gap.at < end) {
            let until = gap.len.min(end - gap.at);
            (self.noted.1..until).for_each(|at| recent.note(self.new, gap.at + at));
            self.noted.1 = until;
            if until < gap.len {
                return;
            }
            self.noted = (self.noted.0 + 1, 0);
        }
    }

    /// Estimates what new bytes cost; before, all cost the same.
    pub(crate) fn price(mut self, models: Models) -> Self {
        self.costs = Vec::with_capacity(sum(&self.gaps));
        let mut symbols = Symbols::new(models, Moves::default());
        for gap in &self.gaps {
            for (at, byte) in self.new.iter().enumerate().skip(gap.at).take(gap.len) {
                let mut meter = Meter::default();
                symbols.learn(&mut meter, at as u64, *byte);
                self.costs.push(u8::try_from(meter.cost + NEW_KIND).unwrap_or(u8::MAX));
            }
        }
        self
    }

    fn known(&self) -> &[Piece] {
        self.known.as_deref().unwrap_or(&self.gaps)
    }

    fn link(&mut self) {
        let known = self.known.as_deref().unwrap_or(&self.gaps);
        let sum = sum(known);
        let log = (sum.max(1).ilog2() + 1).clamp(10, 20);
        let mut heads = vec![0u32; 1 << log];
        self.chain = vec![0u32; sum];
        self.anchors = vec![0u32; sum / 64 + 1];
        for (number, gap) in known.iter().enumerate() {
            for at in 0..gap.len {
                let order = gap.sum + at;
                if order % 64 == 0
                    && let Some(anchor) = self.anchors.get_mut(order / 64)
                {
                    *anchor = number as u32;
                }
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
        let Some((gap, order)) = piece(&self.gaps, place) else { return &[] };
        let all = self.costs.get(..gap.sum + gap.len).unwrap_or_default();
        all.get(order..).unwrap_or_default()
    }

    /// The place of the byte with this order.
    fn place(&self, order: usize) -> usize {
        let mut number = self.anchors.get(order / 64).copied().unwrap_or(0) as usize;
        while let Some(gap) = self.known().get(number) {
            if order < gap.sum + gap.len {
                return gap.at + order - gap.sum;
            }
            number += 1;
        }
        0
    }

    /// Calls `each` with place and length of matches of what stands at
    /// `place`, the nearest first, each longer than those before. At most `room`
    /// bytes match.
    pub(crate) fn matches(&self, place: usize, room: usize, mut each: impl FnMut(usize, u64)) {
        let wanted = self.new.get(place..place + room).unwrap_or_default();
        if let Some(recent) = &self.recent {
            return recent.matches(self.new, (place, wanted), self.depth, LONG, each);
        }
        let Some((_, order)) = piece(self.known(), place) else { return };
        let mut longest = HASHED - 1;
        let mut next = self.chain.get(order).copied().unwrap_or(0);
        for _ in 0..self.depth {
            let Some(order) = (next as usize).checked_sub(1) else { return };
            let at = self.place(order);
            let tail = self.new.get(at..).unwrap_or_default();
            if tail.get(longest) == wanted.get(longest) {
                let len = common(tail, wanted);
                if len > longest {
                    longest = len;
                    each(at, len as u64);
                    if len >= wanted.len() || len >= LONG {
                        return;
                    }
                }
            }
            next = self.chain.get(order).copied().unwrap_or(0);
        }
    }
}

/// Bytes that are looked at together when runs are left out.
const BLOCK: usize = 1 << 10;

/// Where the pieces of a gap are, which begins at `at`, without what goes on a run of one
/// byte: it stands one byte before. Sparse images have gigabytes of that.
fn without_runs(gap: &[u8], mut at: usize) -> Vec<(usize, usize)> {
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    let mut last = None;
    for block in gap.chunks(BLOCK) {
        let tail = block.get(1..).unwrap_or_default();
        let run = block.first().copied().filter(|_| common(block, tail) == tail.len());
        if run.is_none() || run != last {
            match pieces.last_mut() {
                Some((start, len)) if *start + *len == at => *len += block.len(),
                _ => pieces.push((at, block.len())),
            }
        }
        last = run;
        at += block.len();
    }
    pieces
}

fn hash(bytes: &[u8], at: usize, log: u32) -> Option<usize> {
    let first: &[u8; HASHED] = bytes.get(at..)?.first_chunk()?;
    Some((u32::from_le_bytes(*first).wrapping_mul(0x9e37_79b1) >> (32 - log)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(gap: &[u8], pieces: &[(usize, usize)]) {
        assert_eq!(without_runs(gap, 100), pieces);
    }

    #[test]
    fn runs_go_on_without_a_chain() {
        check(&[], &[]);
        check(&[7; 5 * BLOCK + 3], &[(100, BLOCK)]);
        let other = [vec![0; 2 * BLOCK], vec![1; 2 * BLOCK], vec![0; BLOCK]].concat();
        check(&other, &[(100, BLOCK), (100 + 2 * BLOCK, BLOCK), (100 + 4 * BLOCK, BLOCK)]);
        let text: Vec<u8> = (0..BLOCK + 5).map(|at| (at % 7) as u8).collect();
        check(&text, &[(100, BLOCK + 5)]);
    }
}
