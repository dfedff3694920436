//! The language of a span: what is said about plain new, and in which state.

use super::byte::{NewBytes, NewPlace};
#[cfg(any(test, feature = "diff"))]
use super::cost::{LengthCosts, NumberCosts};
use super::logistic::Tables;
use super::moves::Moves;
use super::number::{Flag, Lengths, Number, Tree};
use super::site::Site;
use super::word::WordModel;
use super::{Coder, Grid, Models};
use alloc::boxed::Box;
use alloc::vec;

/// What comes next in plain new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One new byte.
    New,
    /// Bytes that were made before, at a new distance.
    Earlier,
    /// Bytes that were made before, at one of the last four distances.
    Again,
    /// Old bytes as they are.
    Copy,
    /// Old bytes of which some change.
    Change(Grid),
    /// Another place in old comes first, then a copy or a change.
    Jump,
    /// New bytes that no model is asked about.
    Noise,
}

const KINDS: [Kind; 9] = [
    Kind::New,
    Kind::Copy,
    Kind::Change(Grid::Words),
    Kind::Change(Grid::Bytes),
    Kind::Jump,
    Kind::Earlier,
    Kind::Again,
    Kind::Noise,
    Kind::Change(Grid::Code),
];

impl Kind {
    pub(crate) fn code(self) -> usize {
        KINDS.iter().position(|kind| *kind == self).unwrap_or(0)
    }

    /// The kind with this number in the tree of those that are not new: the number of
    /// what is new is the last one's.
    fn in_tree(number: usize) -> usize {
        if number == 0 { KINDS.len() - 1 } else { number }
    }
}

/// Where the byte is that a new byte is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// Nowhere.
    None,
    /// In plain old, at the place where the last copy would go on.
    Old(u64),
    /// This far before, where bytes made before would go on.
    Earlier(u64),
}

impl Guess {
    /// What kind of guess it is, by number.
    pub(crate) fn trust(self) -> usize {
        match self {
            Self::None => 0,
            Self::Old(_) => 1,
            Self::Earlier(_) => 2,
        }
    }
}

/// What the last two kinds may be.
const STATES: usize = KINDS.len() * KINDS.len();

/// How many diagonals and distances are remembered.
pub(crate) const REMEMBERED: usize = 4;

/// The least length of what was made before.
pub(crate) const EARLIER_MIN: u64 = 2;

/// Bytes of all that does not grow with the tables of the models.
const SMALL: u64 = 96 << 10;

/// The last two kinds, the latest first, by number.
#[cfg(any(test, feature = "diff"))]
pub(crate) type Kinds = (u8, u8);

/// What steps through a gap would cost beside their kind, in 1/16 bits.
#[cfg(any(test, feature = "diff"))]
pub(crate) struct StepCosts {
    lengths: LengthCosts<LENGTHS>,
    distances: NumberCosts<4>,
    again: [[u32; REMEMBERED]; 2],
}

#[cfg(any(test, feature = "diff"))]
impl StepCosts {
    /// So many bytes made before, for the byte at `to` behind a kind: at a distance, and
    /// which of those used last it is.
    #[inline]
    pub(crate) fn made(
        &self,
        (to, before): (u64, u8),
        len: u64,
        (distance, number): (u64, Option<usize>),
    ) -> u32 {
        let context = lengths_context(number, before.into(), to);
        let beyond = len.saturating_sub(if number.is_some() { 1 } else { EARLIER_MIN });
        let len = self.lengths.cost(context, beyond);
        let distance = match number {
            None => self.distances.cost(beyond.min(3) as usize, distance.saturating_sub(1)),
            Some(number) => {
                let costs = self.again.get(usize::from(before == 0));
                costs.and_then(|costs| costs.get(number)).copied().unwrap_or(0)
            }
        };
        len + distance
    }
}

/// Contexts of lengths of what was made before.
const LENGTHS: usize = 16;

