//! Packets of LZMA (`lzma-specification.txt` of the LZMA SDK): literals and matches, and
//! how each is coded in the context of those before it.
//!
//! Which packets describe a content is an encoder's choice; how they are coded is not.
//! Encoding and decoding are one description with two coders.

pub(crate) mod branch;
pub(crate) mod range;
pub(crate) mod window;

use crate::sequences::Sequence;
use alloc::vec::Vec;
use range::Coder;

/// What an encoder chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    Literal(u8),
    /// As many bytes from one more than `distance` before.
    Match {
        distance: u32,
        length: u32,
    },
    /// The same with one of the last four distances.
    Repeat {
        which: usize,
        length: u32,
    },
    /// One byte with the last distance.
    Short,
}

/// The shortest and the longest match.
pub(crate) const LENGTH_MIN: u32 = 2;
pub(crate) const LENGTH_MAX: u32 = 273;

/// The distance that says: the content ends.
pub(crate) const END: u32 = u32::MAX;

/// The most bytes that a packet takes of a stream, and some.
pub(crate) const PACKET_MAX: usize = 24;

impl Packet {
    /// Bytes of content.
    pub(crate) fn length(self) -> u32 {
        match self {
            Self::Literal(_) | Self::Short => 1,
            Self::Match { length, .. } | Self::Repeat { length, .. } => length,
        }
    }

    /// A match behind so many literals as a sequence: lengths are two more, so that those of
    /// one byte are none; offset 1 is the last of the four distances, 2 the nearest place.
    pub(crate) fn told(self, literals: u32) -> Sequence {
        let (offset, repeat) = match self {
            Self::Literal(_) => (0, 0),
            Self::Match { distance, .. } => (distance.saturating_add(2), 0),
            Self::Repeat { which: 3, .. } => (1, 0),
            Self::Repeat { which, .. } => (0, which as u32 + 1),
            Self::Short => (0, 1),
        };
        Sequence { offset, literals, length: self.length() + 2, repeat }
    }

    /// The match of a sequence; none where one is impossible.
    pub(crate) fn of(sequence: &Sequence) -> Option<Self> {
        let length = sequence.length.checked_sub(2)?;
        (length <= LENGTH_MAX).then_some(())?;
        match (sequence.repeat, sequence.offset, length) {
            (1, _, 1) => Some(Self::Short),
            (_, _, 0 | 1) => None,
            (0, 1, _) => Some(Self::Repeat { which: 3, length }),
            (0, offset, _) => Some(Self::Match { distance: offset.checked_sub(2)?, length }),
            (repeat, ..) => Some(Self::Repeat { which: repeat as usize - 1, length }),
        }
    }
}

/// How literals and places are looked at: lc, lp and pb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Properties {
    pub(crate) lc: u8,
    pub(crate) lp: u8,
    pub(crate) pb: u8,
}

impl Properties {
    /// Those that a byte states.
    pub(crate) fn of(byte: u8) -> Option<Self> {
        let properties = Self { lc: byte % 9, lp: byte / 9 % 5, pb: byte / 45 };
        properties.are_sound().then_some(properties)
    }

    /// The byte that states them.
    pub(crate) fn byte(self) -> u8 {
        (self.pb * 5 + self.lp) * 9 + self.lc
    }

    /// As LZMA2 has them, and all programs keep to that: 24 KiB of literals at most.
    pub(crate) fn are_sound(self) -> bool {
        self.lc <= 4 && self.lp <= 4 - self.lc && self.pb <= 4
    }
}

/// Kinds of places.
const STATES: usize = 12;
const POSITIONS: usize = 16;

/// Where in one table probabilities are.
const MATCHES: usize = 0;
const REPEATS: usize = MATCHES + STATES * POSITIONS;
const OLDER: [usize; 3] = [REPEATS + STATES, REPEATS + 2 * STATES, REPEATS + 3 * STATES];
const LONGER: usize = REPEATS + 4 * STATES;
const SLOTS: usize = LONGER + STATES * POSITIONS;
const MIDDLE: usize = SLOTS + 4 * 64;
const ALIGNED: usize = MIDDLE + 128;
const LENGTHS: usize = ALIGNED + 16;
const REPEAT_LENGTHS: usize = LENGTHS + LENGTH;
const LITERALS: usize = REPEAT_LENGTHS + LENGTH;

