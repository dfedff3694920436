//! The range coder of LZMA, in both directions.

use alloc::vec::Vec;

/// Below this a byte is shifted.
const TOP: u32 = 1 << 24;
/// Bits of a probability.
const BITS: u32 = 11;
/// How slowly one moves.
const SHIFT: u16 = 5;

/// Codes bits: an encoder those that it is given, a decoder others.
pub(crate) trait Coder {
    /// A bit of this probability to be false.
    fn bit(&mut self, probability: &mut u16, bit: bool) -> bool;
    /// So many bits of even odds, the highest first.
    fn direct(&mut self, count: u32, value: u32) -> u32;
}

fn learn(probability: &mut u16, bit: bool) {
    if bit {
        *probability -= *probability >> SHIFT;
    } else {
        *probability += ((1 << BITS) - *probability) >> SHIFT;
    }
}

/// Makes bytes.
pub(crate) struct Encoder {
    low: u64,
    range: u32,
    /// The last byte may still become one more ...
    cache: u8,
    /// ... with all that wait behind it.
    waiting: u64,
    /// What was made.
    pub(crate) out: Vec<u8>,
}

impl Encoder {
    /// Bytes that a decoder reads before the first bit.
    pub(crate) const START: usize = 5;

    pub(crate) fn new() -> Self {
        Self::with_capacity(0)
    }

    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let out = Vec::with_capacity(bytes);
        Self { low: 0, range: u32::MAX, cache: 0, waiting: 1, out }
    }

    /// Begins afresh; what was made stays.
    pub(crate) fn restart(&mut self) {
        let out = core::mem::take(&mut self.out);
        *self = Self { out, ..Self::new() };
    }

    /// Bytes that come out if nothing more is coded, beside those that did.
    pub(crate) fn pending(&self) -> u64 {
        self.waiting + 4
    }

    /// Gives out all that is held.
    pub(crate) fn flush(&mut self) {
        self.normalize();
        for _ in 0..Self::START {
            self.shift();
        }
    }

    #[inline]
    fn normalize(&mut self) {
        if self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    fn shift(&mut self) {
        let carry = (self.low >> 32) as u8;
        if self.low < 0xff00_0000 || carry != 0 {
            self.out.push(self.cache.wrapping_add(carry));
            for _ in 1..self.waiting {
                self.out.push(0xff_u8.wrapping_add(carry));
            }
            self.waiting = 0;
            self.cache = (self.low >> 24) as u8;
        }
        self.waiting += 1;
        self.low = (self.low & 0x00ff_ffff) << 8;
    }
}

impl Coder for Encoder {
    #[inline]
    fn bit(&mut self, probability: &mut u16, bit: bool) -> bool {
        self.normalize();
        let bound = (self.range >> BITS) * u32::from(*probability);
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        learn(probability, bit);
        bit
    }

    fn direct(&mut self, count: u32, value: u32) -> u32 {
        for place in (0..count).rev() {
            self.normalize();
            self.range >>= 1;
            if value >> place & 1 == 1 {
                self.low += u64::from(self.range);
            }
        }
        value
    }
}

/// Where a decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    range: u32,
    code: u32,
}

impl Point {
    /// Behind the first five bytes.
    pub(crate) fn new(start: [u8; Encoder::START]) -> Option<Self> {
        let [zero, code @ ..] = start;
        (zero == 0).then_some(Self { range: u32::MAX, code: u32::from_be_bytes(code) })
    }

    /// The end of a stream may have one more byte.
    pub(crate) fn needs_byte(self) -> bool {
        self.range < TOP
    }

    /// Takes that byte.
    pub(crate) fn take(&mut self, byte: u8) {
        self.range <<= 8;
        self.code = self.code << 8 | u32::from(byte);
    }

    /// A stream may end here.
    pub(crate) fn is_end(self) -> bool {
        self.code == 0
    }
}

/// Reads bits; in a dry run nothing is learned of them.
pub(crate) struct Decoder<'a, const DRY: bool> {
    /// Where it is.
    pub(crate) point: Point,
    bytes: &'a [u8],
    /// Bytes that were read.
    pub(crate) at: usize,
    /// More were needed than there are.
    pub(crate) is_beyond: bool,
}

impl<'a, const DRY: bool> Decoder<'a, DRY> {
    pub(crate) fn new(point: Point, bytes: &'a [u8]) -> Self {
        Self { point, bytes, at: 0, is_beyond: false }
    }

    #[inline]
    fn normalize(&mut self) {
        if self.point.needs_byte() {
            let byte = self.bytes.get(self.at);
            self.is_beyond |= byte.is_none();
            self.at += 1;
            self.point.take(byte.copied().unwrap_or(0));
        }
    }
}

impl<const DRY: bool> Coder for Decoder<'_, DRY> {
    #[inline]
    fn bit(&mut self, probability: &mut u16, _: bool) -> bool {
        self.normalize();
        let bound = (self.point.range >> BITS) * u32::from(*probability);
        let bit = self.point.code >= bound;
        if bit {
            self.point.code -= bound;
            self.point.range -= bound;
        } else {
            self.point.range = bound;
        }
        if !DRY {
            learn(probability, bit);
        }
        bit
    }

    fn direct(&mut self, count: u32, _: u32) -> u32 {
        let mut value = 0;
        for _ in 0..count {
            self.normalize();
            self.point.range >>= 1;
            let bit = self.point.code >= self.point.range;
            if bit {
                self.point.code -= self.point.range;
            }
            value = value << 1 | u32::from(bit);
        }
        value
    }
}
