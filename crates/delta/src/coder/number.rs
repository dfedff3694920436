//! Decisions and numbers with one opinion each.

use super::Coder;
use alloc::boxed::Box;
use alloc::vec;

/// 65536 / (n + 1.5).
const RATES: [u16; 32] = [
    43690, 26214, 18724, 14563, 11915, 10082, 8738, 7710, 6898, 6241, 5698, 5242, 4854, 4519, 4228,
    3971, 3744, 3542, 3360, 3196, 3048, 2912, 2788, 2674, 2570, 2473, 2383, 2299, 2221, 2148, 2080,
    2016,
];

/// One adaptive decision: fast at first, steady later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    one: u16,
    seen: u16,
}

impl Flag {
    /// A decision that is `true` with `one`/65536 at first.
    pub(crate) const fn new(one: u16) -> Self {
        Self { one, seen: 0 }
    }

    /// The probability of `true` in 1/65536.
    #[inline]
    pub(crate) fn one(self) -> u16 {
        self.one.clamp(16, 65519)
    }

    /// Learns.
    #[inline]
    pub(crate) fn learn(&mut self, bit: bool) {
        let target = if bit { 65535 } else { 0 };
        let rate = i32::from(RATES.get(usize::from(self.seen)).copied().unwrap_or(1));
        let one = i32::from(self.one);
        self.one = (one + ((((target - one) >> 1) * rate) >> 15)).clamp(0, 65535) as u16;
        self.seen = (self.seen + 1).min(30);
    }

    /// Codes and learns.
    #[inline]
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, bit: bool) -> bool {
        let bit = coder.bit(self.one(), bit);
        self.learn(bit);
        bit
    }
}

/// Symbols of a few bits, the highest bit first, each bit after those above it.
#[derive(Clone)]
pub(crate) struct Tree {
    flags: Box<[Flag]>,
    /// Bits of the largest symbol.
    bits: u32,
}

impl Tree {
    /// `contexts` trees of symbols with at most `bits` bits.
    pub(crate) fn new(bits: u32, contexts: usize) -> Self {
        Self { flags: vec![Flag::new(1 << 15); contexts << bits].into(), bits }
    }

    /// Codes a symbol of `bits` bits.
    #[inline]
    pub(crate) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        bits: u32,
        context: usize,
        symbol: u32,
    ) -> u32 {
        let mut node = 1usize;
        for at in (0..bits.min(self.bits)).rev() {
            let bit = symbol >> at & 1 == 1;
            let Some(flag) = self.flags.get_mut((context << self.bits) + node) else { return 0 };
            node = node << 1 | usize::from(flag.code(coder, bit));
        }
        node as u32 & ((1 << bits) - 1)
    }

    /// The decision at a node of a tree.
    #[cfg(any(test, feature = "diff"))]
    pub(super) fn flag(&self, context: usize, node: usize) -> Flag {
        let flag = self.flags.get((context << self.bits) + node);
        flag.copied().unwrap_or(Flag::new(1 << 15))
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.flags.fill(Flag::new(1 << 15));
    }
}

/// Numbers of any size: how many bits, then the upper three below the first
/// one, then the rest, of which the lowest two are modelled again because
/// lengths and distances like multiples of four.
#[derive(Clone)]
pub(crate) struct Number {
    pub(super) size: Tree,
    pub(super) upper: Tree,
    pub(super) lower: Tree,
}

/// Bits of the largest number.
pub(super) const BITS_MAX: u32 = 48;

impl Number {
    /// Numbers in `contexts` contexts.
    pub(crate) fn new(contexts: usize) -> Self {
        Self { size: Tree::new(6, contexts), upper: Tree::new(3, 64), lower: Tree::new(2, 8) }
    }

    /// Codes a number below 2^48.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, context: usize, value: u64) -> u64 {
        let wanted = 64 - value.leading_zeros();
        let size = self.size.code(coder, 6, context, wanted).min(BITS_MAX);
        if size < 2 {
            return size.into();
        }
        let below = size - 1;
        let upper = below.min(3);
        let mut read = 1u64;
        let bits = self.upper.code(coder, upper, size as usize, part(value, below - upper, upper));
        read = read << upper | u64::from(bits);
        let mut left = below - upper;
        while left > 2 {
            let count = (left - 2).min(16);
            read = read << count | u64::from(coder.direct(count, part(value, left - count, count)));
            left -= count;
        }
        if left > 0 {
            let bits = self.lower.code(coder, left, size.min(7) as usize, part(value, 0, left));
            read = read << left | u64::from(bits);
        }
        read
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.size.reset();
        self.upper.reset();
        self.lower.reset();
    }
}

/// Lengths, of which most are small: those below 8, those below 16, and the others.
#[derive(Clone)]
pub(crate) struct Lengths {
    /// Whether they are at least 8, and at least 16.
    pub(super) long: [Box<[Flag]>; 2],
    pub(super) short: [Tree; 2],
    pub(super) rest: Number,
}

impl Lengths {
    /// Lengths in `contexts` contexts.
    pub(crate) fn new(contexts: usize) -> Self {
        let flags = || vec![Flag::new(1 << 15); contexts].into();
        let tree = || Tree::new(3, contexts);
        let rest = Number::new(contexts);
        Self { long: [flags(), flags()], short: [tree(), tree()], rest }
    }

    /// Codes a length less the least one.
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, context: usize, beyond: u64) -> u64 {
        for (step, (long, short)) in (0..).zip(self.long.iter_mut().zip(&mut self.short)) {
            let wanted = beyond >= 8 * (step + 1);
            let long = long.get_mut(context).is_some_and(|flag| flag.code(coder, wanted));
            if !long {
                return 8 * step + u64::from(short.code(coder, 3, context, beyond as u32 & 7));
            }
        }
        self.rest.code(coder, context, beyond.wrapping_sub(16)).saturating_add(16)
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.long.iter_mut().for_each(|flags| flags.fill(Flag::new(1 << 15)));
        self.short.iter_mut().for_each(Tree::reset);
        self.rest.reset();
    }
}

/// `count` bits of `value` above the lowest `shift`.
fn part(value: u64, shift: u32, count: u32) -> u32 {
    (value >> shift & ((1 << count) - 1)) as u32
}
