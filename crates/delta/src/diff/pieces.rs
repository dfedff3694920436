//! Pieces of new: where they are, and the bytes of all in order.

use super::cover::Cover;
use super::index::common;
use alloc::vec::Vec;
use core::cell::Cell;

/// A piece of new.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Its place in new.
    pub(super) at: usize,
    pub(super) len: usize,
    /// Bytes of those before it.
    pub(super) sum: usize,
}

impl Piece {
    fn holds(&self, place: usize) -> bool {
        place >= self.at && place - self.at < self.len
    }
}

/// Pieces of new by their place.
pub(super) struct Pieces {
    pub(super) list: Vec<Piece>,
    /// For every 64th byte of all together, the piece that it is in.
    anchors: Vec<u32>,
    /// The one that was asked for last: most often the next place is in it, too.
    last: Cell<usize>,
}

/// Bytes from anchor to anchor.
const ANCHORED: usize = 64;

impl Pieces {
    /// What `covers` leave of `new`, but for runs.
    pub(super) fn between(new: &[u8], covers: &[Cover]) -> Self {
        let (mut list, mut at, mut sum) = (Vec::new(), 0, 0);
        let ends = covers.iter().map(|cover| (cover.to, cover.to + cover.len));
        for (start, end) in ends.chain([(new.len(), new.len())]) {
            for (at, len) in without_runs(new.get(at..start).unwrap_or_default(), at) {
                list.push(Piece { at, len, sum });
                sum += len;
            }
            at = end;
        }
        let mut anchors = Vec::with_capacity(sum / ANCHORED + 1);
        for (number, piece) in (0u32..).zip(&list) {
            anchors.resize((piece.sum + piece.len).div_ceil(ANCHORED), number);
        }
        Self { list, anchors, last: Cell::new(0) }
    }

    /// Bytes of all.
    pub(super) fn sum(&self) -> usize {
        self.list.last().map_or(0, |last| last.sum + last.len)
    }

    /// The piece that a place in new is in, and the order of its byte.
    pub(super) fn piece(&self, place: usize) -> Option<(Piece, usize)> {
        let held = |number: usize| self.list.get(number).filter(|piece| piece.holds(place));
        let piece = *held(self.last.get()).or_else(|| {
            let number = self.list.partition_point(|piece| piece.at <= place).checked_sub(1)?;
            self.last.set(number);
            held(number)
        })?;
        Some((piece, piece.sum + place - piece.at))
    }

    /// The place of the byte with this order.
    pub(super) fn place(&self, order: usize) -> usize {
        let mut number = self.anchors.get(order / ANCHORED).copied().unwrap_or(0) as usize;
        while let Some(piece) = self.list.get(number) {
            if order < piece.sum + piece.len {
                return piece.at + order - piece.sum;
            }
            number += 1;
        }
        0
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

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

    #[test]
    fn places_and_orders_are_told_from_each_other() {
        let new: Vec<u8> = (0..400u32).map(|at| (at * 7) as u8).collect();
        let cover = |to, len| Cover { to, from: 0, len };
        let pieces = Pieces::between(&new, &[cover(0, 10), cover(40, 100), cover(143, 57)]);
        assert_eq!(pieces.sum(), 30 + 3 + 200);
        let places: Vec<usize> = (10..40).chain(140..143).chain(200..400).collect();
        for (order, place) in places.iter().enumerate() {
            assert_eq!(pieces.place(order), *place);
            assert_eq!(pieces.piece(*place).map(|(_, order)| order), Some(order));
        }
        // Whichever was asked for last, what no piece holds is in none.
        for place in [9, 40, 139, 143, 199, 400, 0] {
            assert!(pieces.piece(place).is_none(), "{place}");
            assert!(pieces.piece(399).is_some());
        }
    }
}
