//! What turns the bytes that an encoder makes into those that are wanted.
//!
//! Used where a recipe nearly makes a stream: the encoder was of another release,
//! or a field in the stream has its own mind. It works on bytes that pass by and
//! keeps none of them.

use alloc::vec::Vec;

/// One step: what is copied, then left out, of the encoder's bytes, and what is
/// put in instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Edit {
    /// Bytes of the encoder that are kept.
    pub copy: u64,
    /// Bytes of the encoder that are dropped after that.
    pub skip: u64,
    /// Bytes that take their place.
    pub insert: Vec<u8>,
}

/// Edits in order; after the last one everything is copied. Or edits of what the
/// encoder's matcher found, before it is coded. Applied by
/// [`Recipe::corrected`](crate::Recipe::corrected) alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Correction {
    edits: Vec<Edit>,
    /// The stored form of edits of sequences.
    sequences: Vec<u8>,
}

/// Why bytes are no correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionError {
    /// The bytes end too early.
    #[error("the correction is cut off")]
    Short,
    /// It has more edits or bytes than the format allows.
    #[error("the correction is larger than {0} bytes")]
    Size(usize),
    /// It leads to sequences that describe no content.
    #[error("the correction leads to impossible sequences")]
    Sequence,
}

impl Correction {
    /// The most bytes of a stored correction: it is held in memory while its stream
    /// is made, and has to fit into one span of a patch.
    pub const BYTES_MAX: usize = 128 << 10;

    /// Nothing to correct.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.sequences.is_empty()
    }

    /// A correction of sequences by their edits.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn of_sequences(sequences: Vec<u8>) -> Self {
        Self { edits: Vec::new(), sequences }
    }

    /// Sequences are corrected, not bytes.
    pub(crate) fn has_sequences(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// The stored edits of sequences.
    pub(crate) fn sequences(&self) -> &[u8] {
        &self.sequences
    }

    /// Its edits of bytes, and the stored edits of sequences.
    pub(crate) fn into_parts(self) -> (Vec<Edit>, Vec<u8>) {
        (self.edits, self.sequences)
    }

    /// The stored form: twice its length, odd if sequences are corrected; then each
    /// edit's numbers and bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = self.sequences.clone();
        for edit in &self.edits {
            for number in [edit.copy, edit.skip, edit.insert.len() as u64] {
                put_number(&mut body, number);
            }
            body.extend_from_slice(&edit.insert);
        }
        let mut out = Vec::with_capacity(body.len() + 4);
        put_number(&mut out, (body.len() as u64) << 1 | u64::from(!self.sequences.is_empty()));
        out.extend(body);
        out
    }

    /// Reads the stored form from the front of `bytes`.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn from_bytes(bytes: &mut &[u8]) -> Result<Self, CorrectionError> {
        let head = number(bytes)?;
        let len = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        if len > Self::BYTES_MAX {
            return Err(CorrectionError::Size(Self::BYTES_MAX));
        }
        let (mut body, rest) = bytes.split_at_checked(len).ok_or(CorrectionError::Short)?;
        *bytes = rest;
        if head & 1 == 1 {
            return Ok(Self { edits: Vec::new(), sequences: body.to_vec() });
        }
        let mut edits = Vec::new();
        while !body.is_empty() {
            let (copy, skip) = (number(&mut body)?, number(&mut body)?);
            let len = usize::try_from(number(&mut body)?).unwrap_or(usize::MAX);
            let (insert, rest) = body.split_at_checked(len).ok_or(CorrectionError::Short)?;
            body = rest;
            edits.push(Edit { copy, skip, insert: insert.to_vec() });
        }
        Ok(Self { edits, sequences: Vec::new() })
    }

    /// Bytes of heap that it takes itself; see `Recipe::corrected_heap`.
    pub(crate) fn held(&self) -> u64 {
        let edits = self.edits.len().saturating_mul(size_of::<Edit>() + 16);
        let inserted: usize = self.edits.iter().map(|edit| edit.insert.len()).sum();
        let stored = self.sequences.len();
        edits.saturating_add(inserted).saturating_add(stored).saturating_mul(2) as u64
    }

    /// What turns `made` into `wanted`, by common runs of at least `RUN` bytes.
    #[cfg(any(test, feature = "diff"))]
    pub fn find(made: &[u8], wanted: &[u8]) -> Self {
        find::find(made, wanted)
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

// Called from many places: inlined it would be a part of the agent's size.
#[inline(never)]
pub(crate) fn number(bytes: &mut &[u8]) -> Result<u64, CorrectionError> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(CorrectionError::Short)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CorrectionError::Short)
}

