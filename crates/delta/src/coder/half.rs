//! Bytes in two halves, each decided at once.
//!
//! A context knows how often each half byte came, as a curve: what share of them was
//! below 1, below 2 … below 15. Curves are blended, the more special ones by how often
//! they were better before, and all lanes of a curve move together: a few vector
//! instructions for four binary decisions.

use super::Coder;
use super::byte::mix;
use alloc::boxed::Box;
use alloc::vec;

/// A curve: in lane k what share is below k, in 1/16384; lane 0 is 0. Each share is
/// at least [`LEAST`].
pub(super) type Curve = [i16; 16];

/// Bits of the sum of all shares.
pub(super) const SHARES: u32 = 14;

/// A context's curve; in lane 0 a tag of 11 bits that tells the context from others, and
/// how often it was seen, in [`SEEN`] bits.
type Row = [i16; 16];

/// All halves are alike, and nothing was seen.
const EVEN: Row = curve(16, 1024);

/// No share falls below this.
const LEAST: i16 = 2;

/// The curves of certainty, by the half byte that is certain.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const CERTAIN: [Curve; 16] = {
    let mut curves = [[0; 16]; 16];
    let mut half = 0;
    while half < 16 {
        curves[half] = curve(half, LEAST);
        half += 1;
    }
    curves
};

/// Each half has the share `each`, but one has the rest.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const fn curve(rest: usize, each: i16) -> Row {
    let mut lanes = [0; 16];
    let mut k = 1;
    while k < 16 {
        let below = each * k as i16;
        lanes[k] = if k > rest { (1 << SHARES) - each * 16 + below } else { below };
        k += 1;
    }
    lanes
}

/// A curve moves by so much of its way to certainty after n halves, in 1/32768: by
/// 1/(n + 1.5).
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const RATES: [i16; 1 << SEEN] = {
    let mut rates = [0; 1 << SEEN];
    let mut seen = 0;
    while seen < rates.len() {
        rates[seen] = (65_536 / (2 * seen + 3)) as i16;
        seen += 1;
    }
    rates
};

/// Bits of how often a context was seen.
const SEEN: u32 = 5;

/// A context that was seen so often learns no slower any more.
const SEEN_MOST: i16 = (1 << SEEN) - 2;

/// What a context that was seen so often is worth at first, in 1/32768.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const WORTH: [i16; 1 << SEEN] = {
    let mut worth = [28_000; 1 << SEEN];
    let first = [0, 14_000, 18_000, 21_000, 23_000, 24_000, 25_000, 26_000, 26_000, 27_000];
    let mut seen = 0;
    while seen < first.len() {
        worth[seen] = first[seen];
        seen += 1;
    }
    worth
};

/// A worth stays below this.
const WORTH_MOST: i32 = 32_000;

/// 2^15 / (1 + n/128), rounded up.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which says so")]
const INVERSES: [u16; 128] = {
    let mut inverses = [0; 128];
    let mut at = 0;
    while at < 128 {
        inverses[at] = (1usize << 22).div_ceil(128 + at) as u16;
        at += 1;
    }
    inverses
};

/// How much a worth moves by what a context said: the slope of the bits that the half took,
/// by the worth, which is the difference of shares to the share that was used.
#[inline(always)]
fn slope(its: i32, before: i32, used: i32) -> i32 {
    let used = used.max(1).unsigned_abs();
    let high = used.ilog2();
    // used = 2^high (1 + n/128)
    let inverse = INVERSES.get((used << 7 >> high & 127) as usize).copied().unwrap_or(0);
    let moved = ((its - before) * i32::from(inverse)) >> (high + 15 - SLOPE);
    moved.clamp(-4 << SLOPE, 4 << SLOPE)
}

/// A slope of one moves a worth by 2^-6, which is 2^9 of 2^15.
const SLOPE: u32 = 9;

/// A model of bytes with `N` contexts, of which each is more special than the one
/// before.
pub(crate) struct HalfModel<const N: usize> {
    /// The rows of each context.
    rows: [Box<[Row]>; N],
    /// Rows of one context less one, a power of two less one.
    mask: usize,
    /// What a context is worth beside those before it, by how often it was seen; for
    /// each half of a byte.
    worth: Box<[[[i16; 1 << SEEN]; N]; 2]>,
}