/// Probabilities of a length: two choices, two sets of eight for each place, and the rest.
const LENGTH: usize = 2 + 2 * POSITIONS * 8 + 256;
/// Probabilities of a literal in one context.
const LITERAL: usize = 0x300;

/// Even odds.
const EVEN: u16 = 1 << 10;

/// Where a packet stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Bytes of content since the dictionary was reset.
    pub(crate) position: u32,
    /// The byte before.
    pub(crate) last: u8,
    /// The byte at the last distance.
    pub(crate) matched: u8,
}

/// What is remembered of the packets so far.
pub(crate) struct Model {
    properties: Properties,
    probabilities: Vec<u16>,
    state: usize,
    repeats: [u32; 4],
}

impl Model {
    /// Bytes of heap that the largest takes.
    pub(crate) const HEAP: u64 = 2 * (LITERALS + (LITERAL << 4)) as u64;

    pub(crate) fn new(properties: Properties) -> Self {
        let literals = LITERAL << (properties.lc + properties.lp).min(4);
        let probabilities = alloc::vec![EVEN; LITERALS + literals];
        Self { properties, probabilities, state: 0, repeats: [0; 4] }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.probabilities.fill(EVEN);
        (self.state, self.repeats) = (0, [0; 4]);
    }

    pub(crate) fn properties(&self) -> Properties {
        self.properties
    }

    /// The last distance, less one.
    pub(crate) fn last_distance(&self) -> u32 {
        self.repeats[0]
    }

    /// A literal depends on the byte at the last distance.
    pub(crate) fn is_behind_match(&self) -> bool {
        self.state >= 7
    }