/// The context of a length: of what was made at a new distance or the number of one used
/// last, behind a kind, and of the place.
fn lengths_context(number: Option<usize>, before: usize, to: u64) -> usize {
    let class = match number {
        None => 0,
        Some(0) if before == 0 => 1,
        Some(0) => 2,
        Some(_) => 3,
    };
    class << 2 | to as usize & 3
}

/// All that both ends know in the middle of a span.
pub(crate) struct Symbols {
    tables: Tables,
    new_bytes: NewBytes,
    words: WordModel,
    is_new: Box<[Flag]>,
    kinds: Tree,
    lengths: Number,
    earlier_lengths: Lengths,
    distances: Number,
    places: Tree,
    offsets: Number,
    distance_of: Tree,
    kind: (usize, usize),
    /// The place in plain new where the span starts.
    base: u64,
    /// Bytes of plain new since the start of the span.
    pub(crate) to: u64,
    /// The place in plain old that the next copy or change starts at.
    pub(crate) from: u64,
    /// The last eight bytes of plain new, the nearest lowest.
    pub(crate) last: u64,
    /// Places in old minus places in new that copies were made at, latest first.
    pub(crate) diagonals: [i64; REMEMBERED],
    /// Distances of what was made before, latest first.
    pub(crate) distances_used: [u64; REMEMBERED],
    /// A change of which not all four bytes are known yet.
    spelled: Option<(Site, u32)>,
}

impl Symbols {
    /// As a span starts; addresses move as `moves` say.
    pub(crate) fn new(models: Models, moves: Moves) -> Self {
        Self {
            tables: Tables::new(),
            new_bytes: NewBytes::new(models),
            words: WordModel::new(models, moves),
            is_new: vec![Flag::new(1 << 15); STATES * 4].into(),
            kinds: Tree::new(3, STATES),
            lengths: Number::new(KINDS.len()),
            earlier_lengths: Lengths::new(LENGTHS),
            distances: Number::new(4),
            places: Tree::new(3, KINDS.len()),
            offsets: Number::new(2),
            distance_of: Tree::new(2, 2),
            kind: (0, 0),
            base: 0,
            to: 0,
            from: 0,
            last: 0,
            diagonals: [0; REMEMBERED],
            distances_used: [1, 2, 4, 8],
            spelled: None,
        }
    }

    /// Bytes of heap that it takes, rounded up.
    pub(crate) const fn heap(models: Models) -> u64 {
        SMALL + NewBytes::heap(models) + WordModel::heap(models)
    }

    /// Starts a span at the place `base` in plain new, whose first byte is
    /// expected at `from` in plain old.
    pub(crate) fn reset(&mut self, base: u64, from: u64) {
        self.base = base;
        self.new_bytes.reset();
        self.words.reset();
        self.is_new.fill(Flag::new(1 << 15));
        self.kinds.reset();
        self.lengths.reset();
        self.earlier_lengths.reset();
        self.distances.reset();
        self.places.reset();
        self.offsets.reset();
        self.distance_of.reset();
        self.kind = (0, 0);
        (self.to, self.from, self.last) = (0, from, 0);
        self.diagonals = [from as i64; REMEMBERED];
        self.distances_used = [1, 2, 4, 8];
        self.spelled = None;
    }

    /// What comes next.
    pub(crate) fn kind<C: Coder>(&mut self, coder: &mut C, kind: Kind) -> Kind {
        let state = self.kind.0 * KINDS.len() + self.kind.1;
        let at = state * 4 + (self.to & 3) as usize;
        let is_new = match self.is_new.get_mut(at) {
            Some(flag) => flag.code(coder, kind == Kind::New),
            None => false,
        };
        let code = if is_new {
            0
        } else {
            Kind::in_tree(self.kinds.code(coder, 3, state, kind.code() as u32 & 7) as usize)
        };
        let kind = KINDS.get(code).copied().unwrap_or(Kind::New);
        self.kind = (code, self.kind.0);
        kind
    }

    /// A length of at least `least`.
    pub(crate) fn length<C: Coder>(
        &mut self,
        coder: &mut C,
        kind: Kind,
        least: u64,
        length: u64,
    ) -> u64 {
        self.lengths.code(coder, kind.code(), length.wrapping_sub(least)).saturating_add(least)
    }

