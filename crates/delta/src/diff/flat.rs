//! Old and new as they are compared when moves are known: what refers to a place names it.
//!
//! Words that are addresses in old become what they are in new. Distances become the
//! places that they lead to, in old and in new, so that what holds them may stand
//! anywhere.

use super::index::common;
use super::spaces::{FARTHEST, Placed};
use crate::coder::{Moves, Operand, Space, operand};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes that are code together, or are not.
const CODE: usize = 4 << 10;

/// Bytes that are a table of distances together, or are not.
const TABLE: usize = 1 << 10;

/// Distances of a table are at least this.
const FAR: u32 = 1 << 16;

/// What one distance of a table leads to is not farther from what the last one does.
const NEAR: u64 = 1 << 16;

/// At least one byte in so many of an image with x86 code is in an operand that follows
/// its moves, or there is an address that does.
const WORTH: usize = 4096;

/// Old and new, to be compared; nothing where that says no more than they do.
pub(crate) fn flat(
    moves: &Moves,
    covers: &[Placed],
    spaces: &[Space; 2],
    old: &[u8],
    new: &[u8],
) -> Option<Flat> {
    if moves.is_empty() {
        return None;
    }
    let stays = Moves::default();
    let [from, to] = spaces;
    let from = Side::new(old, from, Some(moves));
    let to = Side::new(new, to, None);
    let worth = (old.len() / WORTH).max(1);
    // Most images hold no such code: that is seen without looking at all that stays.
    let code = (followed(moves, covers, old, new) * 4 >= worth)
        .then(|| Code::new(moves, covers, old, new))
        .filter(|code| code.hits() * 4 >= worth);
    let addresses = addresses(moves, covers, from.end, old, new) >= worth;
    if !addresses && code.is_none() {
        return None;
    }
    let (mut flat, mut flat_new) = (old.to_vec(), new.to_vec());
    if addresses {
        from.addresses(moves, &mut flat);
    }
    if let Some(code) = code {
        code.old.ranges().into_iter().for_each(|range| from.code(moves, &mut flat, range));
        code.new.ranges().into_iter().for_each(|range| to.code(&stays, &mut flat_new, range));
        // On an arm64 kernel they cost more than they save.
        from.tables().into_iter().for_each(|range| from.table(&mut flat, range));
        to.tables().into_iter().for_each(|range| to.table(&mut flat_new, range));
    }
    Some(Flat { old: flat, new: flat_new })
}

/// What is compared in place of old and new.
pub(crate) struct Flat {
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
}

/// How many words that look like addresses became what their moves say. In an image of
/// many programs few do, and most that look so are none.
fn addresses(moves: &Moves, covers: &[Placed], end: u64, old: &[u8], new: &[u8]) -> usize {
    let base = moves.base();
    if base == 0 {
        return 0;
    }
    let hits = |placed: &Placed| {
        let sides = Beside::new(placed, old, new);
        if sides.before == sides.after {
            return 0;
        }
        let skip = (placed.from.next_multiple_of(4) - placed.from) as usize;
        let words = [sides.before, sides.after]
            .map(|side| side.get(skip..).unwrap_or_default().as_chunks::<4>().0);
        let pairs = words[0].iter().zip(words[1]).filter(|(before, after)| before != after);
        let hit = |(before, after): &(&[u8; 4], &[u8; 4])| {
            let [value, becomes] = [before, after].map(|word| u32::from_le_bytes(**word));
            u64::from(value.wrapping_sub(base)) < end
                && moves.absolute(base, value) == Some(becomes)
        };
        pairs.filter(hit).count()
    };
    covers.iter().map(hits).sum()
}

/// Old or new.
struct Side<'a> {
    bytes: &'a [u8],
    space: &'a Space,
    /// The address behind the last one.
    end: u64,
    /// What old's addresses become.
    moves: Option<&'a Moves>,
}

impl<'a> Side<'a> {
    fn new(bytes: &'a [u8], space: &'a Space, moves: Option<&'a Moves>) -> Self {
        let mut side = Self { bytes, space, end: 0, moves };
        let ends = side.runs().into_iter().map(|run| space.address(run.end as u64 - 1) + 1);
        side.end = ends.max().unwrap_or(0);
        side
    }

    /// Writes down what the words become that look like addresses.
    fn addresses(&self, moves: &Moves, flat: &mut [u8]) {
        for at in self.runs().into_iter().flat_map(|run| run.step_by(4)) {
            let value = word(self.bytes, at);
            let is_address = u64::from(value.wrapping_sub(moves.base())) < self.end;
            if let Some(moved) = moves.absolute(moves.base(), value).filter(|_| is_address) {
                put(flat, at, moved);
            }
        }
    }