    /// Codes the next packet; an encoder's is `wanted`.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, place: Place, wanted: Packet) -> Packet {
        let (state, here) = (self.state, self.here(place));
        let is_literal = matches!(wanted, Packet::Literal(_));
        if !self.bit(coder, MATCHES + state * POSITIONS + here, !is_literal) {
            let byte = if let Packet::Literal(byte) = wanted { byte } else { 0 };
            return Packet::Literal(self.literal(coder, place, byte));
        }
        let repeats = matches!(wanted, Packet::Repeat { .. } | Packet::Short);
        let length = wanted.length();
        if self.bit(coder, REPEATS + state, repeats) {
            return self.repeat(coder, here, wanted);
        }
        let distance = if let Packet::Match { distance, .. } = wanted { distance } else { 0 };
        let length = self.length(coder, LENGTHS, here, length);
        Packet::Match { distance: self.distance(coder, length, distance), length }
    }

    /// A packet was coded: what follows is coded in its context.
    #[inline]
    pub(crate) fn follow(&mut self, packet: Packet) {
        let behind = |literal, other| if self.state < 7 { literal } else { other };
        match packet {
            Packet::Literal(_) => {
                self.state -= match self.state {
                    0..4 => self.state,
                    4..10 => 3,
                    _ => 6,
                };
            }
            Packet::Match { distance, .. } => {
                self.state = behind(7, 10);
                let [first, second, third, _] = self.repeats;
                self.repeats = [distance, first, second, third];
            }
            Packet::Repeat { which, .. } => {
                self.state = behind(8, 11);
                if let Some(moved) = self.repeats.get_mut(..=which) {
                    moved.rotate_right(1);
                }
            }
            Packet::Short => self.state = behind(9, 11),
        }
    }

    fn here(&self, place: Place) -> usize {
        place.position as usize & ((1 << self.properties.pb) - 1)
    }

    #[inline]
    fn bit<C: Coder>(&mut self, coder: &mut C, at: usize, bit: bool) -> bool {
        match self.probabilities.get_mut(at) {
            Some(probability) => coder.bit(probability, bit),
            None => false,
        }
    }

    /// A number of so many bits, the highest first.
    #[inline]
    fn tree<C: Coder>(&mut self, coder: &mut C, at: usize, bits: u32, value: u32) -> u32 {
        let mut node = 1usize;
        for place in (0..bits).rev() {
            let bit = self.bit(coder, at + node, value >> place & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        node as u32 - (1 << bits)
    }

    /// The same, the lowest first.
    #[inline]
    fn reverse<C: Coder>(&mut self, coder: &mut C, at: usize, bits: u32, value: u32) -> u32 {
        let (mut node, mut out) = (1usize, 0);
        for place in 0..bits {
            let bit = self.bit(coder, at + node, value >> place & 1 == 1);
            node = node << 1 | usize::from(bit);
            out |= u32::from(bit) << place;
        }
        out
    }

    #[inline]
    fn literal<C: Coder>(&mut self, coder: &mut C, place: Place, byte: u8) -> u8 {
        let Properties { lc, lp, .. } = self.properties;
        let before = u32::from(place.last) >> (8 - lc);
        let context = (place.position & ((1 << lp) - 1)) << lc | before;
        let at = LITERALS + LITERAL * context as usize;
        if self.state < 7 {
            return self.tree(coder, at, 8, byte.into()) as u8;
        }
        // As long as the byte is that at the last distance, bits are coded apart.
        let (mut node, mut alike, mut matched) = (1usize, 0x100, usize::from(place.matched));
        for shift in (0..8).rev() {
            matched <<= 1;
            let bit =
                self.bit(coder, at + alike + (matched & alike) + node, byte >> shift & 1 == 1);
            node = node << 1 | usize::from(bit);
            alike &= if bit { matched } else { !matched };
        }
        node as u8
    }

    fn repeat<C: Coder>(&mut self, coder: &mut C, here: usize, wanted: Packet) -> Packet {
        let state = self.state;
        let (wanted_which, wanted_length) = match wanted {
            Packet::Repeat { which, length } => (which, length),
            _ => (0, 1),
        };
        let mut which = 0;
        for (number, older) in OLDER.into_iter().enumerate() {
            if !self.bit(coder, older + state, wanted_which > number) {
                break;
            }
            which = number + 1;
        }
        let longer = LONGER + state * POSITIONS + here;
        if which == 0 && !self.bit(coder, longer, wanted_length > 1) {
            return Packet::Short;
        }
        let length = self.length(coder, REPEAT_LENGTHS, here, wanted_length);
        Packet::Repeat { which, length }
    }

    fn length<C: Coder>(&mut self, coder: &mut C, at: usize, here: usize, length: u32) -> u32 {
        let more = length.saturating_sub(LENGTH_MIN);
        let trees = at + 2;
        let more = if !self.bit(coder, at, more >= 8) {
            self.tree(coder, trees + here * 8, 3, more)
        } else if !self.bit(coder, at + 1, more >= 16) {
            8 + self.tree(coder, trees + (POSITIONS + here) * 8, 3, more.saturating_sub(8))
        } else {
            16 + self.tree(coder, trees + 2 * POSITIONS * 8, 8, more.saturating_sub(16))
        };
        LENGTH_MIN + more
    }

    fn distance<C: Coder>(&mut self, coder: &mut C, length: u32, distance: u32) -> u32 {
        let class = length.saturating_sub(LENGTH_MIN).min(3) as usize;
        let wanted = match distance {
            0..4 => distance,
            _ => {
                let high = distance.ilog2();
                2 * high + (distance >> (high - 1) & 1)
            }
        };
        let slot = self.tree(coder, SLOTS + class * 64, 6, wanted);
        if slot < 4 {
            return slot;
        }
        let bits = (slot >> 1) - 1;
        let base = (2 | slot & 1) << bits;
        let rest = distance.wrapping_sub(base);
        if slot < 14 {
            let at = MIDDLE + (base - slot) as usize;
            return base + self.reverse(coder, at, bits, rest);
        }
        let high = coder.direct(bits - 4, rest >> 4) << 4;
        base.wrapping_add(high).wrapping_add(self.reverse(coder, ALIGNED, 4, rest & 15))
    }
}

#[cfg(test)]
mod tests;