impl<const N: usize> HalfModel<N> {
    /// Tables of `2^bits` rows.
    pub(crate) fn new(bits: u32) -> Self {
        let size = 1usize << bits;
        let rows = core::array::from_fn(|_| vec![EVEN; size].into());
        Self { rows, mask: size - 1, worth: Box::new([[WORTH; N]; 2]) }
    }

    /// Bytes of heap that it takes.
    pub(crate) const fn heap(bits: u32) -> u64 {
        (N * size_of::<Row>()) as u64 * (1 << bits)
    }

    /// Codes a byte in its contexts, which are any numbers.
    #[inline]
    pub(crate) fn code<C: Coder>(&mut self, coder: &mut C, contexts: &[u32; N], byte: u8) -> u8 {
        let high = self.half(coder, &contexts.map(|key| mix(key, 0)), 0, byte >> 4);
        let above = u32::from(high) + 16;
        high << 4 | self.half(coder, &contexts.map(|key| mix(key, above)), 1, byte & 15)
    }

    /// Codes half a byte.
    #[inline(always)]
    fn half<C: Coder>(&mut self, coder: &mut C, keys: &[u32; N], which: usize, half: u8) -> u8 {
        let mask = self.mask;
        let mut keys = keys.iter();
        let mut rows = self.rows.each_mut().map(|rows| {
            let key = keys.next().copied().unwrap_or(0);
            (rows.get_mut(key as usize & mask), tag(key))
        });
        let mut sum = EVEN;
        let mut sums = [EVEN; N];
        let Some(worth) = self.worth.get_mut(which & 1) else { return 0 };
        for (((row, tag), worth), after) in rows.iter_mut().zip(worth.iter()).zip(&mut sums) {
            let Some(row) = row else { continue };
            if row[0] >> SEEN == *tag {
                let weight = worth.get(seen(row)).copied().unwrap_or(0);
                sum = toward(&sum, row, weight);
            } else {
                // Unknown: it begins with what the others say.
                **row = sum;
                row[0] = *tag << SEEN;
            }
            *after = sum;
        }
        sum[0] = 0;
        let half = coder.half(&sum, half);
        let certain = CERTAIN.get(usize::from(half & 15)).unwrap_or(&EVEN);
        let mut before = share(&EVEN, half);
        for (((row, _), worth), after) in rows.iter_mut().zip(worth).zip(&sums) {
            let Some(row) = row else { continue };
            let (meta, seen) = (row[0], seen(row));
            let used = share(after, half);
            if let Some(worth) = worth.get_mut(seen) {
                let moved = i32::from(*worth) + slope(share(row, half), before, used);
                *worth = moved.clamp(0, WORTH_MOST) as i16;
            }
            before = used;
            let rate = RATES.get(seen).copied().unwrap_or(0);
            **row = toward(row, certain, rate);
            row[0] = if (seen as i16) < SEEN_MOST { meta + 1 } else { meta };
        }
        half
    }

    /// What a byte would cost, in 1/16 bits.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn cost(&self, contexts: &[u32; N], byte: u8) -> u32 {
        let high = byte >> 4;
        let above = u32::from(high) + 16;
        self.half_cost(&contexts.map(|key| mix(key, 0)), 0, high)
            + self.half_cost(&contexts.map(|key| mix(key, above)), 1, byte & 15)
    }

    /// The same of half a byte.
    #[cfg(any(test, feature = "diff"))]
    #[inline(always)]
    fn half_cost(&self, keys: &[u32; N], which: usize, half: u8) -> u32 {
        let mut sum = EVEN;
        let Some(worth) = self.worth.get(which & 1) else { return 0 };
        for ((rows, worth), key) in self.rows.iter().zip(worth).zip(keys) {
            let row = rows.get(*key as usize & self.mask);
            if let Some(row) = row.filter(|row| row[0] >> SEEN == tag(*key)) {
                let weight = worth.get(seen(row)).copied().unwrap_or(0);
                sum = toward(&sum, row, weight);
            }
        }
        super::cost::cost(share(&sum, half).unsigned_abs(), SHARES)
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.rows.iter_mut().for_each(|rows| rows.fill(EVEN));
        *self.worth = [[WORTH; N]; 2];
    }
}

/// What tells the context with this key from others.
#[inline(always)]
fn tag(key: u32) -> i16 {
    (key >> (16 + SEEN)) as i16 - (1 << (15 - SEEN))
}

/// How often a context was seen.
#[inline(always)]
fn seen(row: &Row) -> usize {
    row[0] as usize & ((1 << SEEN) - 1)
}

