//! Covers and gaps become symbols, symbols become spans.

use super::cover::Cover;
use super::earlier::{Earlier, LONG};
use super::index::common;
use super::{Delta, Explanation, Progress, Stage};
use crate::coder::{EARLIER_MIN, Encoder, Grid, Guess, Kind, Symbols};
use crate::patch::{FRAME, Lists, Method, PatchHeader, SPAN_MAX};
use alloc::vec::Vec;

/// Bytes of symbols after which a span ends.
const FULL: usize = SPAN_MAX - (2 << 10);

/// Bytes of plain new after which a span ends: what a terminal makes again
/// after it lost power.
const PLAIN_MAX: usize = 32 << 20;

/// The most bytes of one change: a span can end between two.
const CHANGE_MAX: usize = 4 << 10;

/// So many bytes that stay end a change.
const STAYS: usize = 128;

/// Bytes that choose their grid together.
const GRID_BLOCK: usize = 8 << 10;

/// Writes the patch.
pub(crate) fn write(
    header: &PatchHeader,
    old: &[u8],
    new: &[u8],
    covers: &[Cover],
    progress: &dyn Progress,
) -> Delta {
    let earlier = Earlier::new(new, covers, 48);
    let mut writer = Writer {
        old,
        new,
        window: 1 << header.window_log,
        earlier,
        symbols: Symbols::new(),
        coder: Encoder::new(),
        at: 0,
        base: 0,
        from: 0,
        grid: (Grid::Bytes, 0),
        new_cost: 80,
        bytes: header.to_bytes(),
        explanation: Explanation::default(),
    };
    writer.explanation.lists = writer.bytes.len() as u64;
    for cover in covers {
        writer.gap(cover.to, cover.from);
        writer.cover(*cover);
        progress.reached(Stage::Writing, writer.at as u64, new.len() as u64);
    }
    writer.gap(new.len(), 0);
    writer.end_span();
    Delta { bytes: writer.bytes, explanation: writer.explanation }
}

struct Writer<'a> {
    old: &'a [u8],
    new: &'a [u8],
    window: u64,
    earlier: Earlier<'a>,
    symbols: Symbols,
    coder: Encoder,
    /// The place in new.
    at: usize,
    /// The place in new where the span starts.
    base: usize,
    /// The place in old where the span's first byte is expected.
    from: u64,
    /// The grid of the last block and the residue of its words.
    grid: (Grid, usize),
    /// What a new byte costs, in 1/16 bits, as a moving mean.
    new_cost: u64,
    bytes: Vec<u8>,
    explanation: Explanation,
}

