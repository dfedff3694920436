//! Covers and gaps become symbols, symbols become spans.

mod gaps;
mod plan;

use super::cover::Cover;
use super::earlier::Earlier;
use super::ends::Ends;
use super::flat::word;
use super::grid;
use super::index::common;
use super::lists::{Ledger, SpanLists};
use super::plain::{PlainNew, PlainOld};
use super::price::Prices;
pub(super) use super::written::{Written, memory};
use super::{DiffError, DiffOptions, Effort, Explanation, Progress, Stage};
use crate::apply;
use crate::coder::{Encoder, Grid, Kind, Moves, Pace, Symbols};
use crate::patch::{FRAME, Method, OldStream, PatchHeader, SPAN_MAX};
use alloc::vec::Vec;
use plan::{Costs, Lately};

/// The most bytes of one copy.
const COPY_MAX: usize = 4 << 20;

/// The most bytes of one change: a span can end between two.
const CHANGE_MAX: usize = 4 << 10;

/// So many bytes that stay end a change: to say that a word stays costs quick models
/// more time than to begin a copy, others fewer bytes.
const fn stays(pace: Pace) -> usize {
    match pace {
        Pace::Mixed => 128,
        Pace::Quick => 64,
    }
}

/// Bytes that choose their grid together.
const GRID_BLOCK: usize = 8 << 10;

/// What is compared.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) old: &'a PlainOld,
    pub(crate) new: &'a PlainNew,
    /// The new image.
    pub(crate) image: &'a [u8],
}

/// Writes the patch.
pub(crate) fn write(
    header: &PatchHeader,
    pair: Pair<'_>,
    covers: &[Cover],
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<Written, DiffError> {
    let new = pair.new.bytes.as_slice();
    let moves = Moves::from_bytes(&header.moves).unwrap_or_default();
    let mut writer = Writer {
        pair,
        old: &pair.old.bytes,
        new,
        window: 1 << header.window_log,
        earlier: Earlier::new(new, covers, options.effort, header.models),
        symbols: Symbols::new(header.models, moves.clone()),
        moves,
        coder: Encoder::new(),
        ledger: Ledger::new(pair),
        at: 0,
        base: 0,
        finished: 0,
        from: 0,
        grid: (Grid::Bytes, 0),
        pace: header.models.pace,
        costs: Costs::NONE,
        lately: (options.effort == Effort::Fast).then_some(Lately::USUAL),
        ends: Ends::new(header, pair.new, pair.image, covers, options.span),
        bytes: header.to_bytes(),
        prices: Prices::new(pair.new),
        explanation: Explanation::default(),
        before: Explanation::default(),
        symbols_took: 0,
        decoding: apply::PlainOld::counting(header.cache),
    };
    for cover in covers {
        writer.gap(cover.to, cover.from)?;
        writer.cover(*cover)?;
        progress.reached(Stage::Writing, writer.at as u64, new.len() as u64);
    }
    writer.gap(new.len(), 0)?;
    writer.end_span()?;
    // A tree of hashes at the end of the image is a span of its own.
    writer.end_span()?;
    writer.prices.reached(new.len(), writer.symbols_took);
    let (bytes, prices, decoded) = (writer.bytes, writer.prices, writer.decoding.counted());
    let explanation = writer.explanation.in_bytes(bytes.len());
    Ok(Written { bytes, explanation, prices, doubtful: Default::default(), decoded })
}

struct Writer<'a> {
    pair: Pair<'a>,
    old: &'a [u8],
    new: &'a [u8],
    window: u64,
    earlier: Earlier<'a>,
    symbols: Symbols,
    moves: Moves,
    coder: Encoder,
    ledger: Ledger<'a>,
    /// The place in plain new.
    at: usize,
    /// The place in plain new where the span starts.
    base: usize,
    /// Bytes of the new image that are finished when the span starts.
    finished: usize,
    /// The place in old where the span's first byte is expected.
    from: u64,
    /// The grid of the last block and the residue of its words.
    grid: (Grid, usize),
    /// Bytes that end a change.
    pace: Pace,
    costs: Costs,
    /// What new bytes take, with little effort.
    lately: Option<Lately>,
    ends: Ends<'a>,
    bytes: Vec<u8>,
    prices: Prices,
    explanation: Explanation,
    /// The same before the span, whose symbols may come to nothing.
    before: Explanation,
    /// What all symbols took, in 1/16 bits, written or not.
    symbols_took: u64,
    /// What a terminal decodes.
    decoding: apply::PlainOld,
}

