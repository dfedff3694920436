//! The logistic curve and its inverse in integers, and the mixer.
//!
//! Opinions are added in the logistic domain, each times a weight that learns
//! which opinion is worth how much.

use super::Coder;
use alloc::boxed::Box;
use alloc::vec;

/// One unit of the logistic domain is 256.
const SPAN: i32 = 12 * 256;

/// 65536 / (1 + e^-x) for x = 0, 1/4 … 12, rounded, at most 65535.
const KNOTS: [u16; 49] = [
    32768, 36843, 40793, 44511, 47911, 50941, 53581, 55834, 57724, 59287, 60565, 61598, 62428,
    63090, 63615, 64030, 64357, 64614, 64816, 64974, 65097, 65194, 65269, 65328, 65374, 65410,
    65438, 65459, 65476, 65489, 65500, 65508, 65514, 65519, 65523, 65526, 65528, 65530, 65531,
    65532, 65533, 65534, 65534, 65535, 65535, 65535, 65535, 65535, 65535,
];

/// Both curves as tables.
pub(crate) struct Tables {
    /// From a probability in 1/4096 to the logistic domain.
    stretch: Box<[i16; 4096]>,
    /// From the logistic domain, shifted to start at 0, to 1/65536.
    squash: Box<[u16; 8192]>,
}

impl Tables {
    /// Computes them.
    pub(crate) fn new() -> Self {
        let mut squash = Box::new([0u16; 8192]);
        for (at, slot) in squash.iter_mut().enumerate() {
            *slot = curve(i32::try_from(at).unwrap_or(0) - 4096);
        }
        let mut stretch = Box::new([0i16; 4096]);
        let mut x = -2047;
        for (at, slot) in stretch.iter_mut().enumerate() {
            let middle = u32::try_from(at).unwrap_or(0) * 16 + 8;
            while x < 2047 && u32::from(curve(x)) < middle {
                x += 1;
            }
            *slot = i16::try_from(x).unwrap_or(0);
        }
        Self { stretch, squash }
    }

    #[inline]
    fn stretch(&self, slot: u16) -> i32 {
        self.stretch.get(usize::from(slot >> 4)).copied().unwrap_or(0).into()
    }

    #[inline]
    fn squash(&self, x: i32) -> u16 {
        self.squash.get((x + 4096) as usize & 8191).copied().unwrap_or(1 << 15)
    }
}

/// The curve between the knots, by straight lines.
fn curve(x: i32) -> u16 {
    let clamped = x.clamp(-SPAN, SPAN - 1);
    let knot = |at: i32| -> u32 {
        let size = usize::try_from(at.unsigned_abs()).unwrap_or(0);
        let right = u32::from(KNOTS.get(size).copied().unwrap_or(65535));
        if at < 0 { 65536 - right } else { right }
    };
    let (low, part) = (clamped.div_euclid(64), clamped.rem_euclid(64).unsigned_abs());
    let value = (knot(low) * (64 - part) + knot(low + 1) * part + 32) / 64;
    u16::try_from(value.clamp(4, 65532)).unwrap_or(65532)
}

/// What a slot starts with: one half, seen nothing.
pub(super) const FRESH: u16 = 1 << 15;

/// A slot moves by 1/(n + 1.5) of its error when it has seen n bits.
const RATES: [u32; 16] = [
    43691, 26214, 18725, 14564, 11916, 10082, 8738, 7710, 6899, 6242, 5699, 5243, 4855, 4520, 4228,
    3972,
];

/// Moves a slot: probability in its upper 12 bits, bits seen in its lower 4.
#[inline]
fn adapt(slot: u16, bit: bool, limit: u16) -> u16 {
    let seen = slot & 15;
    let p = i32::from(slot >> 4);
    let target = if bit { 4095 } else { 0 };
    let rate = RATES.get(usize::from(seen)).copied().unwrap_or(4096) as i32;
    let moved = p + (((target - p) * rate + if bit { 65535 } else { 0 }) >> 16);
    (moved.clamp(0, 4095) as u16) << 4 | if seen < limit { seen + 1 } else { seen }
}

/// Up to so many opinions are blended, each with the one before by how much it has
/// seen; more are mixed.
const BLENDED: usize = 3;

/// What an opinion that has seen so many bits is worth beside those before it, in
/// 1/256.
const WORTH: [u8; 16] =
    [0, 112, 144, 168, 184, 192, 200, 208, 208, 216, 216, 216, 224, 224, 224, 224];

/// How much each of `N` opinions is worth, in each kind of situation.
pub(super) struct Weights<const N: usize> {
    sets: Box<[[i32; N]]>,
    limit: u16,
    rate: i32,
}

