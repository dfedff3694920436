//! Which matches are worth going to, by how far they are and what new bytes would take.

use super::cover::{Cover, alike};
use alloc::vec::Vec;

/// A match that is `far` from where old goes on as before must have more bytes than so
/// many that are the same there, too. What is far takes more to say, and is alike by chance;
/// what is near is mostly the same code, moved by a little. Where new bytes are dear, so is
/// what differs.
pub(super) fn worth_leaving(far: usize, are_dear: bool) -> usize {
    let way = far.max(1).ilog2() as usize;
    match are_dear {
        true => 3 + way / 6,
        false => (3 + way / 3).max(way.saturating_sub(7)),
    }
}

/// Longer covers are always worthwhile.
const SHORT: usize = 64;

/// Leaves out covers that save less than going to them costs.
pub(super) fn worthwhile(covers: &[Cover], old: &[u8], new: &[u8]) -> Vec<Cover> {
    let mut kept: Vec<Cover> = Vec::new();
    let mut prices = BytePrices::new(new);
    for (number, cover) in covers.iter().enumerate() {
        let a = old.get(cover.from..).unwrap_or_default();
        let b = new.get(cover.to..cover.to + cover.len).unwrap_or_default();
        let last = kept.last().map_or((0, 0), |last| (last.from, last.to));
        let known = last.0.wrapping_sub(last.1) == cover.from.wrapping_sub(cover.to);
        if cover.len < SHORT && !known {
            let same = alike(a, b) as i64;
            let differs = b.len() as i64 - same;
            let expected = last.0 + (cover.to - last.1);
            let way = i64::from(expected.abs_diff(cover.from).max(1).ilog2());
            let neighbour =
                covers.get(number + 1).is_some_and(|next| next.to == cover.to + cover.len);
            let cost = way + if neighbour { 20 } else { 28 };
            if same * prices.at(cover.to) < (cost + differs * 10) * 2 {
                continue;
            }
        }
        kept.push(*cover);
    }
    kept
}

/// What new bytes cost, by what stands around them: those of code and text are said in
/// fewer bits than those of what is compressed to whole bytes (LZO, LZ4).
pub(super) struct BytePrices<'a> {
    new: &'a [u8],
    block: usize,
    price: i64,
}

impl<'a> BytePrices<'a> {
    /// Bytes that have one price.
    const BLOCK: usize = 4 << 10;

    /// In half bits, of code and text, and the most.
    const USUAL: i64 = 5;
    const MOST: i64 = 13;

    /// Of these bytes.
    pub(super) fn new(new: &'a [u8]) -> Self {
        Self { new, block: usize::MAX, price: Self::USUAL }
    }

    /// Half bits for each new byte around a place: more where more values are in use than
    /// the forty of code.
    fn at(&mut self, place: usize) -> i64 {
        let block = place / Self::BLOCK;
        if block != self.block {
            let bytes = self.new.chunks(Self::BLOCK).nth(block).unwrap_or_default();
            self.price =
                (Self::USUAL + (values_used(bytes) - 40) / 3).clamp(Self::USUAL, Self::MOST);
            self.block = block;
        }
        self.price
    }

    /// New bytes around a place cost more than those of code.
    pub(super) fn are_dear(&mut self, place: usize) -> bool {
        self.at(place) > Self::USUAL + 3
    }
}

/// How many values bytes would have if all that they have were as frequent: the reciprocal
/// of how likely two of them are the same.
fn values_used(bytes: &[u8]) -> i64 {
    let mut counts = [0i64; 256];
    for byte in bytes {
        counts.iter_mut().skip(usize::from(*byte)).take(1).for_each(|count| *count += 1);
    }
    let pairs: i64 = counts.iter().map(|count| count * count).sum();
    (bytes.len() * bytes.len()) as i64 / pairs.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn values_count_by_how_frequent_they_are() {
        let each = |values: usize| (0..4096).map(|at| (at % values) as u8).collect::<Vec<u8>>();
        assert_eq!([1, 16, 256].map(|values| values_used(&each(values))), [1, 16, 256]);
        // A half of zeros, the rest of many values.
        let half = [vec![0; 2048], (0..2048).map(|at| at as u8).collect()].concat();
        assert_eq!(values_used(&half), 3);
        assert_eq!(values_used(&[]), 0);
    }

    #[test]
    fn what_is_far_must_be_longer() {
        let more = |dear| [0, 8, 1 << 12, 1 << 20, 1 << 27].map(|far| worth_leaving(far, dear));
        assert_eq!(more(false), [3, 4, 7, 13, 20]);
        assert_eq!(more(true), [3, 3, 5, 6, 7]);
    }

    /// A cover of so many bytes far away, in bytes of so many values, is kept.
    fn check(len: usize, values: usize, expected: bool) {
        let new: Vec<u8> = (0..8192).map(|at| (at * 7 % values) as u8).collect();
        let mut old = vec![0; 1 << 20];
        old[1 << 19..][..len].copy_from_slice(&new[4096..][..len]);
        let cover = Cover { to: 4096, from: 1 << 19, len };
        let kept = worthwhile(&[cover], &old, &new);
        assert_eq!(!kept.is_empty(), expected, "{len} of {values}");
    }

    #[test]
    fn a_short_piece_far_away_is_worth_it_where_new_bytes_are_dear() {
        check(16, 256, true);
        check(16, 40, false);
        check(6, 256, false);
        check(40, 40, true);
    }
}
