//! Bytes, bit by bit, with mixed opinions.

use super::Coder;
use super::logistic::{FRESH, Tables, Weights};
use alloc::boxed::Box;
use alloc::vec;

/// What is known about half a byte in one context: a tag that tells the context
/// from others, then a slot for each way that the bits may go.
type Row = [u16; 16];

/// A row that nothing is known in.
const EMPTY: Row = [FRESH; 16];

/// A model of bytes with `N` contexts.
pub(crate) struct ByteModel<const N: usize> {
    /// The rows of each context, one table after the other.
    rows: Box<[Row]>,
    /// Rows of one context, a power of two.
    size: usize,
    weights: Weights<N>,
}

impl<const N: usize> ByteModel<N> {
    /// Tables of `2^bits` rows; `sets` kinds of situation in which the opinions
    /// are weighted apart.
    pub(crate) fn new(bits: u32, sets: usize, limit: u16, rate: i32) -> Self {
        let size = 1usize << bits;
        let weights = Weights::new(sets * 8, limit, rate);
        Self { rows: vec![EMPTY; size * N].into(), size, weights }
    }

    /// Bytes of heap that it takes.
    pub(crate) const fn heap(bits: u32) -> u64 {
        (N * size_of::<Row>()) as u64 * (1 << bits)
    }

    /// Codes a byte in its contexts, which are any numbers.
    #[inline]
    pub(crate) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        contexts: &[u32; N],
        set: usize,
        byte: u8,
    ) -> u8 {
        let high = self.half(tables, coder, &contexts.map(|key| mix(key, 0)), set * 8, byte >> 4);
        let above = u32::from(high) + 16;
        let keys = contexts.map(|key| mix(key, above));
        high << 4 | self.half(tables, coder, &keys, set * 8 + 4, byte & 15)
    }

    /// Codes half a byte.
    #[inline]
    fn half<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        keys: &[u32; N],
        set: usize,
        half: u8,
    ) -> u8 {
        let mut places = *keys;
        for (n, place) in places.iter_mut().enumerate() {
            *place = ((*place as usize & (self.size - 1)) + n * self.size) as u32;
        }
        let mut rows = [EMPTY; N];
        for ((row, place), key) in rows.iter_mut().zip(places).zip(keys) {
            let tag = (key >> 16) as u16;
            match self.rows.get(place as usize) {
                Some(known) if known.first() == Some(&tag) => *row = *known,
                _ => row.iter_mut().take(1).for_each(|first| *first = tag),
            }
        }
        let mut node = 1usize;
        for place in 0..4 {
            let at = node & 15;
            let mut slots = rows.map(|row| row.get(at).copied().unwrap_or(FRESH));
            let wanted = half >> (3 - place) & 1 == 1;
            let bit = self.weights.code(tables, coder, &mut slots, set + place, wanted);
            for (row, slot) in rows.iter_mut().zip(slots) {
                if let Some(kept) = row.get_mut(at) {
                    *kept = slot;
                }
            }
            node = node << 1 | usize::from(bit);
        }
        for (row, place) in rows.into_iter().zip(places) {
            if let Some(kept) = self.rows.get_mut(place as usize) {
                *kept = row;
            }
        }
        node as u8 & 15
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.rows.fill(EMPTY);
        self.weights.reset();
    }
}

/// The key of half a byte behind what is `above` it: the lower half is its
/// place, the upper half its tag.
#[inline]
fn mix(context: u32, above: u32) -> u32 {
    let mixed = context.wrapping_add(above.wrapping_mul(0x9e37_79b1)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae35);
    mixed ^ mixed >> 16
}

/// What is known before a new byte.
#[derive(Clone, Copy)]
pub(crate) struct NewPlace {
    /// The bytes before it, the nearest lowest.
    pub(crate) last: u64,
    /// Its place in plain new.
    pub(crate) to: u32,
    /// The byte with which the last copy would go on.
    pub(crate) guess: u8,
    /// What kind of copy that is; 0: none.
    pub(crate) trust: usize,
}

/// The number of contexts of a new byte.
const NEW: usize = 6;

/// The model of bytes that nothing old is aligned with.
pub(crate) struct NewBytes(ByteModel<NEW>);

impl NewBytes {
    /// A fresh model with tables of `2^bits` rows.
    pub(crate) fn new(bits: u32) -> Self {
        Self(ByteModel::new(bits, 3, 14, 6))
    }

    /// Bytes of heap that it takes.
    pub(crate) const fn heap(bits: u32) -> u64 {
        ByteModel::<NEW>::heap(bits)
    }

    /// Codes the byte at a place.
    #[inline]
    pub(crate) fn code<C: Coder>(
        &mut self,
        tables: &Tables,
        coder: &mut C,
        place: &NewPlace,
        byte: u8,
    ) -> u8 {
        let NewPlace { last, to, guess, trust } = *place;
        let near = last as u32;
        let (pos, c4, c8) = (to & 3, (near >> 24), (last >> 56 & 0xff) as u32);
        let contexts = [
            near & 0xff | pos << 8 | 1 << 28,
            near & 0xffff | 2 << 28,
            (near & 0x00ff_ffff).wrapping_mul(0x2f0b_4c47) ^ (pos << 26 | 3 << 28),
            near.wrapping_mul(0x6f4f_2a35) ^ 4 << 28,
            if trust > 0 {
                u32::from(guess) << 8 | near & 0xff | (trust as u32) << 16 | 5 << 28
            } else {
                (c4 << 10 | (near & 0xff) << 2 | pos) ^ 7 << 28
            },
            (c8 << 18 | c4 << 10 | pos) ^ 6 << 28,
        ];
        self.0.code(tables, coder, &contexts, trust.min(2), byte)
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}
