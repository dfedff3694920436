//! What new has twice, where old would have to change to explain it.
//!
//! A firmware file holds several images that are alike: the second one is the first with
//! few changes, and both are far from old. What stands before as it is costs one symbol;
//! the same changes of old, once more for each image, cost them all again.

use super::cover::Cover;
use super::index::common;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes that are hashed: a repetition of so many and a step is found for certain.
const KEY: usize = 16;
/// Every so manyth place is noted.
const STEP: usize = 8;

/// What it costs to say that bytes stand before, in bits.
const REPEAT: u64 = 30;
/// That another place in old goes on.
const JUMP: u64 = 20;
/// A byte that differs behind some that do not, and one behind others that do: those are
/// mostly parts of one number.
const DIFFERS: u64 = 6;
const DIFFERS_TOO: u64 = 2;
/// So many bytes that stay are some.
const SOME: usize = 4;

/// Leaves of `covers` what is not cheaper said by what stands at most `window` bytes
/// before.
pub(super) fn without_repeats(
    old: &[u8],
    new: &[u8],
    covers: Vec<Cover>,
    window: usize,
) -> Vec<Cover> {
    let mut begin = 0;
    let dearer = |range: &Range<usize>| {
        let rest = covers.get(begin..).unwrap_or_default();
        begin += rest.partition_point(|cover| cover.to + cover.len <= range.start);
        let rest = covers.get(begin..).unwrap_or_default();
        let covers = rest.iter().take_while(|cover| cover.to < range.end);
        covers.map(|cover| cost(old, new, cover, range)).sum::<u64>() > REPEAT
    };
    let mut repeats = repeats(new, window);
    repeats.retain(dearer);
    cut(covers, repeats.into_iter())
}

/// What a cover costs within a range of new, about, in bits.
fn cost(old: &[u8], new: &[u8], cover: &Cover, range: &Range<usize>) -> u64 {
    let (start, end) = (cover.to.max(range.start), (cover.to + cover.len).min(range.end));
    let old = old.get(cover.from + (start - cover.to)..).unwrap_or_default();
    let mut bits = if cover.to >= range.start { JUMP } else { 0 };
    let mut stay = SOME;
    for (a, b) in old.iter().zip(new.get(start..end).unwrap_or_default()) {
        if a == b {
            stay += 1;
            continue;
        }
        bits += if stay < SOME { DIFFERS_TOO } else { DIFFERS };
        stay = 0;
    }
    bits
}

/// What of new stands before, the nearest place that was noted, from left to right.
fn repeats(new: &[u8], window: usize) -> Vec<Range<usize>> {
    let log = (new.len() / STEP).max(1).ilog2().clamp(9, 22) + 1;
    let mut places = vec![0u32; 1 << log];
    let (mut found, mut noted, mut at, mut end) = (Vec::new(), 0, 0, 0);
    while let Some(slot) = hash(new, at, log) {
        while noted + KEY <= at {
            if let Some(place) = hash(new, noted, log).and_then(|slot| places.get_mut(slot)) {
                *place = u32::try_from(noted + 1).unwrap_or(0);
            }
            noted += STEP;
        }
        let place = places.get(slot).copied().unwrap_or(0) as usize;
        let from = place.checked_sub(1).filter(|from| at - from <= window);
        let len = from.map_or(0, |from| same(new, from, at));
        let Some(from) = from.filter(|_| len >= KEY) else {
            at += 1;
            continue;
        };
        let (before, here) = (new.get(..from), new.get(end..at));
        let (before, here) = (before.unwrap_or_default(), here.unwrap_or_default());
        let back = before.iter().rev().zip(here.iter().rev()).take_while(|(a, b)| a == b).count();
        found.push(at - back..at + len);
        at += len;
        end = at;
    }
    found
}

/// How many bytes are the same behind two places.
fn same(new: &[u8], from: usize, at: usize) -> usize {
    common(new.get(from..).unwrap_or_default(), new.get(at..).unwrap_or_default())
}

