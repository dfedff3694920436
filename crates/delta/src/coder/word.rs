//! Old bytes that mostly stay, and how those that do not are guessed.
//!
//! Code and tables change where they hold addresses. What one reference to a
//! place became tells what the others become: an old word is looked up by its
//! value, by the place that it would refer to if it were relative, and by the
//! neighbourhoods of both. Nothing here knows a processor: a guess that does
//! not come true costs a small part of a bit after a few times.

use super::arm64::{Pages, Place};
use super::byte::ByteModel;
use super::half::HalfModel;
use super::logistic::{Mixer, Tables};
use super::moves::Moves;
use super::number::Flag;
use super::site::{Grid, Site, apply, difference, place};
use super::x86::operand;
use super::{Coder, Models, Pace};
use alloc::{boxed::Box, vec};

/// What was learned about one key.
#[derive(Clone, Copy, Default)]
struct Entry {
    tag: u16,
    /// How often it came true, 1 to 4; 0: empty.
    trust: u16,
    value: u32,
}

/// Guesses, in the order of this list when they are equally good.
const KINDS: usize = 10;
const STAYS: usize = 0;
const SAME_VALUE: usize = 1;
const SAME_PLACE: usize = 2;
const NEAR_PLACE: usize = 3;
const NEAR_VALUE: usize = 4;
/// From here on nothing is learned: moves are known.
const INSTRUCTION: usize = 6;
const RELATIVE: usize = 7;
const ABSOLUTE: usize = 8;
const OFFSET: usize = 9;

/// Kinds of which entries are kept.
const LEARNED: usize = INSTRUCTION;

/// A guess: the new word, and how much the entry is trusted.
type Guess = Option<(u32, usize)>;

/// What judges decisions.
enum Judges {
    Mixed { hits: Mixer<5>, same: Mixer<6>, bytes: ByteModel<6> },
    Quick { hits: Mixer<3>, same: Mixer<3>, bytes: HalfModel<3> },
}

impl Judges {
    fn new(models: Models) -> Self {
        let bits = u32::from(models.log);
        match models.pace {
            Pace::Mixed => Self::Mixed {
                hits: Mixer::new(bits + 1, KINDS * 3, 14, 6),
                same: Mixer::new(bits + 1, 2, 14, 3),
                bytes: ByteModel::new(bits - 3, 8, 14, 6),
            },
            Pace::Quick => Self::Quick {
                hits: Mixer::new(bits + 1, 0, 14, 0),
                same: Mixer::new(bits + 1, 0, 14, 0),
                bytes: HalfModel::new(bits - 3),
            },
        }
    }

    /// Bytes of heap that they take.
    const fn heap(models: Models) -> u64 {
        let (hits, bytes) = (models.log as u32 + 1, models.log as u32 - 3);
        match models.pace {
            Pace::Mixed => {
                Mixer::<5>::heap(hits) + Mixer::<6>::heap(hits) + ByteModel::<6>::heap(bytes)
            }
            Pace::Quick => 2 * Mixer::<3>::heap(hits) + HalfModel::<3>::heap(bytes),
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Mixed { hits, same, bytes } => {
                hits.reset();
                same.reset();
                bytes.reset();
            }
            Self::Quick { hits, same, bytes } => {
                hits.reset();
                same.reset();
                bytes.reset();
            }
        }
    }
}

/// The model of aligned bytes.
pub(crate) struct WordModel {
    /// What was learned, `2^entries_log` entries for each kind of guess.
    entries: Box<[Entry]>,
    entries_log: u32,
    rates: Box<[Flag]>,
    judges: Judges,
    /// What the last words turned out to be, two bits each.
    history: u32,
    /// The last change that no guess knew.
    change: u32,
    pub(super) moves: Moves,
    pages: Pages,
}

impl WordModel {
    /// A fresh model that knows of `moves`.
    pub(crate) fn new(models: Models, moves: Moves) -> Self {
        let entries_log = u32::from(models.log) - 1;
        Self {
            entries: vec![Entry::default(); LEARNED << entries_log].into(),
            entries_log,
            rates: vec![Flag::new(1 << 15); KINDS * 5 * 32].into(),
            judges: Judges::new(models),
            history: 0,
            change: 0,
            moves,
            pages: Pages::NONE,
        }
    }