    /// So many bytes that were made before, so far before.
    pub(crate) fn earlier<C: Coder>(
        &mut self,
        coder: &mut C,
        (length, distance): (u64, u64),
    ) -> (u64, u64) {
        let context = lengths_context(None, self.kind.1, self.to);
        let beyond = length.wrapping_sub(EARLIER_MIN);
        let beyond = self.earlier_lengths.code(coder, context, beyond);
        let context = beyond.min(3) as usize;
        let distance = self.distances.code(coder, context, distance.wrapping_sub(1));
        let distance = distance.saturating_add(1);
        self.distances_used.rotate_right(1);
        self.distances_used[0] = distance;
        (beyond.saturating_add(EARLIER_MIN), distance)
    }

    /// So many bytes at one of the distances used last, by its number.
    pub(crate) fn again<C: Coder>(
        &mut self,
        coder: &mut C,
        (length, number): (u64, usize),
    ) -> (u64, u64) {
        let before = self.kind.1;
        let number = self.distance_of.code(coder, 2, usize::from(before == 0), number as u32);
        let context = lengths_context(Some(number as usize), before, self.to);
        let beyond = self.earlier_lengths.code(coder, context, length.wrapping_sub(1));
        if let Some(used) = self.distances_used.get_mut(..=number as usize) {
            used.rotate_right(1);
        }
        (beyond.saturating_add(1), self.distances_used[0])
    }

    /// Goes to another place in old.
    pub(crate) fn jump<C: Coder>(&mut self, coder: &mut C, from: u64) {
        let diagonal = (from as i64).wrapping_sub(self.to as i64);
        let known = self.diagonals.iter().position(|known| *known == diagonal);
        let code = known.unwrap_or(REMEMBERED + usize::from(from < self.from));
        let code = self.places.code(coder, 3, self.kind.1, code as u32) as usize;
        let (here, to) = (self.from, self.to as i64);
        self.from = match self.diagonals.get(code) {
            Some(diagonal) => diagonal.wrapping_add(to).max(0) as u64,
            None if code == REMEMBERED => {
                here.saturating_add(self.offsets.code(coder, 0, from.wrapping_sub(here)))
            }
            None => here.saturating_sub(self.offsets.code(coder, 1, here.wrapping_sub(from))),
        };
    }

    /// Where the guess about the next byte is, after [`kind`](Self::kind) said
    /// that it is new.
    pub(crate) fn guess(&self) -> Guess {
        self.guess_after(self.kind.1 as u8, self.distances_used[0])
    }

    /// The same behind a kind, by number, and a distance.
    pub(crate) fn guess_after(&self, kind: u8, distance: u64) -> Guess {
        match kind {
            0 | 7 => Guess::None,
            5 | 6 => Guess::Earlier(distance),
            _ => Guess::Old(self.from),
        }
    }

    /// `count` bytes of old are taken from here: the diagonal is remembered.
    pub(crate) fn align(&mut self) {
        let diagonal = (self.from as i64).wrapping_sub(self.to as i64);
        let known = self.diagonals.iter().position(|known| *known == diagonal);
        if let Some(moved) = self.diagonals.get_mut(..=known.unwrap_or(REMEMBERED - 1)) {
            moved.rotate_right(1);
        }
        self.diagonals[0] = diagonal;
    }

    /// One new byte. `guess` is the byte where the last copy would go on.
    pub(crate) fn new_byte<C: Coder>(&mut self, coder: &mut C, guess: u8, byte: u8) -> u8 {
        let trust = self.guess().trust();
        let place = NewPlace { last: self.last, to: self.to as u32, guess, trust };
        let byte = self.new_bytes.code(&self.tables, coder, &place, byte);
        self.made(byte);
        byte
    }

    /// One byte of noise.
    pub(crate) fn noise<C: Coder>(&mut self, coder: &mut C, byte: u8) -> u8 {
        let byte = coder.direct(8, byte.into()) as u8;
        self.made(byte);
        byte
    }

