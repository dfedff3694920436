//! The range coder: 32 bits of range, carries resolved by the encoder.

use super::half::{Curve, SHARES, find, share};
use alloc::vec::Vec;

/// One end of the coder.
pub(crate) trait Coder {
    /// One decision. `one` is the probability of `true` in 1/65536, never 0.
    /// The encoder writes and returns `bit`, the decoder returns what it read.
    fn bit(&mut self, one: u16, bit: bool) -> bool;

    /// Half a byte, by the shares of each.
    fn half(&mut self, curve: &Curve, half: u8) -> u8;

    /// `count` ≤ 32 bits without a model, the highest first.
    fn direct(&mut self, count: u32, value: u32) -> u32 {
        (0..count)
            .rev()
            .fold(0, |sum, at| sum << 1 | u32::from(self.bit(HALF, value >> at & 1 == 1)))
    }
}

const HALF: u16 = 1 << 15;
/// The range never falls below this.
const BOTTOM: u32 = 1 << 24;

fn split(range: u32, one: u16) -> u32 {
    ((u64::from(range) * u64::from(one)) >> 16) as u32
}

/// What of the range lies below half a byte, and its own part: the last one has what
/// is left over.
#[inline(always)]
fn part(range: u32, curve: &Curve, half: u8) -> (u32, u32) {
    let unit = range >> SHARES;
    let below =
        unit * u32::from(curve.get(usize::from(half & 15)).copied().unwrap_or(0).unsigned_abs());
    let width = if half < 15 { unit * share(curve, half).unsigned_abs() } else { range - below };
    (below, width)
}

/// Reads decisions from a complete span.
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    range: u32,
    code: u32,
}

impl Decoder {
    /// Starts on `bytes`; behind their end there are zeros.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut decoder = Self { bytes, at: 0, range: u32::MAX, code: 0 };
        (0..4).for_each(|_| decoder.pull());
        decoder
    }

    /// It has read more than an encoder leaves off: the span is no work of one.
    pub(crate) fn is_beyond(&self) -> bool {
        self.at > self.bytes.len().saturating_add(4)
    }

    /// The buffer, to be used for the next span.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn settle(&mut self) {
        while self.range < BOTTOM {
            self.range <<= 8;
            self.pull();
        }
    }

    fn pull(&mut self) {
        self.code = self.code << 8 | u32::from(self.bytes.get(self.at).copied().unwrap_or(0));
        self.at = self.at.saturating_add(1);
    }
}

impl Coder for Decoder {
    #[inline]
    fn bit(&mut self, one: u16, _: bool) -> bool {
        let bound = split(self.range, one);
        let bit = self.code < bound;
        if bit {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        self.settle();
        bit
    }

    #[inline]
    fn half(&mut self, curve: &Curve, _: u8) -> u8 {
        let unit = self.range >> SHARES;
        let half = find(curve, (self.code / unit).min((1 << SHARES) - 1) as i16);
        let (below, width) = part(self.range, curve, half);
        self.code = self.code.wrapping_sub(below);
        self.range = width;
        self.settle();
        half
    }
}

/// Writes nothing, but knows what it would take.
#[cfg(any(test, feature = "diff"))]
#[derive(Default)]
pub(crate) struct Meter {
    /// In 1/16 bits.
    pub(crate) cost: u32,
}

#[cfg(any(test, feature = "diff"))]
impl Coder for Meter {
    #[inline]
    fn bit(&mut self, one: u16, bit: bool) -> bool {
        let p = if bit { u32::from(one) } else { 65536 - u32::from(one) };
        let high = p.max(1).ilog2();
        self.cost += (16 - high) * 16 + 16 - ((p << 4) >> high);
        bit
    }

    #[inline]
    fn half(&mut self, curve: &Curve, half: u8) -> u8 {
        let p = share(curve, half).max(1).unsigned_abs();
        let high = p.ilog2();
        self.cost += (SHARES - high) * 16 + 16 - ((p << 4) >> high);
        half
    }
}

/// Writes decisions.
#[cfg(any(test, feature = "diff"))]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    low: u64,
    range: u32,
    /// Bytes of 0xff that a carry would still change, behind `bytes`.
    pending: usize,
}

#[cfg(any(test, feature = "diff"))]
impl Encoder {
    /// An empty span.
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), low: 0, range: u32::MAX, pending: 0 }
    }

    /// Bytes so far, at least.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.pending + 4
    }

    /// How much was written, in 1/16 bits.
    pub(crate) fn position(&self) -> u64 {
        let whole = (self.bytes.len() + self.pending) as u64 * 128;
        // The range shrinks by half with each bit; between powers of two by a line.
        let high = self.range.ilog2();
        let part = (u64::from(self.range) << 4 >> high) - 16;
        whole + (32 * 16 - u64::from(high) * 16 - part)
    }

    /// Ends the span. Up to four zeros at its end are not kept: the decoder adds
    /// them.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // Any value of [low, low + range) will do: the one with the most zeros.
        let high = self.low + u64::from(self.range) - 1;
        for zeros in (0..32).rev() {
            let value = high >> zeros << zeros;
            if value >= self.low {
                self.low = value;
                break;
            }
        }
        (0..4).for_each(|_| self.push());
        self.flush(0);
        let zeros = self.bytes.iter().rev().take(4).take_while(|byte| **byte == 0).count();
        self.bytes.truncate(self.bytes.len() - zeros);
        self.bytes
    }

    fn settle(&mut self) {
        while self.range < BOTTOM {
            self.range <<= 8;
            self.push();
        }
    }

    fn push(&mut self) {
        let carry = self.low >> 32;
        let next = (self.low >> 24) as u8;
        if carry == 1 || next != 0xff {
            self.flush(carry as u8);
            self.bytes.push(next);
        } else {
            self.pending += 1;
        }
        self.low = self.low << 8 & 0xffff_ffff;
    }

    /// Settles what a carry could have changed.
    fn flush(&mut self, carry: u8) {
        if carry == 1
            && let Some(last) = self.bytes.last_mut()
        {
            *last += 1;
        }
        let fill = if carry == 1 { 0 } else { 0xff };
        self.bytes.resize(self.bytes.len() + self.pending, fill);
        self.pending = 0;
    }
}

#[cfg(any(test, feature = "diff"))]
impl Coder for Encoder {
    #[inline]
    fn bit(&mut self, one: u16, bit: bool) -> bool {
        let bound = split(self.range, one);
        if bit {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        self.settle();
        bit
    }

    #[inline]
    fn half(&mut self, curve: &Curve, half: u8) -> u8 {
        let (below, width) = part(self.range, curve, half);
        self.low += u64::from(below);
        self.range = width;
        self.settle();
        half
    }
}
