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

/// Weights depend on how often the third and the fourth opinion were asked.
const TRUSTS: usize = 9;

fn trust(seen: Option<&u16>) -> usize {
    match seen {
        None | Some(0) => 0,
        Some(1..=2) => 1,
        Some(_) => 2,
    }
}

/// How much each of `N` opinions is worth, in each kind of situation.
pub(super) struct Weights<const N: usize> {
    sets: Box<[[i32; N]]>,
    limit: u16,
    rate: i32,
}

impl<const N: usize> Weights<N> {
    /// `sets` kinds of situation; slots learn at 1/(`limit` + 1.5) in the end,
    /// weights at `rate`.
    pub(super) fn new(sets: usize, limit: u16, rate: i32) -> Self {
        Self { sets: vec![[Self::start(); N]; sets * TRUSTS].into(), limit, rate }
    }

    /// Together the opinions start a little bolder than their mean.
    fn start() -> i32 {
        let n = i32::try_from(N).unwrap_or(1);
        (1 << 16) * 14 / (10 * n)
    }

    /// Forgets what it learned.
    pub(super) fn reset(&mut self) {
        self.sets.fill([Self::start(); N]);
    }

    /// One decision about which `slots` have opinions; they learn from it.
    #[inline]
    pub(super) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        slots: &mut [u16; N],
        set: usize,
        bit: bool,
    ) -> bool {
        let set = set * TRUSTS + trust(slots.get(2)) * 3 + trust(slots.get(3));
        let Some(weights) = self.sets.get_mut(set) else { return bit };
        let opinions = slots.map(|slot| tables.stretch(slot));
        let sum: i64 =
            opinions.iter().zip(weights.iter()).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
        let x = ((sum >> 16) as i32).clamp(1 - SPAN, SPAN - 1);
        let one = tables.squash(x);
        let bit = coder.bit(one, bit);
        let error = ((i32::from(bit) << 16) - i32::from(one)) * self.rate;
        for ((opinion, slot), weight) in opinions.iter().zip(slots).zip(weights) {
            *weight += ((i64::from(*opinion) * i64::from(error) + (1 << 17)) >> 18) as i32;
            *slot = adapt(*slot, bit, self.limit);
        }
        bit
    }
}

/// Single decisions with `N` opinions, each in a table of its own.
pub(super) struct Mixer<const N: usize> {
    /// Slots of each opinion, one table after the other.
    slots: Box<[u16]>,
    /// Slots of one opinion, a power of two.
    size: usize,
    weights: Weights<N>,
}

impl<const N: usize> Mixer<N> {
    /// `sets` kinds of situation over tables of `2^bits` slots.
    pub(super) fn new(bits: u32, sets: usize, limit: u16, rate: i32) -> Self {
        let size = 1usize << bits;
        let slots = vec![FRESH; size * N].into();
        Self { slots, size, weights: Weights::new(sets, limit, rate) }
    }

    /// Forgets what it learned.
    pub(super) fn reset(&mut self) {
        self.slots.fill(FRESH);
        self.weights.reset();
    }

    /// One decision: `at` are the slots of the opinions, `set` the weights.
    #[inline]
    pub(super) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        at: &[usize; N],
        set: usize,
        bit: bool,
    ) -> bool {
        let mut places = *at;
        for (n, place) in places.iter_mut().enumerate() {
            *place = n * self.size + (*place & (self.size - 1));
        }
        let mut slots = places.map(|place| self.slots.get(place).copied().unwrap_or(FRESH));
        let bit = self.weights.code(tables, coder, &mut slots, set, bit);
        for (place, slot) in places.into_iter().zip(slots) {
            if let Some(kept) = self.slots.get_mut(place) {
                *kept = slot;
            }
        }
        bit
    }
}
