//! Bytes, bit by bit, with mixed opinions.

use super::Coder;
use super::logistic::{Mixer, Tables};

/// A model of bytes with `N` contexts.
pub(crate) struct ByteModel<const N: usize>(Mixer<N>);

impl<const N: usize> ByteModel<N> {
    /// Tables of `2^bits` slots; `sets` kinds of situation in which the opinions
    /// are weighted apart.
    pub(crate) fn new(bits: u32, sets: usize, limit: u16, rate: i32) -> Self {
        Self(Mixer::new(bits, sets * 8, limit, rate))
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
        let mut read = 1u32;
        let mut at = [0usize; N];
        for half in 0..2u32 {
            let bases = contexts.map(|context| base(context, if half == 0 { 0 } else { read }));
            let mut node = 1usize;
            for bit in 0..4u32 {
                at.iter_mut().zip(&bases).for_each(|(at, base)| *at = base + node);
                let place = half * 4 + bit;
                let wanted = byte >> (7 - place) & 1 == 1;
                let set = set * 8 + place as usize;
                let bit = self.0.code(tables, coder, &at, set, wanted);
                node = node << 1 | usize::from(bit);
                read = read << 1 | u32::from(bit);
            }
        }
        read as u8
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

/// Where the 16 slots of half a byte begin.
#[inline]
fn base(context: u32, above: u32) -> usize {
    let mixed = context.wrapping_add(above.wrapping_mul(0x9e37_79b1)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae35);
    (mixed >> 8) as usize & !15
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
    /// A fresh model.
    pub(crate) fn new() -> Self {
        Self(ByteModel::new(17, 3, 14, 6))
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
