//! What of new comes from where in old, changes included.
//!
//! New is compared in blocks, all cores at once; what comes out does not depend
//! on how many there are.

use super::index::{Index, Match, common};
use super::worth::{BytePrices, worth_leaving, worthwhile};
use super::{Progress, Stage};
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A piece of new and the piece of old that it resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Its place in new.
    pub(crate) to: usize,
    /// Its place in old.
    pub(crate) from: usize,
    /// Bytes, of which some differ.
    pub(crate) len: usize,
}

/// Bytes of new that one thread compares at a time.
const BLOCK: usize = 1 << 20;

/// A match is searched with so many bytes, then followed.
const NEEDLE: usize = 1 << 11;

/// Bytes that go on as before are not searched for.
const GOES_ON: usize = 24;

/// Up to so many bytes that differ ...
const GAP: usize = 4;

/// ... are passed without a search when so many follow that are the same.
const RESUMES: usize = 16;

/// Of a match of so many bytes that is no better than what goes on as before, half is
/// passed: another one that starts in it and is better goes on behind it, and is found
/// there. To look at each place costs the square of what images have twice.
const NO_BETTER: usize = 256;

/// A run of one byte is not searched for: nothing tells one from another.
const RUN: usize = 256;
/// But its end is, with what follows.
const RUN_END: usize = 16;

/// All covers, in order, without overlaps.
pub(crate) fn covers(
    index: &Index<'_>,
    old: &[u8],
    new: &[u8],
    threads: usize,
    progress: &dyn Progress,
) -> Vec<Cover> {
    let count = new.len().div_ceil(BLOCK);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut found = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return found;
            }
            let end = ((number + 1) * BLOCK).min(new.len());
            let search = Search { index, old, new, end };
            found.push((number, search.block(number * BLOCK)));
            let bytes = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress.reached(Stage::Comparing, (bytes * BLOCK) as u64, new.len() as u64);
        }
    };
    let mut blocks = vec![Vec::new(); count];
    let found: Vec<_> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(work)).collect();
        let own = work();
        own.into_iter()
            .chain(helpers.into_iter().filter_map(|helper| helper.join().ok()).flatten())
            .collect()
    });
    for (number, covers) in found {
        if let Some(block) = blocks.get_mut(number) {
            *block = covers;
        }
    }
    worthwhile(&join(blocks), old, new)
}

/// Joins covers that go on from block to block.
fn join(blocks: Vec<Vec<Cover>>) -> Vec<Cover> {
    let mut all: Vec<Cover> = Vec::new();
    for cover in blocks.into_iter().flatten() {
        match all.last_mut() {
            Some(last) if last.to + last.len == cover.to && last.from + last.len == cover.from => {
                last.len += cover.len;
            }
            _ => all.push(cover),
        }
    }
    all
}

/// A match, and what it saves.
struct Weighed {
    /// In bytes, beside what goes on as before.
    saves: i64,
    found: Match,
    /// How many of its bytes are the same in what goes on.
    alike: usize,
}

struct Search<'a> {
    index: &'a Index<'a>,
    old: &'a [u8],
    new: &'a [u8],
    /// The end of the block.
    end: usize,
}