impl<const N: usize> Weights<N> {
    /// Together the opinions start a little bolder than their mean.
    const START: i32 = (1 << 16) * 14 / (10 * N as i32);

    /// What a weight is at most either way: all opinions times this stay below 2^31.
    const MOST: i32 = i32::MAX / 2048 / N as i32;

    /// `sets` kinds of situation; slots learn at 1/(`limit` + 1.5) in the end,
    /// weights at `rate`, at most 15.
    pub(super) fn new(sets: usize, limit: u16, rate: i32) -> Self {
        let sets = if N > BLENDED { sets } else { 0 };
        Self { sets: vec![[Self::START; N]; sets].into(), limit, rate }
    }

    /// Forgets what it learned.
    pub(super) fn reset(&mut self) {
        self.sets.fill([Self::START; N]);
    }

    /// One decision about which `slots` have opinions; they learn from it.
    #[inline(always)]
    pub(super) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        slots: &mut [u16; N],
        set: usize,
        bit: bool,
    ) -> bool {
        let bit = if N > BLENDED {
            self.mix(tables, coder, slots, set, bit)
        } else {
            coder.bit(blend(slots), bit)
        };
        slots.iter_mut().for_each(|slot| *slot = adapt(*slot, bit, self.limit));
        bit
    }

    /// One decision by the weights, which learn from it.
    #[inline]
    fn mix<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        slots: &[u16; N],
        set: usize,
        bit: bool,
    ) -> bool {
        let Some(weights) = self.sets.get_mut(set) else { return bit };
        let opinions = slots.map(|slot| tables.stretch(slot));
        let sum: i32 = opinions.iter().zip(weights.iter()).map(|(a, b)| a * b).sum();
        let one = tables.squash((sum >> 16).clamp(1 - SPAN, SPAN - 1));
        let bit = coder.bit(one, bit);
        let error = ((i32::from(bit) << 16) - i32::from(one)) * self.rate;
        for (opinion, weight) in opinions.iter().zip(weights) {
            let moved = *weight + ((opinion * error + (1 << 17)) >> 18);
            *weight = moved.clamp(-Self::MOST, Self::MOST);
        }
        bit
    }
}

/// The probability of `true` in 1/65536 by opinions of which each is more special
/// than the one before.
#[inline]
fn blend(slots: &[u16]) -> u16 {
    let mut slots = slots.iter();
    let mut one = slots.next().map_or(1 << 15, |slot| i32::from(*slot & 0xfff0) + 8);
    for slot in slots {
        let worth = WORTH.get(usize::from(slot & 15)).copied().unwrap_or(0);
        one += ((i32::from(*slot & 0xfff0) + 8 - one) * i32::from(worth)) >> 8;
    }
    one.clamp(16, 65519) as u16
}

/// Single decisions with `N` opinions, each in a table of its own.
pub(super) struct Mixer<const N: usize> {
    slots: [Box<[u16]>; N],
    /// Slots of one opinion less one, a power of two less one.
    mask: usize,
    weights: Weights<N>,
}

impl<const N: usize> Mixer<N> {
    /// `sets` kinds of situation over tables of `2^bits` slots.
    pub(super) fn new(bits: u32, sets: usize, limit: u16, rate: i32) -> Self {
        let size = 1usize << bits;
        let slots = core::array::from_fn(|_| vec![FRESH; size].into());
        Self { slots, mask: size - 1, weights: Weights::new(sets, limit, rate) }
    }

    /// Bytes of heap that it takes.
    pub(super) const fn heap(bits: u32) -> u64 {
        (N * size_of::<u16>()) as u64 * (1 << bits)
    }

    /// Forgets what it learned.
    pub(super) fn reset(&mut self) {
        self.slots.iter_mut().for_each(|slots| slots.fill(FRESH));
        self.weights.reset();
    }

    /// One decision: `at` are the slots of the opinions, `set` the weights.
    #[inline]
    pub(super) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        at: [usize; N],
        set: usize,
        bit: bool,
    ) -> bool {
        let mut at = at.iter();
        let mask = self.mask;
        let kept = self.slots.each_mut();
        let kept = kept.map(|slots| slots.get_mut(at.next().map_or(0, |at| at & mask)));
        let mut slots = kept.each_ref().map(|slot| slot.as_deref().copied().unwrap_or(FRESH));
        let bit = self.weights.code(tables, coder, &mut slots, set, bit);
        for (kept, slot) in kept.into_iter().flatten().zip(slots) {
            *kept = slot;
        }
        bit
    }
}
