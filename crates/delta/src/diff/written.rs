//! A patch that was written: where its bytes went, and what it takes.

use super::Explanation;
use super::price::Prices;
use alloc::vec::Vec;
use std::collections::HashSet;

/// Bytes of memory that writing takes for so many bytes of plain new at most: a
/// link and a price for each that nothing old explains, the patch, which grows by
/// doubling, and models.
pub(crate) fn memory(new: usize) -> u64 {
    (new as u64).saturating_mul(8).saturating_add(24 << 20)
}

/// A patch, and what it tells of itself.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) explanation: Explanation,
    pub(crate) prices: Prices,
    /// Where streams are that are tried shut, too.
    pub(crate) doubtful: HashSet<u64>,
    /// What applying it decodes of old streams, from its beginning to its end.
    pub(crate) decoded: u64,
}

impl Written {
    pub(crate) fn or_shorter(self, other: Self) -> Self {
        if other.bytes.len() < self.bytes.len() { other } else { self }
    }
}

/// 1/16 bits of a byte.
const BYTE: u64 = 128;

impl Explanation {
    /// From 1/16 bits to bytes, of a patch of so many bytes.
    pub(super) fn in_bytes(mut self, size: usize) -> Self {
        let symbols =
            [&mut self.choices, &mut self.control, &mut self.changes, &mut self.new_bytes];
        symbols.into_iter().for_each(|part| *part /= BYTE);
        self.lists = (size as u64).saturating_sub(self.bytes());
        self
    }
}
