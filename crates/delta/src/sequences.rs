//! Corrections of what a matcher found rather than of what came out.
//!
//! Two releases of libzstd differ in which matches they choose for a few of a
//! block's thousands of sequences; everything after the first difference comes out
//! otherwise. So the release at hand chooses, the edits here put right what it
//! chose otherwise, and the rest of the encoder goes on with that.
//!
//! Edits come from anybody: what they lead to is checked to be a description of
//! the content's length before an encoder sees it.

#[cfg(any(test, feature = "diff"))]
use crate::correction::put_number;
use crate::correction::{CorrectionError, number};
use crate::recipe::words::{self, Words};
use alloc::vec::Vec;

/// Literals and the match that follows; libzstd's `ZSTD_Sequence`. One without a
/// match ends a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub(crate) struct Sequence {
    /// How far back the match is; 0 for a repeated offset.
    pub(crate) offset: u32,
    pub(crate) literals: u32,
    pub(crate) length: u32,
    /// 1 to 3 if the offset is written as a repeated one (RFC 8878, 3.1.1.5): an
    /// encoder need not notice that it is.
    pub(crate) repeat: u32,
}

/// The most content of a block.
pub(crate) const BLOCK: usize = 128 << 10;

/// The shortest match that the format has.
const MATCH_MIN: u32 = 3;

/// What a correction says beside its edits.
pub(crate) struct Stored<'a> {
    /// How many sequences the matcher chose.
    pub(crate) chosen: usize,
    /// What is put right.
    pub(crate) edits: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, CorrectionError> {
        let chosen = usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX);
        Ok(Self { chosen, edits: bytes })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.chosen as u64);
        out.extend_from_slice(self.edits);
        out
    }

    /// Bytes of heap for `plain` bytes of content.
    pub(crate) fn heap(&self, plain: u64) -> u64 {
        heap(self.chosen, self.edits.len(), plain)
    }
}

/// Bytes of heap for `plain` bytes of content: the content; what libzstd makes of it
/// while it chooses, and what is chosen; then what is wanted beside that. A context
/// holds the sequences of one block besides.
pub(crate) fn heap(chosen: usize, edits: usize, plain: u64) -> u64 {
    let one = size_of::<Sequence>() as u64;
    let wanted = (chosen as u64).saturating_add(edits as u64 / 3);
    let chosen = one.saturating_mul(chosen as u64);
    let made = plain.saturating_add(plain / 256).saturating_add(1 << 16);
    let block = one * (BLOCK as u64 / 3 + 64) + (64 << 10);
    let next = made.max(one.saturating_mul(wanted).saturating_add(block));
    plain.saturating_add(chosen).saturating_add(next)
}

/// Applies stored edits to what the matcher chose for `plain` bytes. The outcome
/// ends each block with a sequence without a match, and describes exactly them.
pub(crate) fn apply(
    edits: &[u8],
    chosen: &[Sequence],
    plain: usize,
) -> Result<Vec<Sequence>, CorrectionError> {
    let mut out = Vec::with_capacity(chosen.len() + edits.len() / 3);
    let (mut rest, mut chosen, mut edits) = (plain, chosen, edits);
    let mut room = rest.min(BLOCK);
    let mut place = |sequence: Sequence, rest: &mut usize| {
        let size = (sequence.literals as usize).saturating_add(sequence.length as usize);
        let ends = sequence.length == 0;
        let done = plain - *rest + sequence.literals as usize;
        let sound = if ends {
            size == room && sequence.offset == 0 && sequence.repeat == 0
        } else {
            size <= room
                && sequence.length >= MATCH_MIN
                && match sequence.repeat {
                    0 => (1..=done).contains(&(sequence.offset as usize)),
                    repeat => repeat <= 3 && sequence.offset == 0,
                }
        };
        if !sound {
            return Err(CorrectionError::Sequence);
        }
        (room, *rest) = (room - size, *rest - size);
        if ends {
            room = (*rest).min(BLOCK);
        }
        out.push(sequence);
        Ok(())
    };
    while !edits.is_empty() {
        let keep = usize::try_from(number(&mut edits)?).unwrap_or(usize::MAX);
        let (kept, later) = chosen.split_at_checked(keep).ok_or(CorrectionError::Short)?;
        kept.iter().try_for_each(|sequence| place(*sequence, &mut rest))?;
        let drop = usize::try_from(number(&mut edits)?).unwrap_or(usize::MAX);
        chosen = later.get(drop..).ok_or(CorrectionError::Short)?;
        for _ in 0..number(&mut edits)? {
            let sequence = read_one(&mut edits)?;
            place(sequence, &mut rest)?;
        }
    }
    chosen.iter().try_for_each(|sequence| place(*sequence, &mut rest))?;
    if rest == 0 { Ok(out) } else { Err(CorrectionError::Short) }
}

/// Applies stored edits to what was chosen for a block, in words: those that are wanted go
/// to `out`, which may have `most` bytes. Whether they make sense is not looked at.
pub(crate) fn retell(
    mut edits: &[u8],
    chosen: &[u8],
    out: &mut Vec<u8>,
    most: usize,
) -> Result<(), CorrectionError> {
    let mut chosen = Words::new(chosen);
    let mut put = |sequence: Sequence| {
        words::put(out, sequence);
        if out.len() > most { Err(CorrectionError::Size(most)) } else { Ok(()) }
    };
    while !edits.is_empty() {
        for _ in 0..number(&mut edits)? {
            put(chosen.next().ok_or(CorrectionError::Short)?)?;
        }
        for _ in 0..number(&mut edits)? {
            chosen.next().ok_or(CorrectionError::Short)?;
        }
        for _ in 0..number(&mut edits)? {
            put(read_one(&mut edits)?)?;
        }
    }
    chosen.try_for_each(put)
}

