//! Which moves of old pieces are worth telling: those that addresses follow.

use super::flat::{Code, followed};
use super::spaces::Placed;
use crate::coder::{MOVES_BYTES_MAX, MOVES_MAX, Moves, Pages, Place, Space};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;
use std::collections::HashMap;

/// Pieces that are shorter are not told.
const SHORTEST: usize = 32;

/// Bits that an address saves when its move is told, and need not be learned.
const SAVES: usize = 1;

/// The stored form of the moves; of addresses alone, where content has them that words stand
/// between, and nothing else pays.
pub(crate) fn find(covers: &[Placed], old: &[u8], new: &[u8], spaces: &[Space; 2]) -> Vec<u8> {
    let moves = paying(covers, old, new, spaces);
    if moves.is_empty() && spaces[1].starts().count() > WOVEN {
        return Moves::new(Vec::new(), 0, spaces.clone()).to_bytes();
    }
    moves
}

/// More regions are those of content that words stand between.
const WOVEN: usize = 2;

/// The stored form of the moves; nothing where they do not pay.
fn paying(covers: &[Placed], old: &[u8], new: &[u8], spaces: &[Space; 2]) -> Vec<u8> {
    let most = spaces[0].address(old.len() as u64);
    let differ: Vec<Placed> =
        covers.iter().filter(|placed| differs(placed, old, new)).copied().collect();
    let mut shortest = SHORTEST;
    loop {
        let pieces = pieces(covers, shortest);
        if pieces.len() < 2 {
            return Vec::new();
        }
        shortest *= 2;
        if pieces.len() > MOVES_MAX {
            continue;
        }
        let base = base(&pieces, most, &differ, old, new);
        let moves = Moves::new(pieces, base, spaces.clone());
        let bytes = moves.to_bytes();
        if bytes.len() > MOVES_BYTES_MAX {
            continue;
        }
        // The first counts that are enough, or too few, save looking at all that stays.
        let (words, needed) = (hits(&moves, &differ, old, new), bytes.len() * 8 / SAVES);
        let mut found = words;
        if found <= needed {
            found += followed(&moves, &differ, old, new);
            if found > needed {
                found = words + Code::new(&moves, covers, old, new).hits();
            }
        }
        if found > needed {
            return bytes;
        }
    }
}

/// Which addresses in old something begins at that moved by another distance.
fn pieces(covers: &[Placed], shortest: usize) -> Vec<(u64, i64)> {
    let mut long: Vec<&Placed> = covers.iter().filter(|part| part.cover.len >= shortest).collect();
    long.sort_by_key(|part| (part.from, part.to));
    let mut pieces: Vec<(u64, i64)> = Vec::new();
    let mut end = 0;
    for part in long {
        let (start, behind) = (part.from.max(end), part.from + part.cover.len as u64);
        if start + shortest as u64 > behind {
            continue;
        }
        end = behind;
        let moved = part.to.wrapping_sub(part.from).cast_signed();
        if pieces.last().is_none_or(|(_, last)| *last != moved) {
            pieces.push((start, moved));
        }
    }
    pieces
}

/// Something in a piece changes.
fn differs(placed: &Placed, old: &[u8], new: &[u8]) -> bool {
    let cover = placed.cover;
    old.get(cover.from..cover.from + cover.len) != new.get(cover.to..cover.to + cover.len)
}

/// A changed word: where it stands, what it was and what it became.
struct Changed {
    from: u64,
    to: u64,
    old: u32,
    next: u32,
    new: u32,
}

/// Calls `each` with the words of all covers that are on the same grid in old and
/// new.
fn changed(covers: &[Placed], old: &[u8], new: &[u8], mut each: impl FnMut(&Changed)) {
    for Placed { cover, from, to } in covers {
        let skip = from.next_multiple_of(4) - from;
        let (from, to) = (from + skip, to + skip);
        let skip = skip as usize;
        let len = cover.len.saturating_sub(skip);
        let before = old.get(cover.from + skip..cover.from + skip + len).unwrap_or_default();
        let after = new.get(cover.to + skip..cover.to + skip + len).unwrap_or_default();
        if to % 4 != 0 {
            continue;
        }
        let word = |word: &[u8; 4]| u32::from_le_bytes(*word);
        let (before, after) = (before.as_chunks().0, after.as_chunks().0);
        for (number, (old, new)) in before.iter().zip(after).enumerate() {
            let next = before.get(number + 1).map_or(0, word);
            let at = |start: u64| start + number as u64 * 4;
            let (from, to) = (at(from), at(to));
            each(&Changed { from, to, old: word(old), next, new: word(new) });
        }
    }
}

/// How many changed words become what their moves say.
fn hits(moves: &Moves, covers: &[Placed], old: &[u8], new: &[u8]) -> usize {
    let mut hits = 0;
    let mut pages = Pages::NONE;
    changed(covers, old, new, |word| {
        let &Changed { from, to, old, next, new } = word;
        if old == new {
            pages.pass(old, from);
            return;
        }
        let instruction = pages.translate(moves, old, Place { from, to, next });
        let relative = moves.relative(old, from, to);
        let [above, plain] = [moves.base(), 0].map(|base| moves.absolute(base, old));
        hits += usize::from([instruction, relative, above, plain].contains(&Some(new)));
    });
    hits
}

/// Addresses of plain old's first byte are multiples of this.
const BASE_STEP: u32 = 1 << 16;

/// Votes that a base needs.
const VOTES: usize = 64;

/// The base above which most changed words are addresses of what moved as they
/// changed; 0 if there is none.
fn base(pieces: &[(u64, i64)], most: u64, covers: &[Placed], old: &[u8], new: &[u8]) -> u32 {
    let mut moved_by: HashMap<u32, Vec<Range<u64>>> = HashMap::new();
    let ends = pieces.iter().skip(1).map(|(start, _)| *start).chain([most]);
    for ((start, moved), end) in pieces.iter().zip(ends) {
        moved_by.entry(*moved as u32).or_default().push(*start..end);
    }
    let mut votes = HashMap::<u32, usize>::new();
    changed(covers, old, new, |word| {
        if word.old == word.new {
            return;
        }
        for piece in moved_by.get(&word.new.wrapping_sub(word.old)).into_iter().flatten() {
            // The word is the address of a byte in the piece.
            let least = word.old.wrapping_sub(piece.end as u32) / BASE_STEP + 1;
            let most = word.old.wrapping_sub(piece.start as u32) / BASE_STEP;
            for base in (least..=most).take(64) {
                *votes.entry(base.wrapping_mul(BASE_STEP)).or_default() += 1;
            }
        }
    });
    let best = votes.into_iter().max_by_key(|(base, votes)| (*votes, Reverse(*base)));
    best.filter(|(_, votes)| *votes >= VOTES).map_or(0, |(base, _)| base)
}
