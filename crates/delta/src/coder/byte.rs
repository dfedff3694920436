//! Bytes, bit by bit, with mixed opinions.

use super::half::HalfModel;
use super::logistic::{FRESH, Tables, Weights};
use super::{Coder, Models, Pace};
use alloc::boxed::Box;
use alloc::vec;

/// What is known about half a byte in one context: a tag that tells the context
/// from others, then a slot for each way that the bits may go.
type Row = [u16; 16];

/// A row that nothing is known in.
const EMPTY: Row = [FRESH; 16];

/// A model of bytes with `N` contexts.
pub(crate) struct ByteModel<const N: usize> {
    /// The rows of each context.
    rows: [Box<[Row]>; N],
    /// Rows of one context less one, a power of two less one.
    mask: usize,
    weights: Weights<N>,
}

impl<const N: usize> ByteModel<N> {
    /// Tables of `2^bits` rows; `sets` kinds of situation in which the opinions
    /// are weighted apart.
    pub(crate) fn new(bits: u32, sets: usize, limit: u16, rate: i32) -> Self {
        let size = 1usize << bits;
        let rows = core::array::from_fn(|_| vec![EMPTY; size].into());
        Self { rows, mask: size - 1, weights: Weights::new(sets * 8, limit, rate) }
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
        let mask = self.mask;
        let mut keys = keys.iter();
        let mut rows =
            self.rows.each_mut().map(|rows| row(rows, mask, keys.next().copied().unwrap_or(0)));
        let mut node = 1usize;
        for place in 0..4 {
            let at = node & 15;
            let mut slots = rows
                .each_ref()
                .map(|row| row.as_ref().and_then(|row| row.get(at)).copied().unwrap_or(FRESH));
            let wanted = half >> (3 - place) & 1 == 1;
            let bit = self.weights.code(tables, coder, &mut slots, set + place, wanted);
            for (row, slot) in rows.iter_mut().flatten().zip(slots) {
                if let Some(kept) = row.get_mut(at) {
                    *kept = slot;
                }
            }
            node = node << 1 | usize::from(bit);
        }
        node as u8 & 15
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        self.rows.iter_mut().for_each(|rows| rows.fill(EMPTY));
        self.weights.reset();
    }
}

/// The row of a key, begun anew if it was another one's.
#[inline]
fn row(rows: &mut [Row], mask: usize, key: u32) -> Option<&mut Row> {
    let row = rows.get_mut(key as usize & mask)?;
    let tag = (key >> 16) as u16;
    if row[0] != tag {
        *row = EMPTY;
        row[0] = tag;
    }
    Some(row)
}

/// The key of half a byte behind what is `above` it: the lower half is its
/// place, the upper half its tag.
#[inline]
pub(super) fn mix(context: u32, above: u32) -> u32 {
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

impl NewPlace {
    /// What may tell the byte, as keys.
    #[inline]
    fn contexts(&self) -> [u32; 6] {
        let NewPlace { last, to, guess, trust } = *self;
        let near = last as u32;
        let (pos, c4, c8) = (to & 3, (near >> 24), (last >> 56 & 0xff) as u32);
        [
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
        ]
    }

    /// Those that quick models ask, each more special than the one before.
    #[inline]
    fn quick(&self) -> [u32; 3] {
        let (near, pos, trust) = (self.last as u32, self.to & 3, self.trust as u32);
        let guessed = u32::from(self.guess) | (near >> 5 & 7) << 8 | 3 << 28;
        let two = near & 0xffff | 2 << 28;
        [trust | pos << 4, near & 0xff | pos << 8 | 1 << 28, if trust > 0 { guessed } else { two }]
    }
}

/// The model of bytes that nothing old is aligned with.
pub(crate) enum NewBytes {
    Mixed(ByteModel<6>),
    Quick(HalfModel<3>),
}

impl NewBytes {
    /// A fresh model.
    pub(crate) fn new(models: Models) -> Self {
        let bits = models.log.into();
        match models.pace {
            Pace::Mixed => Self::Mixed(ByteModel::new(bits, 3, 14, 6)),
            Pace::Quick => Self::Quick(HalfModel::new(bits)),
        }
    }

    /// Bytes of heap that it takes.
    pub(crate) const fn heap(models: Models) -> u64 {
        match models.pace {
            Pace::Mixed => ByteModel::<6>::heap(models.log as u32),
            Pace::Quick => HalfModel::<3>::heap(models.log as u32),
        }
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
        match self {
            Self::Mixed(model) => {
                model.code(tables, coder, &place.contexts(), place.trust.min(2), byte)
            }
            Self::Quick(model) => model.code(coder, &place.quick(), byte),
        }
    }

    /// What the byte would cost, if quick models know.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn cost(&self, place: &NewPlace, byte: u8) -> Option<u32> {
        match self {
            Self::Mixed(_) => None,
            Self::Quick(model) => Some(model.cost(&place.quick(), byte)),
        }
    }

    /// Forgets what it learned.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Mixed(model) => model.reset(),
            Self::Quick(model) => model.reset(),
        }
    }
}