/// A part of the way from one curve to another, in 1/32768. Shares stay at least as
/// large as the smaller of both.
#[inline(always)]
fn toward(from: &Curve, to: &Curve, part: i16) -> Curve {
    let mut lanes = *from;
    for (lane, to) in lanes.iter_mut().zip(to) {
        let way = to.wrapping_sub(*lane).wrapping_mul(2);
        *lane = lane.wrapping_add(((i32::from(way) * i32::from(part)) >> 16) as i16);
    }
    lanes
}

/// The share of a half byte.
#[inline(always)]
pub(super) fn share(curve: &Curve, half: u8) -> i32 {
    let below = |k: usize| match k {
        0 => 0,
        16.. => 1 << SHARES,
        k => i32::from(curve.get(k).copied().unwrap_or(0)),
    };
    below(usize::from(half) + 1) - below(usize::from(half))
}

/// The half byte in whose share a place of all lies.
#[inline(always)]
pub(super) fn find(curve: &Curve, place: i16) -> u8 {
    let mut count = 0i16;
    for lane in curve {
        count += i16::from(*lane <= place);
    }
    (count - 1) as u8 & 15
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Encoder};
    use super::*;
    use alloc::vec::Vec;

    fn noise(seed: &mut u32) -> u32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *seed >> 8
    }

    /// Bytes with contexts of which few are alike, and tables that are too small.
    fn bytes(count: usize, kinds: u32) -> Vec<([u32; 3], u8)> {
        let mut seed = 1;
        let mut last = 0;
        let mut each = || {
            let byte = noise(&mut seed) % kinds * (256 / kinds);
            let contexts = [last & 0xff, last & 0xffff, last];
            last = last << 8 | byte;
            (contexts, byte as u8)
        };
        (0..count).map(|_| each()).collect()
    }

    /// They come back, and take about `expected` bytes.
    fn check(kinds: u32, count: usize, expected: core::ops::Range<usize>) {
        let bytes = bytes(count, kinds);
        let (mut model, mut coder) = (HalfModel::<3>::new(8), Encoder::new());
        for (contexts, byte) in &bytes {
            model.code(&mut coder, contexts, *byte);
        }
        let written = coder.finish();
        assert!(expected.contains(&written.len()), "{} bytes", written.len());
        model.reset();
        let mut coder = Decoder::new(written);
        for (contexts, byte) in &bytes {
            assert_eq!(model.code(&mut coder, contexts, 0), *byte);
        }
        assert!(!coder.is_beyond());
    }

    #[test]
    fn bytes_come_back() {
        check(1, 20_000, 1..200);
        check(2, 20_000, 2500..3000);
        check(256, 20_000, 20_000..22_000);
    }

    /// By the slope a worth moves towards what would have cost less.
    #[test]
    fn slopes_are_quotients() {
        for (its, before, used) in
            [(9000, 1000, 4000), (2, 16000, 8000), (300, 290, 295), (16354, 2, 16354), (5, 5, 5)]
        {
            let exact = f64::from(its - before) / f64::from(used) * f64::from(1 << SLOPE);
            let exact = exact.clamp(-4.0 * 512.0, 4.0 * 512.0);
            let moved = f64::from(slope(its, before, used));
            assert!((moved - exact).abs() <= 1.0 + exact.abs() / 100.0, "{moved}, not {exact}");
        }
        assert_eq!((slope(16354, 2, 2), slope(2, 16354, 2)), (4 << SLOPE, -4 << SLOPE));
    }

    /// A share that fell to nothing could not be coded.
    #[test]
    fn shares_never_vanish() {
        let mut seed = 7;
        let mut curves = [EVEN, curve(3, LEAST), curve(15, LEAST)];
        for _ in 0..200_000 {
            let [a, b, half, part] = core::array::from_fn(|_| noise(&mut seed) as usize);
            let part = (part % 32768) as i16;
            let other = if part % 2 == 0 { CERTAIN[half % 16] } else { curves[b % 3] };
            let lanes = toward(&curves[a % 3], &other, part);
            (0..16).for_each(|half| assert!(share(&lanes, half) >= LEAST.into(), "{lanes:?}"));
            (0..16).for_each(|half| assert_eq!(find(&lanes, lanes[usize::from(half)]), half));
            curves[a % 3] = lanes;
        }
    }
}