    /// Bytes of heap that its tables take.
    pub(crate) const fn heap(models: Models) -> u64 {
        let entries = (LEARNED * size_of::<Entry>()) as u64 * (1 << (models.log - 1));
        entries + Judges::heap(models)
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.entries.fill(Entry::default());
        self.rates.fill(Flag::new(1 << 15));
        self.judges.reset();
        (self.history, self.change) = (0, 0);
        self.pages = Pages::NONE;
    }

    /// Codes the four new bytes at a site on the grid of words.
    pub(crate) fn word<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        new: u32,
    ) -> u32 {
        let quick = matches!(self.judges, Judges::Quick { .. });
        if quick && self.word_stays(tables, coder, site, new == site.old) {
            self.history <<= 2;
            return site.old;
        }
        let mut guesses = self.guesses(site, Grid::Words);
        self.follow_moves(site, &mut guesses);
        if quick {
            guesses = guesses.map(|guess| guess.filter(|(word, _)| *word != site.old));
        }
        let (read, outcome) = match self.choose(tables, coder, site, &guesses, new) {
            Some((word, kind)) => (word, if kind == STAYS { 0 } else { 1 }),
            None => {
                let read = self.spell(tables, coder, site, 4, new);
                self.change = read.wrapping_sub(site.old);
                (read, 2)
            }
        };
        self.learn(site, Grid::Words, &guesses, read);
        self.history = self.history << 2 | outcome;
        read
    }

    /// Says that a word stays before anything else is asked about it.
    fn word_stays<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        stays: bool,
    ) -> bool {
        let (top, recent) = (site.old >> 24, self.history & 0xf);
        let at = [hash(top << 4 | recent, 7), hash(site.old >> 10, 8), hash(site.old, 9)];
        match &mut self.judges {
            Judges::Mixed { .. } => stays,
            Judges::Quick { same, .. } => same.code(tables, coder, at, 0, stays),
        }
    }

    /// Adds what the moves of pieces say about a word.
    fn follow_moves(&mut self, site: &Site, guesses: &mut [Guess; KINDS]) {
        if self.moves.is_empty() {
            return;
        }
        let (from, to) = (site.from, site.to);
        let place = Place { from, to, next: site.next };
        let sure = |word| (word, 1);
        guesses[INSTRUCTION] = self.pages.translate(&self.moves, site.old, place).map(sure);
        guesses[RELATIVE] = self.moves.relative(site.old, from, to).map(sure);
        guesses[ABSOLUTE] = self.moves.absolute(self.moves.base(), site.old).map(sure);
        guesses[OFFSET] = self.moves.absolute(0, site.old).map(sure);
    }

    /// Codes one new byte, or four when a guess about them is true: returns
    /// them and how many they are. `room` is how many there may be.
    pub(crate) fn bytes<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        room: u64,
        new: u32,
    ) -> (u32, u32) {
        let stays = (new ^ site.old) & 0xff == 0;
        if self.same(tables, coder, site, stays) {
            self.history <<= 1;
            return (site.old & 0xff, 1);
        }
        self.history = self.history << 1 | 1;
        if room < 4 {
            return (self.spell(tables, coder, site, 1, new), 1);
        }
        let guesses = self
            .guesses(site, Grid::Bytes)
            .map(|guess| guess.filter(|(word, _)| (word ^ site.old) & 0xff != 0));
        match self.choose(tables, coder, site, &guesses, new) {
            Some((word, _)) => {
                self.learn(site, Grid::Bytes, &guesses, word);
                self.history <<= 3;
                (word, 4)
            }
            None => (self.spell(tables, coder, site, 1, new), 1),
        }
    }

    /// Codes one new byte, or the four that an instruction of x86 holds as an address.
    pub(crate) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        room: u64,
        new: u32,
    ) -> (u32, u32) {
        let holds = operand(&self.moves, site.before, site.old)
            .filter(|_| room >= 4 && site.last & 0xff == site.before >> 24);
        let Some(operand) = holds else { return self.bytes(tables, coder, site, room, new) };
        let mut guesses = self.guesses(site, Grid::Code);
        let moved = operand.translate(&self.moves, site.old, site.from, site.to);
        guesses[INSTRUCTION] = moved.map(|word| (word, 1));
        let read = match self.choose(tables, coder, site, &guesses, new) {
            Some((word, _)) => {
                self.history <<= 1;
                word
            }
            None => {
                self.history = self.history << 1 | 1;
                self.spell(tables, coder, site, 4, new)
            }
        };
        self.learn(site, Grid::Code, &guesses, read);
        (read, 4)
    }

    /// Learns a change of four bytes that was spelled byte by byte.
    pub(crate) fn spelled(&mut self, site: &Site, new: u32) {
        let guesses = self.guesses(site, Grid::Bytes);
        self.learn(site, Grid::Bytes, &guesses, new);
    }

    fn same<C: Coder>(&mut self, tables: &Tables, coder: &mut C, site: &Site, stays: bool) -> bool {
        let (before, recent) = (site.before >> 24, self.history & 0xff);
        let at = [
            hash(site.before >> 16 << 8 | site.old & 0xff, 1),
            hash(recent << 8 | self.history.trailing_zeros().min(31), 2),
            hash(before << 16 | (site.old & 0xff) << 8 | recent & 0xf, 3),
            hash(site.old, 4),
            hash(site.before, 5),
            hash(site.old.wrapping_add(site.from as u32), 6),
        ];
        let set = usize::from(recent != 0);
        match &mut self.judges {
            Judges::Mixed { same, .. } => same.code(tables, coder, at, set, stays),
            Judges::Quick { same, .. } => {
                let [two, recent, _, word, ..] = at;
                same.code(tables, coder, [recent, two, word], set, stays)
            }
        }
    }

    /// What each kind of knowledge says about a site.
    fn guesses(&self, site: &Site, grid: Grid) -> [Guess; KINDS] {
        let mut guesses = [None; KINDS];
        for (kind, guess) in guesses.iter_mut().enumerate() {
            if kind == STAYS || kind >= LEARNED {
                *guess = (kind == STAYS).then_some((site.old, 0));
                continue;
            }
            let (at, tag) = self.key(kind, site, grid);
            let entry = self.entries.get(at).copied().unwrap_or_default();
            if entry.trust > 0 && entry.tag == tag {
                *guess =
                    Some((apply(is_relative(kind), site, grid, entry.value), entry.trust.into()));
            }
        }
        guesses
    }

    /// Tries the guesses, the likeliest first. Returns the true one.
    fn choose<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        guesses: &[Guess; KINDS],
        new: u32,
    ) -> Option<(u32, usize)> {
        let mut left = *guesses;
        for rank in 0..KINDS {
            let (kind, word, trust) = self.likeliest(site, &left)?;
            let mut agree = 0u32;
            for (other, guess) in left.iter_mut().enumerate() {
                if guess.is_some_and(|(other, _)| other == word) {
                    agree |= 1 << other;
                    *guess = None;
                }
            }
            let present = left.iter().fold(0, |sum, guess| sum << 1 | u32::from(guess.is_some()));
            let kind_trust = (kind as u32) << 3 | trust as u32;
            let (top, high) = (site.old >> 24, site.old >> 16);
            let at = [
                hash(top << 8 | kind_trust, 1),
                hash((agree << 10 | present) << 8 | kind_trust, 2),
                hash((self.history & 0xff) << 8 | kind_trust, 3),
                hash(site.old, 4 + kind as u32),
                hash((high << 8 | site.before >> 24) << 3 | kind as u32, 11),
            ];
            let set = kind * 3 + rank.min(2);
            let hit = match &mut self.judges {
                Judges::Mixed { hits, .. } => hits.code(tables, coder, at, set, word == new),
                Judges::Quick { hits, .. } => {
                    let [_, agree, history, word_of, _] = at;
                    hits.code(tables, coder, [history, agree, word_of], set, word == new)
                }
            };
            if hit {
                return Some((word, kind));
            }
        }
        None
    }

    /// The guess with the best record: its kind, its word, its trust.
    fn likeliest(&self, site: &Site, left: &[Guess; KINDS]) -> Option<(usize, u32, usize)> {
        let mut best = None;
        let mut highest = 0;
        for (kind, guess) in left.iter().enumerate() {
            let Some((word, trust)) = *guess else { continue };
            let rate = self.rates.get(rate(kind, trust, site)).map_or(0, |flag| flag.one());
            if best.is_none() || rate > highest {
                (best, highest) = (Some((kind, word, trust)), rate);
            }
        }
        best
    }

    /// Codes `count` bytes as differences.
    fn spell<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        site: &Site,
        count: u32,
        new: u32,
    ) -> u32 {
        let top = site.old >> 24;
        let mut read = 0u32;
        let (mut last, mut changed) = (site.last, 0u32);
        for k in 0..count {
            let old = site.old >> (8 * k) & 0xff;
            let place = if count == 1 { 4 } else { k };
            let recent = self.change >> (8 * k) & 0xff;
            let contexts = [
                place << 16 | changed & 0xffff | 1 << 28,
                place << 16 | old << 8 | if count == 1 { last & 0xff } else { top } | 2 << 28,
                place << 24 | (last & 0xff) << 8 | old | 3 << 28,
                place << 24 | (last & 0xffff) << 8 | old | 4 << 28,
                place << 24 | recent << 8 | top | 5 << 28,
                place << 24 | (site.before >> 16).wrapping_mul(0x3d4d_51cb) >> 8 ^ old | 6 << 28,
            ];
            let wanted = (new >> (8 * k)).wrapping_sub(old) as u8;
            let set = place as usize;
            let difference = match &mut self.judges {
                Judges::Mixed { bytes, .. } => bytes.code(tables, coder, &contexts, set, wanted),
                Judges::Quick { bytes, .. } => {
                    let [_, kind, near, ..] = contexts;
                    let any = place | 7 << 28;
                    bytes.code(coder, &[any, kind, near], wanted)
                }
            };
            let byte = u32::from(difference).wrapping_add(old) & 0xff;
            read |= byte << (8 * k);
            last = last << 8 | byte;
            changed = changed << 8 | u32::from(difference);
        }
        if count == 1 {
            self.change = self.change << 8 | changed;
        }
        read
    }

    /// Learns what a site became.
    fn learn(&mut self, site: &Site, grid: Grid, guesses: &[Guess; KINDS], new: u32) {
        for (kind, guess) in guesses.iter().enumerate() {
            let right = guess.is_some_and(|(word, _)| word == new);
            if let Some((_, trust)) = *guess
                && let Some(flag) = self.rates.get_mut(rate(kind, trust, site))
            {
                flag.learn(right);
            }
            // What never changed is no knowledge worth a place.
            if kind == STAYS || kind >= LEARNED || guess.is_none() && new == site.old {
                continue;
            }
            let (at, tag) = self.key(kind, site, grid);
            if let Some(entry) = self.entries.get_mut(at) {
                if right {
                    entry.trust = (entry.trust + 1).min(4);
                } else {
                    *entry = Entry {
                        tag,
                        trust: 1,
                        value: difference(is_relative(kind), site, grid, new),
                    };
                }
            }
        }
    }

    /// The entry of a site, and what tells it from others in the same entry.
    fn key(&self, kind: usize, site: &Site, grid: Grid) -> (usize, u16) {
        let value = match kind {
            SAME_VALUE => site.old,
            NEAR_VALUE => site.old >> 8,
            SAME_PLACE => place(site, grid),
            NEAR_PLACE => place(site, grid) >> if grid == Grid::Words { 6 } else { 8 },
            _ => site.old >> 24,
        };
        let mixed = (value ^ (kind as u32) << 29).wrapping_mul(0x9e37_79b1);
        let mixed = mixed ^ mixed >> 16;
        let at = mixed.wrapping_mul(0x7feb_352d) >> (32 - self.entries_log);
        ((kind << self.entries_log) + at as usize, mixed as u16)
    }
}

/// Where the record of a guess of this kind is kept.
fn rate(kind: usize, trust: usize, site: &Site) -> usize {
    (kind * 5 + trust) * 32 + (site.old >> 27) as usize
}

/// What this kind knows is about where words refer to.
const fn is_relative(kind: usize) -> bool {
    matches!(kind, SAME_PLACE | NEAR_PLACE)
}

/// The slot for a number.
fn hash(value: u32, kind: u32) -> usize {
    let mixed = (value ^ kind << 27).wrapping_mul(0x9e37_79b1);
    ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 12) as usize
}