/// A sequence that is put in.
fn read_one(edits: &mut &[u8]) -> Result<Sequence, CorrectionError> {
    let literals = u32::try_from(number(edits)?).unwrap_or(u32::MAX);
    let length = u32::try_from(number(edits)?).unwrap_or(u32::MAX);
    let mut sequence = Sequence { literals, ..Sequence::default() };
    if length > 0 {
        sequence.length = length.saturating_add(2);
        match u32::try_from(number(edits)?).unwrap_or(u32::MAX) {
            code @ 0..3 => sequence.repeat = code + 1,
            code => sequence.offset = code - 2,
        }
    }
    Ok(sequence)
}

/// The edits that turn `chosen` into `wanted`.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn find(chosen: &[Sequence], wanted: &[Sequence]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut from, mut to) = (Walk::new(chosen), Walk::new(wanted));
    loop {
        let mut keep = 0u64;
        while let (Some(a), Some(b)) = (from.next, to.next) {
            if a != b || from.at != to.at {
                break;
            }
            from.step();
            to.step();
            keep += 1;
        }
        if from.next.is_none() && to.next.is_none() {
            return out;
        }
        let (mut drop, mut put) = (0u64, Vec::new());
        // On until both stand at the same place before the same sequence.
        while from.next.is_some() || to.next.is_some() {
            let behind = from.at.cmp(&to.at);
            if behind.is_eq() && from.next == to.next {
                break;
            }
            if to.next.is_none() || (behind.is_le() && from.next.is_some()) {
                from.step();
                drop += 1;
            }
            if let Some(sequence) = to.next.filter(|_| behind.is_ge() || from.next.is_none()) {
                put.push(sequence);
                to.step();
            }
        }
        for value in [keep, drop, put.len() as u64] {
            put_number(&mut out, value);
        }
        for sequence in put {
            put_number(&mut out, sequence.literals.into());
            put_number(&mut out, sequence.length.saturating_sub(2).into());
            if sequence.length > 0 {
                let code = sequence.repeat.checked_sub(1).unwrap_or(sequence.offset + 2);
                put_number(&mut out, code.into());
            }
        }
    }
}

/// Sequences and the position in the content at which the next one starts.
#[cfg(any(test, feature = "diff"))]
struct Walk<'a> {
    rest: core::slice::Iter<'a, Sequence>,
    next: Option<Sequence>,
    at: u64,
}

#[cfg(any(test, feature = "diff"))]
impl<'a> Walk<'a> {
    fn new(sequences: &'a [Sequence]) -> Self {
        let mut rest = sequences.iter();
        let next = rest.next().copied();
        Self { rest, next, at: 0 }
    }

    fn step(&mut self) {
        if let Some(done) = self.next {
            self.at += u64::from(done.literals) + u64::from(done.length);
        }
        self.next = self.rest.next().copied();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn sequence(literals: u32, length: u32, offset: u32) -> Sequence {
        Sequence { offset, literals, length, repeat: 0 }
    }

    /// Sequences of `plain` bytes, out of a repeatable random source.
    fn some(plain: usize, mut seed: u32) -> Vec<Sequence> {
        let mut out = vec![];
        let mut done = 0;
        while done < plain {
            let end = plain.min((done / BLOCK + 1) * BLOCK);
            loop {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (literals, length) = (1 + (seed >> 9) % 5, 3 + (seed >> 14) % 40);
                if done + (literals + length) as usize > end {
                    break;
                }
                let offset = 1 + (seed >> 20) % (done as u32 + 1).min(90);
                out.push(sequence(literals, length, offset));
                done += (literals + length) as usize;
            }
            out.push(sequence((end - done) as u32, 0, 0));
            done = end;
        }
        out
    }

    fn check(chosen: &[Sequence], wanted: &[Sequence], plain: usize, most: usize) {
        let edits = find(chosen, wanted);
        assert!(edits.len() <= most, "{} bytes", edits.len());
        assert_eq!(apply(&edits, chosen, plain).as_deref(), Ok(wanted));
    }

    #[test]
    fn edits_lead_from_one_choice_to_another() {
        let plain = 300_000;
        let chosen = some(plain, 1);
        check(&chosen, &chosen, plain, 0);
        check(&chosen, &some(plain, 2), plain, 100_000);
        let mut wanted = chosen.clone();
        let merged = wanted.remove(500);
        wanted[500].literals += merged.literals + merged.length;
        wanted[2000].offset = 1;
        let last = wanted.len() - 2;
        let moved = wanted[last].literals + wanted[last].length;
        wanted.remove(last);
        wanted[last].literals += moved;
        check(&chosen, &wanted, plain, 40);
    }

    #[test]
    fn what_describes_no_content_is_refused() {
        let chosen = some(1000, 3);
        let mut seed = 5u32;
        let mut refused = 0;
        for _ in 0..5000 {
            let edits: Vec<u8> = (0..1 + (seed >> 8) % 12)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8 & if seed & 4096 == 0 { 0x0f } else { 0xff }
                })
                .collect();
            match apply(&edits, &chosen, 1000) {
                Ok(made) => {
                    let size: u32 = made.iter().map(|it| it.literals + it.length).sum();
                    assert_eq!(size, 1000);
                    assert!(made.iter().all(|it| it.length == 0 || it.length >= MATCH_MIN));
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 4000, "{refused}");
        assert!(apply(&[], &chosen, 999).is_err());
        assert!(apply(&[], &[sequence(4, 3, 5), sequence(993, 0, 0)], 1000).is_err());
    }
}