impl Search<'_> {
    fn block(&self, start: usize) -> Vec<Cover> {
        let mut covers: Vec<Cover> = Vec::new();
        // The last accepted match, not yet extended.
        let mut anchor: Option<(usize, usize)> = None;
        let mut scan = start;
        let mut free = start;
        let mut prices = BytePrices::new(self.new);
        while let Some((to, found)) = self.next(scan, anchor, &mut prices) {
            if let Some((from_new, from_old)) = anchor {
                self.extend(&mut covers, &mut free, (from_new, from_old), Some((to, found.at)));
            } else {
                free = to - self.back(to, found.at, free);
            }
            anchor = Some((to, found.at));
            scan = to + found.len;
        }
        if let Some(anchor) = anchor {
            self.extend(&mut covers, &mut free, anchor, None);
        }
        covers
    }

    /// The next place in new where another place in old is worth going to.
    fn next(
        &self,
        mut scan: usize,
        anchor: Option<(usize, usize)>,
        prices: &mut BytePrices<'_>,
    ) -> Option<(usize, Match)> {
        let aligned = |at: usize| anchor.and_then(|(to, from)| (from + at).checked_sub(to));
        let mut same_until = scan;
        let mut missed = 0;
        while scan < self.end {
            let rest = self.new.get(scan..self.end)?;
            let going = aligned(scan).and_then(|at| self.old.get(at..));
            let goes = going.map_or(0, |old| common(old, rest));
            if goes >= GOES_ON && scan - same_until > LOST {
                // Found again behind what would have ended the cover.
                return Some((scan, Match { at: aligned(scan)?, len: goes }));
            }
            if goes >= GOES_ON {
                scan += goes;
                same_until = scan;
                continue;
            }
            if let Some(later) = going.and_then(|old| resumes(old, rest, goes)) {
                scan += later;
                same_until = scan;
                continue;
            }
            let run = run(rest);
            if run >= RUN {
                // Copied from just before, or with what follows it.
                scan += run - RUN_END;
                continue;
            }
            if anchor.is_none() && self.stays(scan, rest) {
                let len = common(self.old.get(scan..)?, rest);
                return Some((scan, Match { at: scan, len }));
            }
            let needle = rest.get(..NEEDLE.min(rest.len())).unwrap_or_default();
            let near = aligned(scan).unwrap_or(scan);
            let Weighed { saves, mut found, alike } =
                self.found([needle, going.unwrap_or_default()], near, prices.are_dear(scan));
            if found.len == needle.len() {
                found.len = common(self.old.get(found.at..).unwrap_or_default(), rest);
            }
            if saves > 0 {
                return Some((scan, found));
            }
            missed = if found.len == 0 { missed + 1 } else { 0 };
            scan += match found.len {
                0 => self.index.stride(missed),
                len if len == alike => len,
                len if len >= NO_BETTER => len / 2,
                _ => 1,
            };
        }
        None
    }

    /// The better one of the longest match of a needle and that around where old goes on,
    /// as it does with what is `going` there.
    fn found(&self, [needle, going]: [&[u8]; 2], near: usize, are_dear: bool) -> Weighed {
        let weigh = |found: Match| {
            let alike = alike(going, needle.get(..found.len).unwrap_or_default());
            let least = alike + worth_leaving(near.abs_diff(found.at), are_dear);
            Weighed { saves: found.len as i64 - least as i64, found, alike }
        };
        let [longest, around] =
            [self.index.longest(needle, near), self.index.around(self.old, needle, near)]
                .map(weigh);
        if around.saves > longest.saves { around } else { longest }
    }

    /// The start of `rest` stands at the same place in old.
    fn stays(&self, at: usize, rest: &[u8]) -> bool {
        rest.len() >= NEEDLE && self.old.get(at..at + NEEDLE) == rest.get(..NEEDLE)
    }

    /// Ends the cover at `anchor` where it stops being worth it, and starts the
    /// one at `next` before its match, where both resemble; they share what lies
    /// between to the best.
    fn extend(
        &self,
        covers: &mut Vec<Cover>,
        free: &mut usize,
        anchor: (usize, usize),
        next: Option<(usize, usize)>,
    ) {
        let (to, from) = anchor;
        let limit = next.map_or(self.end, |(to, _)| to);
        let mut end = to + self.forth(to, from, limit);
        let mut begin = limit;
        if let Some((next_to, next_from)) = next {
            begin = next_to - self.back(next_to, next_from, to);
            if begin < end {
                let split = self.split(begin, end, (to, from), (next_to, next_from));
                (begin, end) = (split, split);
            }
        }
        let start = *free;
        if end > start
            && let Some(from) = (from + start).checked_sub(to)
        {
            covers.push(Cover { to: start, from, len: end - start });
        }
        *free = begin;
    }

    /// How far the bytes from a place resemble, at most up to `limit` in new.
    fn forth(&self, to: usize, from: usize, limit: usize) -> usize {
        let new = self.new.get(to..limit).unwrap_or_default();
        let old = self.old.get(from..).unwrap_or_default();
        let len = new.len().min(old.len());
        let [new, old] = [new, old].map(|side| side.get(..len).unwrap_or_default().as_chunks());
        let eights = new.0.iter().zip(old.0).map(|(new, old)| eight(*new, *old));
        longest(eights.chain(new.1.iter().zip(old.1).map(|(new, old)| one(*new, *old))))
    }

    /// How far the bytes before a place resemble, down to `limit` in new.
    fn back(&self, to: usize, from: usize, limit: usize) -> usize {
        let new = self.new.get(limit..to).unwrap_or_default();
        let old = self.old.get(..from).unwrap_or_default();
        let len = new.len().min(old.len());
        let [new, old] =
            [new, old].map(|side| side.get(side.len() - len..).unwrap_or_default().as_rchunks());
        let eights = new.1.iter().zip(old.1).rev();
        let eights = eights.map(|(new, old)| (eight(*new, *old).0.swap_bytes(), 8));
        let rest = new.0.iter().zip(old.0).rev();
        longest(eights.chain(rest.map(|(new, old)| one(*new, *old))))
    }

    /// Where between `begin` and `end` one alignment is left for the other.
    fn split(&self, begin: usize, end: usize, a: (usize, usize), b: (usize, usize)) -> usize {
        let same = |at: usize, (to, from): (usize, usize)| {
            let old = (from + at).checked_sub(to).and_then(|at| self.old.get(at));
            old.is_some() && old == self.new.get(at)
        };
        let (mut best, mut highest, mut score) = (begin, 0i64, 0i64);
        for at in begin..end {
            score += i64::from(same(at, a)) - i64::from(same(at, b));
            if score > highest {
                (best, highest) = (at + 1, score);
            }
        }
        best
    }
}

