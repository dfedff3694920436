//! Slots, effects of components, and how often a bootloader tries.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// One of the two banks of an A/B device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// The first bank.
    A,
    /// The second bank.
    B,
}

impl Slot {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The bank that is not this one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

impl FromStr for Slot {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            _ => Err("a slot is A or B"),
        }
    }
}

/// How a component comes into force, and whether it can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Written to the bank that does not run; comes into force with a boot; reversible.
    Slot,
    /// Staged beside what runs, switched and switched back without a boot.
    Live,
    /// Has no second copy: applied last, after the rest is confirmed; cannot go back.
    Direct,
}

/// How often the bootloader tries a new slot before it returns to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// It counts down from a number that the agent sets.
    Counted(u8),
    /// It tries once; the agent re-arms it from the old slot.
    Single,
}
