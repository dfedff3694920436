//! How a span's decisions become bytes, once for both ends.
//!
//! Everything is a decision, binary or about half a byte, with probabilities that
//! adapt. A function here takes the value to write and returns the value that was
//! read; the encoder reads what it writes, the decoder ignores what it is given. So
//! the two ends cannot drift apart. Integers only: the same on every processor.

mod arm64;
mod byte;
#[cfg(any(test, feature = "diff"))]
mod cost;
mod half;
mod logistic;
mod moves;
mod number;
mod range;
mod site;
mod space;
mod symbols;
mod word;
mod x86;

pub(crate) use moves::{MOVES_BYTES_MAX, Moves};
pub(crate) use number::{Number, Tree};
pub(crate) use range::{Coder, Decoder};
#[cfg(any(test, feature = "diff"))]
pub(crate) use range::{Encoder, Meter};
pub(crate) use site::Grid;
pub(crate) use space::Space;
pub(crate) use symbols::{Guess, Kind, Symbols};
#[cfg(any(test, feature = "diff"))]
pub(crate) use {
    arm64::{Pages, Place},
    byte::NewPlace,
    moves::MOVES_MAX,
    space::REGIONS_MAX,
    symbols::{EARLIER_MIN, Kinds, REMEMBERED, StepCosts},
    x86::{Operand, operand},
};

/// How decisions are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// By five or six opinions, mixed with weights that learn: the fewest bytes.
    Mixed,
    /// By three opinions, blended, bytes in halves: several times as fast.
    Quick,
}

/// The models of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Models {
    /// How large their tables are, as a power of two.
    pub log: u8,
    /// How they judge.
    pub pace: Pace,
}