impl Writer<'_> {
    /// Ends the span when it is full; starts one when there is none. `from` is
    /// where old is expected to go on.
    fn make_room(&mut self, from: usize) {
        if self.coder.len() >= FULL || self.at - self.base >= PLAIN_MAX {
            self.end_span();
        }
        if self.at == self.base {
            self.from = from as u64;
            self.symbols.reset(self.from);
        }
    }

    fn end_span(&mut self) {
        let plain = self.new.get(self.base..self.at).unwrap_or_default();
        if plain.is_empty() {
            return;
        }
        let symbols = core::mem::replace(&mut self.coder, Encoder::new()).finish();
        let lists = Lists { plain: plain.len() as u64, from: self.from };
        let mut coder = Encoder::new();
        let lists = if lists.code(&mut coder).is_ok() { coder.finish() } else { Vec::new() };
        let before = self.bytes.len();
        if symbols.len() + lists.len() + 2 >= plain.len() && plain.len() <= SPAN_MAX - FRAME {
            Method::Stored.write(&mut self.bytes, &[plain]);
            self.explanation.stored += plain.len() as u64;
        } else {
            let len = (lists.len() as u16).to_le_bytes();
            Method::Coded.write(&mut self.bytes, &[&len, &lists, &symbols]);
            self.explanation.lists += (self.bytes.len() - before - symbols.len()) as u64;
        }
        self.explanation.spans += 1;
        self.base = self.at;
    }

    /// Writes what no cover explains, up to `end`; then old goes on at `next`.
    fn gap(&mut self, end: usize, next: usize) {
        let mut ahead = None;
        while self.at < end {
            self.make_room(next);
            let found = ahead.take().unwrap_or_else(|| self.earlier(self.at, end));
            let Some(found) = found.filter(|found| self.is_reachable(found)) else {
                self.new_byte();
                continue;
            };
            let later =
                if found.len >= LONG as u64 { None } else { self.earlier(self.at + 1, end) };
            if later.is_some_and(|later| later.gain > found.gain) {
                self.new_byte();
                ahead = Some(later);
            } else {
                self.take_earlier(&found);
            }
        }
    }

    /// The match at a place that saves most.
    fn earlier(&self, place: usize, end: usize) -> Option<Found> {
        let room = end.saturating_sub(place);
        let wanted = self.new.get(place..end)?;
        let mut best: Option<Found> = None;
        let mut offer = |found: Found| {
            if found.gain > 0 && best.is_none_or(|best| found.gain > best.gain) {
                best = Some(found);
            }
        };
        for (number, distance) in self.symbols.distances_used.iter().enumerate() {
            let Some(at) = place.checked_sub(*distance as usize) else { continue };
            let len = common(self.new.get(at..).unwrap_or_default(), wanted) as u64;
            offer(self.found(*distance, len, Some(number)));
        }
        self.earlier.matches(place, room, |distance, len| offer(self.found(distance, len, None)));
        best
    }

    fn found(&self, distance: u64, len: u64, known: Option<usize>) -> Found {
        let len = len.min(self.reach(distance));
        let bits = match known {
            Some(_) => 6 + u64::from(len.max(1).ilog2()) * 2,
            None => 11 + u64::from(distance.max(1).ilog2()) + u64::from(len.max(1).ilog2()),
        };
        let least = if known.is_some() { 1 } else { EARLIER_MIN };
        let gain = if len < least { 0 } else { (len * self.new_cost) as i64 - (bits * 16) as i64 };
        Found { distance, len, known, gain }
    }

    /// How many bytes can be taken from this distance.
    fn reach(&self, distance: u64) -> u64 {
        let to = (self.at - self.base) as u64;
        match distance {
            near if near <= self.window => u64::MAX,
            far if far <= to => 0,
            far => far - to,
        }
    }

    /// It still can be taken: a span may have ended since it was found.
    fn is_reachable(&self, found: &Found) -> bool {
        found.len <= self.reach(found.distance)
    }

    fn take_earlier(&mut self, found: &Found) {
        let kind = if found.known.is_some() { Kind::Again } else { Kind::Earlier };
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, kind);
        match found.known {
            Some(number) => {
                self.symbols.length(&mut self.coder, kind, 1, found.len);
                self.symbols.again(&mut self.coder, number);
            }
            None => {
                self.symbols.length(&mut self.coder, kind, EARLIER_MIN, found.len);
                self.symbols.distance(&mut self.coder, found.len, found.distance);
            }
        }
        self.explanation.control += self.coder.position() - before;
        self.pass(found.len as usize);
    }

    fn new_byte(&mut self) {
        let before = self.coder.position();
        self.symbols.kind(&mut self.coder, Kind::New);
        let guess = match self.symbols.guess() {
            Guess::None => None,
            Guess::Old(from) => self.old.get(from as usize),
            Guess::Earlier(distance) => {
                let near = distance <= self.window || distance > (self.at - self.base) as u64;
                let at = self.at.checked_sub(distance as usize).filter(|_| near);
                at.and_then(|at| self.new.get(at))
            }
        };
        let byte = self.new.get(self.at).copied().unwrap_or(0);
        self.symbols.new_byte(&mut self.coder, guess.copied().unwrap_or(0), byte);
        let cost = self.coder.position() - before;
        self.explanation.new_bytes += cost;
        self.new_cost = (self.new_cost * 63 + cost) / 64;
        self.at += 1;
    }

    /// Bytes were copied.
    fn pass(&mut self, count: usize) {
        let end = self.at + count;
        let last = self.new.get(end.saturating_sub(8).max(self.at)..end).unwrap_or_default();
        self.symbols.copied(count as u64, last);
        self.at = end;
    }

    /// Writes a cover.
    fn cover(&mut self, cover: Cover) {
        let end = cover.to + cover.len;
        let mut grid_end = self.at;
        while self.at < end {
            let from = cover.from + (self.at - cover.to);
            self.make_room(from);
            if self.at >= grid_end {
                grid_end = (self.at + GRID_BLOCK).min(end);
                self.choose_grid(from, grid_end);
            }
            let same = self.same(from, self.at, end);
            if same >= STAYS || self.at + same == end {
                self.copy(from, same.min(PLAIN_MAX - (self.at - self.base)));
            } else {
                self.change(from, end);
            }
        }
    }

    /// How many bytes stay from here.
    fn same(&self, from: usize, at: usize, end: usize) -> usize {
        let old = self.old.get(from..).unwrap_or_default();
        common(old, self.new.get(at..end).unwrap_or_default())
    }

    /// Goes to `from` in old, if that is not where old goes on anyway, for `kind`.
    fn go(&mut self, from: usize, kind: Kind) {
        let from = from as u64;
        if self.symbols.from != from {
            self.symbols.kind(&mut self.coder, Kind::Jump);
            self.symbols.jump(&mut self.coder, from);
        }
        self.symbols.kind(&mut self.coder, kind);
        self.symbols.align();
    }

    /// Copies `same` bytes, but leaves those of the word that changes next.
    fn copy(&mut self, from: usize, same: usize) {
        let (grid, residue) = self.grid;
        let over = if grid == Grid::Words { (self.at + same + 4 - residue) % 4 } else { 0 };
        let count = if over < same { same - over } else { same };
        let before = self.coder.position();
        self.go(from, Kind::Copy);
        self.symbols.length(&mut self.coder, Kind::Copy, 1, count as u64);
        self.explanation.control += self.coder.position() - before;
        self.symbols.from += count as u64;
        self.pass(count);
    }

    /// Writes a change from here to where many bytes stay.
    fn change(&mut self, from: usize, end: usize) {
        let limit = end.min(self.at + CHANGE_MAX);
        let mut until = self.at;
        while until < limit {
            let same = self.same(from + (until - self.at), until, limit);
            if same >= STAYS || until + same == end {
                break;
            }
            // The byte behind differs, or the limit is reached.
            until = (until + same + 1).min(limit);
        }
        let (mut grid, residue) = self.grid;
        let mut count = until - self.at;
        if grid == Grid::Words {
            if self.at % 4 != residue {
                // A few bytes to the grid.
                count = (residue + 4 - self.at % 4) % 4;
                grid = Grid::Bytes;
            } else if count.next_multiple_of(4) <= end - self.at {
                count = count.next_multiple_of(4);
            } else if count >= 4 {
                count -= count % 4;
            } else {
                grid = Grid::Bytes;
            }
            count = count.min(end - self.at);
        }
        self.put_change(from, grid, count);
    }

    fn put_change(&mut self, from: usize, grid: Grid, count: usize) {
        let before = self.coder.position();
        let kind = Kind::Change(grid);
        self.go(from, kind);
        let units = if grid == Grid::Words { count / 4 } else { count };
        self.symbols.length(&mut self.coder, kind, 1, units as u64);
        let start = self.coder.position();
        self.explanation.control += start - before;
        let until = self.at + count;
        while self.at < until {
            let at = self.symbols.from;
            let around =
                (0..8).rev().fold(0u64, |sum, k| sum << 8 | u64::from(self.old_byte(at + k)));
            let new = (0..4).rev().fold(0u32, |sum, k| {
                sum << 8 | u32::from(self.new.get(self.at + k).copied().unwrap_or(0))
            });
            let room = (until - self.at) as u64;
            let (_, count) = self.symbols.change(&mut self.coder, grid, around, room, new);
            self.at += count as usize;
        }
        self.explanation.changes += self.coder.position() - start;
    }

    /// The byte four before a place in old; zero where there is none.
    fn old_byte(&self, at: u64) -> u8 {
        let at = at.checked_sub(4).and_then(|at| self.old.get(at as usize));
        at.copied().unwrap_or(0)
    }

    /// Chooses the grid up to `end` by where bytes differ: the highest byte of
    /// an instruction or a pointer seldom does.
    fn choose_grid(&mut self, from: usize, end: usize) {
        let old = self.old.get(from..).unwrap_or_default();
        let new = self.new.get(self.at..end).unwrap_or_default();
        let mut differs = [0usize; 4];
        for (place, (a, b)) in (self.at..).zip(old.iter().zip(new)) {
            if a != b
                && let Some(count) = differs.get_mut(place % 4)
            {
                *count += 1;
            }
        }
        let all: usize = differs.iter().sum();
        let (highest, least) =
            (0..4).zip(differs).min_by_key(|(_, count)| *count).unwrap_or((0, 0));
        if all >= 8 {
            self.grid =
                if least * 10 <= all { (Grid::Words, (highest + 1) % 4) } else { (Grid::Bytes, 0) };
        }
    }
}

/// Something that stood before.
#[derive(Debug, Clone, Copy)]
struct Found {
    distance: u64,
    len: u64,
    /// Its number among the distances used last.
    known: Option<usize>,
    /// What it saves, in 1/16 bits.
    gain: i64,
}