#[cfg(any(test, feature = "diff"))]
mod find {
    use super::{Correction, Edit};
    use alloc::vec::Vec;
    use std::collections::HashMap;

    /// The shortest run that is worth an edit.
    const RUN: usize = 12;

    pub(super) fn find(made: &[u8], wanted: &[u8]) -> Correction {
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (at, run) in made.windows(RUN).enumerate() {
            places.entry(run).or_default().push(at);
        }
        let (mut edits, mut from, mut to) = (Vec::new(), 0, 0);
        loop {
            let same = made.iter().skip(from).zip(wanted.iter().skip(to));
            let copy = same.take_while(|(a, b)| a == b).count();
            (from, to) = (from + copy, to + copy);
            if from == made.len() && to == wanted.len() {
                return Correction { edits, sequences: Vec::new() };
            }
            let start = (from, to);
            (from, to) = next_run(&places, made, wanted, from, to);
            edits.push(Edit {
                copy: copy as u64,
                skip: (from - start.0) as u64,
                insert: wanted.get(start.1..to).unwrap_or_default().to_vec(),
            });
        }
    }

    /// The nearest place from which both go on alike.
    fn next_run(
        places: &HashMap<&[u8], Vec<usize>>,
        made: &[u8],
        wanted: &[u8],
        from: usize,
        to: usize,
    ) -> (usize, usize) {
        for (ahead, run) in wanted.get(to..).unwrap_or_default().windows(RUN).enumerate() {
            let Some(places) = places.get(run) else { continue };
            if let Some(at) = places.get(places.partition_point(|at| *at < from)) {
                return (*at, to + ahead);
            }
        }
        (made.len(), wanted.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::corrector::Corrector;
    use alloc::vec;

    fn check(made: &[u8], wanted: &[u8], most: usize) {
        let correction = Correction::find(made, wanted);
        let bytes = correction.to_bytes();
        assert!(bytes.len() <= most, "{} bytes", bytes.len());
        assert_eq!(Correction::from_bytes(&mut bytes.as_slice()).as_ref(), Ok(&correction));
        for cut in 0..bytes.len() {
            assert!(Correction::from_bytes(&mut &bytes[..cut]).is_err());
        }
        for piece in [1, 3, 1 << 20] {
            let (mut corrector, mut out) =
                (Corrector::new(correction.clone().into_parts().0), vec![]);
            made.chunks(piece).for_each(|piece| corrector.push(piece, &mut out));
            corrector.push(&[], &mut out);
            assert!(out == wanted, "in pieces of {piece}");
        }
    }

    #[test]
    fn edits_give_what_is_wanted() {
        let made: Vec<u8> = (0..2000u32).map(|n| (n * n / 7) as u8).collect();
        let (start, end) = made.split_at(700);
        check(&made, &made, 1);
        check(&made, &[start, b"new", end].concat(), 10);
        check(&made, &[start, &end[40..]].concat(), 10);
        check(&made, &[&b"x"[..], &made, b"yz"].concat(), 15);
        check(&made, &[&made[..9], b"other", &made[10..1000], &made[1900..]].concat(), 20);
        check(&made, &[], 6);
        check(&[], &made, 2010);
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, (Correction::BYTES_MAX as u64 + 1) << 1);
        bytes.resize(Correction::BYTES_MAX + 100, 0);
        let size = Err(CorrectionError::Size(Correction::BYTES_MAX));
        assert_eq!(Correction::from_bytes(&mut bytes.as_slice()), size);
    }
}