    /// Writes down what the operands in a range lead to.
    fn code(&self, moves: &Moves, flat: &mut [u8], range: Range<usize>) {
        let mut at = range.start.max(4);
        while at + 4 <= self.bytes.len().min(range.end) {
            let value = word(self.bytes, at);
            let operand = operand(moves, word(self.bytes, at - 4), value);
            let becomes = operand.and_then(|operand| match operand {
                Operand::Distance => self.leads_to(at, 4, value).and_then(|to| self.moved(to)),
                Operand::Address => moves.absolute(moves.base(), value),
            });
            at += becomes.map_or(1, |becomes| put(flat, at, becomes));
        }
    }

    /// Writes down what the distances of a table lead to.
    fn table(&self, flat: &mut [u8], range: Range<usize>) {
        for at in range.step_by(4) {
            let to = self.leads_to(at, 0, word(self.bytes, at));
            if let Some(to) = to.and_then(|to| self.moved(to)) {
                put(flat, at, to);
            }
        }
    }

    /// The lower bits of where in new an address is.
    fn moved(&self, address: u64) -> Option<u32> {
        self.moves.map_or(Some(address), |moves| moves.moved(address)).map(|address| address as u32)
    }

    /// The address that a distance from so many bytes behind `at` leads to.
    fn leads_to(&self, at: usize, behind: u64, distance: u32) -> Option<u64> {
        let from = self.space.address(at as u64).checked_add(behind)?;
        let to = from.checked_add_signed(distance.cast_signed().into())?;
        (to < self.end).then_some(to)
    }

    /// The regions that have addresses, from their first whole word on.
    fn runs(&self) -> Vec<Range<usize>> {
        let mut starts: Vec<u64> = self.space.starts().collect();
        if starts.is_empty() {
            starts.push(0);
        }
        let ends = starts.iter().skip(1).copied().chain([self.bytes.len() as u64]);
        let runs = starts.iter().zip(ends).filter_map(|(start, end)| {
            let address = self.space.address(*start);
            let skip = address.next_multiple_of(4) - address;
            let run = (start + skip) as usize..end as usize;
            (address < FARTHEST && run.start < run.end).then_some(run)
        });
        runs.collect()
    }

    /// Where tables of distances are: those of neighbours lead near each other.
    fn tables(&self) -> Vec<Range<usize>> {
        let is_table = |start: &usize| {
            let mut last = 0u64;
            let words = (*start..*start + TABLE).step_by(4);
            let alike = words.filter(|at| {
                let value = word(self.bytes, *at);
                let Some(to) = self.leads_to(*at, 0, value) else { return false };
                let near = to.abs_diff(last) < NEAR;
                last = to;
                near && value.cast_signed().unsigned_abs() >= FAR
            });
            alike.count() * 16 >= TABLE * 3
        };
        let blocks =
            |run: Range<usize>| (run.start..run.end.saturating_sub(TABLE - 1)).step_by(TABLE);
        let starts = self.runs().into_iter().flat_map(blocks).filter(is_table);
        starts.map(|start| start..start + TABLE).collect()
    }
}

/// The four bytes at a place, zeros where there are none.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    let word = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut word = [0; 4];
        word.iter_mut().zip(rest).for_each(|(byte, its)| *byte = *its);
        word
    });
    u32::from_le_bytes(word)
}

/// Puts a word, and returns how long it is.
fn put(bytes: &mut [u8], at: usize, word: u32) -> usize {
    if let Some(slot) = bytes.get_mut(at..at + 4) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    4
}

/// How many operands in each block became what their moves say, and how many did not.
struct Blocks(Vec<[usize; 2]>);

impl Blocks {
    fn new(bytes: &[u8]) -> Self {
        Self(vec![[0; 2]; bytes.len().div_ceil(CODE)])
    }

    fn count(&mut self, at: usize, hit: bool) {
        if let Some(block) = self.0.get_mut(at / CODE) {
            let [hits, misses] = block;
            *if hit { hits } else { misses } += 1;
        }
    }

    /// Where it is code.
    fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut code = false;
        for (start, [hits, misses]) in (0..).step_by(CODE).zip(&self.0) {
            if hits + misses > 0 {
                code = hits > misses;
            }
            match ranges.last_mut() {
                _ if !code => {}
                Some(last) if last.end == start => last.end += CODE,
                _ => ranges.push(start..start + CODE),
            }
        }
        ranges
    }
}