/// How eight bytes differ, the first ones lowest, and how many they are.
fn eight(a: [u8; 8], b: [u8; 8]) -> (u64, usize) {
    (u64::from_le_bytes(a) ^ u64::from_le_bytes(b), 8)
}

/// How one byte differs.
fn one(a: u8, b: u8) -> (u64, usize) {
    ((a ^ b).into(), 1)
}

/// How many bytes are worth taking: more alike than not, the best such length.
fn longest(differences: impl Iterator<Item = (u64, usize)>) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (mut at, mut best, mut highest, mut score) = (0, 0, 0i64, 0i64);
    for (differs, count) in differences {
        // A byte of zero is told by its highest bit: where it borrows and had none.
        let is_none_alike = differs.wrapping_sub(ONES) & !differs & ONES << 7 == 0;
        if differs != 0 && !is_none_alike {
            for byte in differs.to_le_bytes().into_iter().take(count) {
                at += 1;
                score += if byte == 0 { 1 } else { -1 };
                if score > highest {
                    (best, highest) = (at, score);
                }
            }
        } else {
            at += count;
            score += if differs == 0 { count as i64 } else { -(count as i64) };
            if score > highest {
                (best, highest) = (at, score);
            }
        }
        if score < highest - GIVE_UP {
            break;
        }
    }
    best
}

/// Behind so many more bytes that differ nothing is expected to come back.
const GIVE_UP: i64 = 4096;

/// Behind so many bytes without anything long that stays a cover may have ended.
const LOST: usize = GIVE_UP as usize / 2;

/// A few bytes differ behind the `same` first ones, then it goes on: how far.
fn resumes(old: &[u8], new: &[u8], same: usize) -> Option<usize> {
    (same + 1..=same + GAP).find_map(|at| {
        let goes = common(old.get(at..)?, new.get(at..)?);
        (goes >= RESUMES).then_some(at + goes)
    })
}

/// How often the first byte stands at the start.
fn run(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    if bytes.get(RUN - 1) != Some(first) {
        return 0;
    }
    bytes.iter().take_while(|byte| *byte == first).count()
}

pub(super) fn alike(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::super::index::Find;
    use super::*;

    /// The best length, byte by byte.
    fn slowly(alike: impl Iterator<Item = bool>) -> usize {
        let scores = alike.scan(0i64, |score, same| {
            *score += if same { 1 } else { -1 };
            Some(*score)
        });
        let best = (1..).zip(scores).max_by_key(|(len, score)| (*score, core::cmp::Reverse(*len)));
        best.filter(|(_, score)| *score > 0).map_or(0, |(len, _)| len)
    }

    #[test]
    fn as_much_is_taken_eight_at_a_time_as_one_by_one() {
        let mut state = 1u32;
        let mut random = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % most
        };
        let index = Index::new(&[], Find::Sampled(4), &()).unwrap();
        let mut taken = 0;
        for case in 0..2000 {
            let len = random(200) as usize;
            let new: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
            // Runs that stay and runs of which most or all change.
            let mut old = new.clone();
            let mut change = 0;
            for byte in &mut old {
                change = if random(12) == 0 { random(4) } else { change };
                *byte ^= u8::from(random(3) < change);
            }
            old.truncate(len - (len / 5).min(random(9) as usize));
            let search = Search { index: &index, old: &old, new: &new, end: len };
            let forth = slowly(new.iter().zip(&old).map(|(a, b)| a == b));
            let back = slowly(new.iter().rev().zip(old.iter().rev()).map(|(a, b)| a == b));
            assert_eq!(search.forth(0, 0, len), forth, "{case}");
            assert_eq!(search.back(len, old.len(), 0), back, "{case}");
            taken += forth + back;
        }
        assert!(taken > 100_000, "{taken}");
    }
}
