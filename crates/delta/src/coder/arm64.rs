//! What an AArch64 instruction becomes when the place that it refers to moved.
//!
//! Only where that place is told by the instruction, or by the one before it:
//! branches, pages, and what is added to a page. Nothing says that bytes are
//! instructions: this is one more guess about a word.

use super::moves::Moves;

/// Where an instruction stands and what follows it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Address in plain old.
    pub(crate) from: u64,
    /// Address in plain new.
    pub(crate) to: u64,
    /// The old instruction behind it.
    pub(crate) next: u32,
}

/// The pages in plain old that registers held last.
pub(crate) struct Pages([Option<u64>; 32]);

const PAGE: u64 = 1 << 12;

impl Pages {
    /// No register holds one.
    pub(crate) const NONE: Self = Self([None; 32]);

    /// The new instruction, if `old` refers to something that `moves` knows.
    pub(crate) fn translate(&mut self, moves: &Moves, old: u32, at: Place) -> Option<u32> {
        if old & 0x7c00_0000 == 0x1400_0000 {
            return branch(moves, old, at);
        }
        if let Some(page) = self.pass(old, at.from) {
            let register = old & 31;
            let offset = offset(at.next).filter(|offset| offset.register == register);
            return page_of(moves, old, at, page + offset.map_or(0, |offset| offset.bytes));
        }
        let offset = offset(old)?;
        let page = self.0.get(offset.register as usize).copied().flatten()?;
        let moved = moves.moved(page + offset.bytes)? & (PAGE - 1);
        let scaled = moved >> offset.scale;
        (scaled << offset.scale == moved).then_some(old & !(0xfff << 10) | (scaled as u32) << 10)
    }
}

impl Pages {
    /// Passes an instruction: the page that it names, if it does.
    #[inline]
    pub(crate) fn pass(&mut self, old: u32, from: u64) -> Option<u64> {
        let names = old & 0x9f00_0000 == 0x9000_0000;
        let page = (from & !(PAGE - 1)).wrapping_add_signed(pages(old) << 12);
        let held = self.0.get_mut(old as usize & 31).filter(|_| names)?;
        *held = Some(page);
        Some(page)
    }
}

/// A branch: 26 bits of words.
fn branch(moves: &Moves, old: u32, at: Place) -> Option<u32> {
    let distance = i64::from((old << 6).cast_signed() >> 6) * 4;
    let target = moves.moved(at.from.checked_add_signed(distance)?)?;
    let distance = target.wrapping_sub(at.to).cast_signed();
    let words = distance >> 2;
    let fits = words * 4 == distance && words.unsigned_abs() < 1 << 25;
    fits.then_some(old & 0xfc00_0000 | words as u32 & 0x03ff_ffff)
}

/// How many pages lie between an instruction's and the one that it names.
fn pages(old: u32) -> i64 {
    let bits = (old >> 5 & 0x7_ffff) << 2 | old >> 29 & 3;
    ((bits << 11).cast_signed() >> 11).into()
}

/// The instruction that names the page to which `target` moved.
fn page_of(moves: &Moves, old: u32, at: Place, target: u64) -> Option<u32> {
    let moved = moves.moved(target)?;
    let count = (moved >> 12).wrapping_sub(at.to >> 12).cast_signed();
    let fits = (-(1 << 20)..1 << 20).contains(&count);
    let bits = count as u32;
    fits.then_some(old & 0x9f00_001f | (bits & 3) << 29 | (bits >> 2 & 0x7_ffff) << 5)
}

/// What is added to a page.
struct Offset {
    register: u32,
    bytes: u64,
    /// Its unit, as a power of two.
    scale: u32,
}

/// The offset in an addition, a load or a store.
fn offset(old: u32) -> Option<Offset> {
    let scale = if old & 0xffc0_0000 == 0x9100_0000 {
        0
    } else if old & 0x3b00_0000 == 0x3900_0000 {
        // Vectors of 16 bytes have the size of single bytes and a bit of their own.
        if old >> 30 == 0 && old & 0x0480_0000 == 0x0480_0000 { 4 } else { old >> 30 }
    } else {
        return None;
    };
    let bytes = u64::from(old >> 10 & 0xfff) << scale;
    (bytes < PAGE).then_some(Offset { register: old >> 5 & 31, bytes, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind 0x8000 everything moved by 0x1010 bytes.
    fn check(from: u64, old: &[u32], expected: &[Option<u32>]) {
        let moves = Moves::new([(0, 0), (0x8000, 0x1010)].into(), 0, Default::default());
        let mut pages = Pages::NONE;
        let found = old.iter().enumerate().map(|(number, word)| {
            let from = from + 4 * number as u64;
            let next = old.get(number + 1).copied().unwrap_or(0);
            pages.translate(&moves, *word, Place { from, to: from, next })
        });
        assert_eq!(found.collect::<alloc::vec::Vec<_>>(), expected);
    }

    #[test]
    fn branches_follow_what_they_call() {
        // bl +0x8000, b -4
        check(0x100, &[0x9400_2000, 0x17ff_ffff], &[Some(0x9400_2404), Some(0x17ff_ffff)]);
    }

    #[test]
    fn pages_and_offsets_follow_what_they_name() {
        // adrp x0, 0x9000; add x0, x0, #0xff8: carries into the next page.
        check(0, &[0xb000_0040, 0x913f_e000], &[Some(0xf000_0040), Some(0x9100_2000)]);
        // adrp x1, 0x8000; nop; ldr x2, [x1, #8]
        check(
            0,
            &[0x9000_0041, 0xd503_201f, 0xf940_0422],
            &[Some(0xb000_0041), None, Some(0xf940_0c22)],
        );
    }

    #[test]
    fn what_names_no_place_is_left() {
        check(0, &[0xd503_201f, 0x9100_0400, 0], &[None, None, None]);
    }
}