    /// The next one to four bytes of a change. `old` are the four old bytes
    /// before the place and, above them, the eight from there.
    pub(crate) fn change<C: Coder>(
        &mut self,
        coder: &mut C,
        grid: Grid,
        old: u128,
        room: u64,
        new: u32,
    ) -> (u32, u32) {
        let to = self.base.saturating_add(self.to);
        let (from, to) = self.words.moves.addresses(self.from, to);
        let site = Site {
            old: (old >> 32) as u32,
            next: (old >> 64) as u32,
            before: old as u32,
            last: self.last as u32,
            from,
            to,
        };
        let (bytes, count) = match grid {
            Grid::Words => (self.words.word(&self.tables, coder, &site, new), 4),
            Grid::Bytes => self.words.bytes(&self.tables, coder, &site, room, new),
            Grid::Code => self.words.code(&self.tables, coder, &site, room, new),
        };
        (0..count).for_each(|at| self.made((bytes >> (8 * at)) as u8));
        self.from = self.from.saturating_add(count.into());
        if grid != Grid::Words {
            self.spelled(&site, bytes, count);
        }
        (bytes, count)
    }

    /// Notes changes in single bytes until four bytes of them can be learned.
    fn spelled(&mut self, site: &Site, bytes: u32, count: u32) {
        let changed = count == 1 && bytes != site.old & 0xff;
        let (first, known) = match self.spelled.take() {
            Some((first, known)) => (first, known + count),
            None if changed => (*site, 1),
            None => return,
        };
        if known < 4 {
            self.spelled = Some((first, known));
        } else if known == 4 {
            self.words.spelled(&first, (self.last as u32).swap_bytes());
        }
    }

    /// What the next step would cost, as the models are now.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn costs(&self) -> StepCosts {
        let number = |context, number| self.distance_of.cost(2, context, number as u32);
        StepCosts {
            lengths: LengthCosts::new(&self.earlier_lengths),
            distances: NumberCosts::new(&self.distances, [0, 1, 2, 3]),
            again: core::array::from_fn(|at| core::array::from_fn(|which| number(at, which))),
        }
    }

    /// What it would cost to say a kind `ahead` bytes from here, behind the last two kinds.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn kind_cost(&self, (last, before): Kinds, ahead: usize, kind: Kind) -> u32 {
        let state = usize::from(last) * KINDS.len() + usize::from(before);
        let at = state * 4 + ((self.to as usize + ahead) & 3);
        let is_new = self.is_new.get(at).map_or(0, |flag| flag.cost(kind == Kind::New));
        let which =
            if kind == Kind::New { 0 } else { self.kinds.cost(3, state, kind.code() as u32 & 7) };
        is_new + which
    }

    /// The last two kinds, the latest first.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn last_kinds(&self) -> Kinds {
        (self.kind.0 as u8, self.kind.1 as u8)
    }

    /// What a new byte would cost, if quick models know; `last` are the eight bytes before it.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn new_byte_cost(&self, place: &NewPlace, byte: u8) -> Option<u32> {
        self.new_bytes.cost(place, byte)
    }

    /// Codes a new byte at a place, compared with nothing, and only for itself.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn learn<C: Coder>(&mut self, coder: &mut C, at: u64, byte: u8) {
        let place = NewPlace { last: self.last, to: at as u32, guess: 0, trust: 0 };
        self.new_bytes.code(&self.tables, coder, &place, byte);
        self.last = self.last << 8 | u64::from(byte);
    }

    /// `count` bytes were copied, of which these were the last.
    pub(crate) fn copied(&mut self, count: u64, last: &[u8]) {
        self.to = self.to.saturating_add(count);
        last.iter().for_each(|byte| self.last = self.last << 8 | u64::from(*byte));
        self.spelled = None;
    }

    fn made(&mut self, byte: u8) {
        self.last = self.last << 8 | u64::from(byte);
        self.to = self.to.saturating_add(1);
    }
}