/// Where the code of x86 is in old and in new.
pub(crate) struct Code {
    old: Blocks,
    new: Blocks,
}

impl Code {
    /// Looks at what became of all operands.
    pub(crate) fn new(moves: &Moves, covers: &[Placed], old: &[u8], new: &[u8]) -> Self {
        let mut code = Self { old: Blocks::new(old), new: Blocks::new(new) };
        for placed in covers {
            let sides = Beside::new(placed, old, new);
            let mut at = 4;
            while at + 4 <= sides.before.len() {
                let moved = sides.moved(moves, at);
                if let Some(hit) = moved {
                    code.old.count(placed.cover.from + at, hit);
                    code.new.count(placed.cover.to + at, hit);
                }
                at += if moved == Some(true) { 4 } else { 1 };
            }
        }
        code
    }

    /// How many operands became what their moves say in blocks of code.
    pub(crate) fn hits(&self) -> usize {
        self.old.0.iter().filter(|[hits, misses]| hits > misses).map(|[hits, _]| hits).sum()
    }
}

/// How many operands that changed became what their moves say: no blocks have more.
pub(crate) fn followed(moves: &Moves, covers: &[Placed], old: &[u8], new: &[u8]) -> usize {
    let mut hits = 0;
    for placed in covers {
        let sides = Beside::new(placed, old, new);
        let mut at = 4;
        while at + 4 <= sides.before.len() {
            let [before, after] = [sides.before, sides.after].map(|side| side.get(at..));
            let same = common(before.unwrap_or_default(), after.unwrap_or_default());
            if same >= 4 {
                at += same - 3;
                continue;
            }
            let hit = sides.moved(moves, at) == Some(true);
            hits += usize::from(hit);
            at += if hit { 4 } else { 1 };
        }
    }
    hits
}

/// A piece of old and what it became.
struct Beside<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// The addresses where they start.
    from: u64,
    to: u64,
}

impl<'a> Beside<'a> {
    fn new(placed: &Placed, old: &'a [u8], new: &'a [u8]) -> Self {
        let Placed { cover, from, to } = *placed;
        let before = old.get(cover.from..cover.from + cover.len).unwrap_or_default();
        let after = new.get(cover.to..cover.to + cover.len).unwrap_or_default();
        Self { before, after, from, to }
    }

    /// Whether an operand at a place became what its moves say; nothing where there is
    /// none, or neither it nor its moves change.
    #[inline]
    fn moved(&self, moves: &Moves, at: usize) -> Option<bool> {
        let place = at.checked_sub(4)?;
        let around = u64::from_le_bytes(*self.before.get(place..)?.first_chunk()?);
        let value = (around >> 32) as u32;
        let operand = operand(moves, around as u32, value)?;
        if self.before.get(at - 1) != self.after.get(at - 1) {
            return None;
        }
        let becomes = word(self.after, at);
        let (from, to) = (self.from + at as u64, self.to + at as u64);
        let moved = operand.translate(moves, value, from, to)?;
        (moved != value || becomes != value).then_some(moved == becomes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cover::Cover;
    use super::*;

    /// Calls of what moved by 0x1010 bytes; one in `each` follows. So many followed, and so
    /// many are in blocks of code.
    fn check(each: usize, expected: [usize; 2]) {
        let moves = Moves::new([(0, 0), (0x8000, 0x1010)].into(), 0, Default::default());
        let mut images = [vec![0x90u8; 0x8000], vec![0x90u8; 0x8000]];
        for (number, at) in (16..0x8000 - 16).step_by(16).enumerate() {
            let distance = 0x9000 - (at as u32 + 5);
            let moved = distance + if number % each == 0 { 0x1010 } else { 0 };
            for (image, distance) in images.iter_mut().zip([distance, moved]) {
                image[at] = 0xe8;
                image[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
            }
        }
        let [old, new] = images;
        let covers = [Placed { cover: Cover { to: 0, from: 0, len: old.len() }, from: 0, to: 0 }];
        let in_blocks = Code::new(&moves, &covers, &old, &new).hits();
        assert_eq!([followed(&moves, &covers, &old, &new), in_blocks], expected);
    }

    #[test]
    fn no_blocks_have_more_than_what_followed() {
        check(1, [2046, 2046]);
        check(5, [410, 0]);
        check(usize::MAX, [1, 0]);
    }
}