/// Cuts sorted ranges of new out of the covers.
fn cut(covers: Vec<Cover>, ranges: impl Iterator<Item = Range<usize>>) -> Vec<Cover> {
    let mut ranges = ranges.peekable();
    let mut out = Vec::with_capacity(covers.len());
    for mut cover in covers {
        while ranges.next_if(|range| range.end <= cover.to).is_some() {}
        while let Some(range) = ranges.peek().filter(|range| range.start < cover.to + cover.len) {
            if range.start > cover.to {
                out.push(Cover { len: range.start - cover.to, ..cover });
            }
            let gone = (range.end - cover.to).min(cover.len);
            let Cover { to, from, len } = cover;
            cover = Cover { to: to + gone, from: from + gone, len: len - gone };
            if cover.len == 0 {
                break;
            }
            ranges.next();
        }
        if cover.len > 0 {
            out.push(cover);
        }
    }
    out
}

fn hash(bytes: &[u8], at: usize, log: u32) -> Option<usize> {
    let key: &[u8; KEY] = bytes.get(at..)?.first_chunk()?;
    let key = u128::from_le_bytes(*key);
    let (low, high) = (key as u64, (key >> 64) as u64);
    let mixed = low.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.rotate_left(29);
    Some((mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> (64 - log)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut chance = seed;
        let mut next = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (chance >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    const WINDOW: usize = 1 << 20;

    fn cover(to: usize, from: usize, len: usize) -> Cover {
        Cover { to, from, len }
    }

    /// Two images that are alike and far from old: the second is not made of old.
    #[test]
    fn what_stands_before_is_not_made_of_old() {
        let old = noise(1, 4096);
        let mut image = old.clone();
        image.iter_mut().step_by(100).for_each(|byte| *byte ^= 1);
        let new = [image.as_slice(), &image].concat();
        let covers = vec![cover(0, 0, 4096), cover(4096, 0, 4096)];
        assert_eq!(without_repeats(&old, &new, covers.clone(), WINDOW), covers[..1]);
        // What is too far before cannot be referred to.
        assert_eq!(without_repeats(&old, &new, covers.clone(), 4095), covers);
    }

    /// What old explains as well stays.
    #[test]
    fn copies_of_old_stay() {
        let old = noise(1, 4096);
        let new = [old.as_slice(), &old].concat();
        let covers = vec![cover(0, 0, 4096), cover(4096, 0, 4096)];
        assert_eq!(without_repeats(&old, &new, covers.clone(), WINDOW), covers);
    }

    #[test]
    fn ranges_are_cut_out() {
        let check = |ranges: &[Range<usize>], left: &[Cover]| {
            let covers = vec![cover(10, 100, 20), cover(40, 0, 10)];
            assert_eq!(cut(covers, ranges.iter().cloned()), left, "{ranges:?}");
        };
        check(&[], &[cover(10, 100, 20), cover(40, 0, 10)]);
        check(&[0..5, 12..14], &[cover(10, 100, 2), cover(14, 104, 16), cover(40, 0, 10)]);
        check(&[5..12, 20..45], &[cover(12, 102, 8), cover(45, 5, 5)]);
        check(&[10..30, 30..40, 49..60], &[cover(40, 0, 9)]);
        check(&[0..50, 50..60], &[]);
        check(
            &[12..13, 14..15],
            &[cover(10, 100, 2), cover(13, 103, 1), cover(15, 105, 15), cover(40, 0, 10)],
        );
    }

    /// A repetition is found wherever it begins, as long as it is.
    #[test]
    fn repetitions_are_found() {
        for shift in 0..STEP {
            let (first, between) = (noise(1, 300), noise(2, 100 + shift));
            let new = [first.as_slice(), &between, &first].concat();
            let at = 400 + shift;
            let found = repeats(&new, WINDOW);
            assert!(found.len() == 1 && found[0] == (at..at + 300), "{shift}: {found:?}");
        }
        assert!(repeats(&noise(1, 4096), WINDOW).is_empty());
        assert!(repeats(&[], WINDOW).is_empty());
    }
}