impl Writer<'_> {
    /// Ends the span when it is full; starts one when there is none. `from` is
    /// where old is expected to go on.
    fn make_room(&mut self, from: usize) -> Result<(), DiffError> {
        self.prices.reached(self.at, self.symbols_took);
        let bytes = self.coder.len() + self.ledger.cost(self.at);
        if self.ends.is_due(bytes, self.base, self.at) {
            self.end_span()?;
        }
        if self.at == self.base {
            self.from = from as u64;
            self.symbols.reset(self.base as u64, self.from);
            self.costs = Costs::NONE;
        }
        Ok(())
    }

    fn end_span(&mut self) -> Result<(), DiffError> {
        if self.at == self.base && self.ledger.is_done() {
            return Ok(());
        }
        let symbols = core::mem::replace(&mut self.coder, Encoder::new()).finish();
        let SpanLists { bytes: lists, image, corrections, old, order } =
            self.ledger.lists(self.base, self.at, self.from, self.ends.take_inside())?;
        self.decode(&old, &order)?;
        let before = self.bytes.len();
        let bytes = symbols.len() + lists.len() + 3;
        let raw = image.and_then(|range| self.pair.image.get(range));
        if let Some(raw) = raw.filter(|raw| bytes >= raw.len() && raw.len() <= SPAN_MAX - FRAME) {
            Method::Stored.write(&mut self.bytes, &[raw]);
            self.explanation = self.before;
            self.explanation.stored += raw.len() as u64;
        } else if bytes > SPAN_MAX - FRAME {
            return Err(DiffError::Span);
        } else {
            let [low, middle, high, _] = (lists.len() as u32).to_le_bytes();
            Method::Coded.write(&mut self.bytes, &[&[low, middle, high], &lists, &symbols]);
            let lists = self.bytes.len() - before - symbols.len();
            self.explanation.corrections += corrections.min(lists) as u64;
        }
        self.explanation.spans += 1;
        self.before = self.explanation;
        self.base = self.at;
        if let Some(finished) = self.ledger.finished() {
            self.finished = finished;
        }
        let inside = self.ledger.inside(self.finished);
        self.ends.ended(self.bytes.len() - before, self.at, inside);
        Ok(())
    }

    /// What a terminal decodes in a span that reads `old` streams in this order.
    fn decode(&mut self, old: &[OldStream], order: &[usize]) -> Result<(), DiffError> {
        self.decoding.list(old.to_vec());
        for number in order {
            let Some(stream) = old.get(*number) else { continue };
            self.decoding.count(stream).map_err(|_| DiffError::Span)?;
        }
        Ok(())
    }

    /// Symbols from a place in plain new took what was written since `before`: a part of
    /// the patch, or what an encoder chose.
    fn took(&mut self, part: fn(&mut Explanation) -> &mut u64, at: usize, before: u64) {
        let took = self.coder.position() - before;
        self.symbols_took += took;
        if self.pair.new.is_chosen(at) {
            self.explanation.choices += took;
        } else {
            *part(&mut self.explanation) += took;
        }
    }

    /// Bytes were copied.
    fn pass(&mut self, count: usize) {
        let end = self.at + count;
        let last = self.new.get(end.saturating_sub(8).max(self.at)..end).unwrap_or_default();
        self.symbols.copied(count as u64, last);
        self.at = end;
    }

    /// Writes a cover.
    fn cover(&mut self, cover: Cover) -> Result<(), DiffError> {
        let end = cover.to + cover.len;
        let mut grid_end = self.at;
        while self.at < end {
            let from = cover.from + (self.at - cover.to);
            self.make_room(from)?;
            let end = end.min(self.ends.boundary(self.coder.len(), self.at));
            if self.at >= grid_end {
                grid_end = (self.at + GRID_BLOCK).min(end);
                let chosen = self.sides().grid(&self.moves, from, self.at..grid_end);
                self.grid = chosen.unwrap_or(self.grid);
            }
            let same = self.same(from, self.at, end);
            if same >= stays(self.pace) || self.at + same == end {
                self.copy(from, same.min(COPY_MAX));
            } else {
                self.change(from, end);
            }
        }
        Ok(())
    }

    /// Where what holds a place in plain old begins and ends.
    fn bounds(&self, at: usize) -> (usize, usize) {
        if at < self.pair.old.image {
            return (0, self.pair.old.image);
        }
        let stream = self.pair.old.stream(at).and_then(|at| self.pair.old.streams.get(at));
        stream.map_or((0, 0), |stream| {
            (stream.plain_at as usize, (stream.plain_at + stream.plain) as usize)
        })
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
        let over = match grid {
            Grid::Words => (self.at + same + 4 - residue) % 4,
            Grid::Code => self.sides().before_operand(&self.moves, from + same, self.at + same),
            Grid::Bytes => 0,
        };
        let count = if over < same { same - over } else { same };
        let before = self.coder.position();
        self.go(from, Kind::Copy);
        self.symbols.length(&mut self.coder, Kind::Copy, 1, count as u64);
        self.took(|why| &mut why.control, self.at, before);
        self.ledger.read(from, count);
        self.symbols.from += count as u64;
        self.pass(count);
    }

    /// Writes a change from here to where many bytes stay.
    fn change(&mut self, from: usize, end: usize) {
        let limit = end.min(self.at + CHANGE_MAX);
        let mut until = self.at;
        while until < limit {
            let same = self.same(from + (until - self.at), until, limit);
            if same >= stays(self.pace) || until + same == end {
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
        if grid == Grid::Code {
            // The rest of an operand.
            count = (count + 3).min(end - self.at);
        }
        self.put_change(from, grid, count);
    }

    fn put_change(&mut self, from: usize, grid: Grid, count: usize) {
        let before = self.coder.position();
        let kind = Kind::Change(grid);
        self.go(from, kind);
        self.ledger.read(from, count);
        let units = if grid == Grid::Words { count / 4 } else { count };
        self.symbols.length(&mut self.coder, kind, 1, units as u64);
        self.took(|why| &mut why.control, self.at, before);
        let (at, start) = (self.at, self.coder.position());
        let until = self.at + count;
        while self.at < until {
            let around = self.around(self.symbols.from as usize);
            let new = word(self.new, self.at);
            let room = (until - self.at) as u64;
            let (_, count) = self.symbols.change(&mut self.coder, grid, around, room, new);
            self.at += count as usize;
        }
        self.took(|why| &mut why.changes, at, start);
    }

    /// The four old bytes before a place and, above them, the eight from there.
    fn around(&self, at: usize) -> u128 {
        let (start, end) = self.bounds(at);
        let first = at.saturating_sub(4).max(start);
        let bytes = self.old.get(first..end.min(at + 8)).unwrap_or_default();
        let mut around = [0; 16];
        let places = around.iter_mut().skip((first + 4).saturating_sub(at));
        places.zip(bytes).for_each(|(byte, old)| *byte = *old);
        u128::from_le_bytes(around)
    }

    /// Old and new.
    fn sides(&self) -> grid::Sides<'_> {
        grid::Sides { old: self.old, new: self.new }
    }
}
