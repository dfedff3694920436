//! Sequences as words: content of streams whose encoder's choice is told.
//!
//! A sequence is a word of four bytes, so that old and new ones can be compared as
//! anything else is. Places are not in it: what did not change is told alike wherever
//! it stands.

use crate::sequences::Sequence;
use alloc::vec::Vec;

/// Literals and lengths from here on have a word of their own.
const SMALL: u32 = 15;

/// The same for offsets.
const NEAR: u32 = 0xff_ffff;

/// Appends a sequence: literals in four bits, how much longer than two the match is in
/// four more (0: the block ends), then 24 bits: 1 to 3 for a repeated offset, else the
/// offset and three. A field that is full is followed by its value.
#[inline(never)]
pub(crate) fn put(out: &mut Vec<u8>, sequence: Sequence) {
    let Sequence { offset, literals, length, repeat } = sequence;
    let length = length.saturating_sub(2);
    let code = match (length, repeat) {
        (0, _) => 0,
        (_, 0) => offset.saturating_add(3),
        (_, repeat) => repeat,
    };
    let fields = [(literals, SMALL), (length, SMALL), (code, NEAR)];
    let [low, middle, high] = fields.map(|(value, full)| value.min(full));
    out.extend((low | middle << 4 | high << 8).to_le_bytes());
    for (value, _) in fields.iter().filter(|(value, full)| value >= full) {
        out.extend(value.to_le_bytes());
    }
}

/// Reads words; ends where they end or make no sense.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(crate) fn new(words: &'a [u8]) -> Self {
        Self(words)
    }

    /// Bytes that are not read.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*word))
    }
}

/// Bytes of the sequence at the front of words, as far as its first word says.
fn length(words: &[u8]) -> Option<usize> {
    let word = u32::from_le_bytes(*words.first_chunk()?);
    let full = [(word & SMALL, SMALL), (word >> 4 & SMALL, SMALL), (word >> 8, NEAR)];
    Some(4 + 4 * full.iter().filter(|(field, full)| field == full).count())
}

/// Puts words together that come in pieces of any size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gather(Vec<u8>);

impl Gather {
    /// Nothing waits for more.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves words from the front of `pieces` to `out`, up to a sequence that `ends` says is
    /// the last. None if they make no sense.
    pub(crate) fn take(
        &mut self,
        pieces: &mut &[u8],
        out: &mut Vec<u8>,
        mut ends: impl FnMut(&Sequence) -> bool,
    ) -> Option<()> {
        while !pieces.is_empty() {
            let whole = length(pieces).filter(|len| self.0.is_empty() && *len <= pieces.len());
            let sequence = if let Some(len) = whole {
                let (sequence, rest) = pieces.split_at_checked(len)?;
                *pieces = rest;
                sequence_of(sequence, out)?
            } else {
                let missing = length(&self.0).unwrap_or(4).saturating_sub(self.0.len());
                let (part, rest) = pieces.split_at(missing.min(pieces.len()));
                self.0.extend_from_slice(part);
                *pieces = rest;
                if length(&self.0) != Some(self.0.len()) {
                    continue;
                }
                let sequence = sequence_of(&self.0, out)?;
                self.0.clear();
                sequence
            };
            if ends(&sequence) {
                break;
            }
        }
        Some(())
    }
}

/// Appends the words of one sequence, which is returned.
fn sequence_of(words: &[u8], out: &mut Vec<u8>) -> Option<Sequence> {
    let sequence = Words::new(words).next()?;
    out.extend_from_slice(words);
    Some(sequence)
}

impl Iterator for Words<'_> {
    type Item = Sequence;

    fn next(&mut self) -> Option<Sequence> {
        let word = self.word()?;
        let fields = [(word & SMALL, SMALL), (word >> 4 & SMALL, SMALL), (word >> 8, NEAR)];
        let mut values = [0; 3];
        for (value, (field, full)) in values.iter_mut().zip(fields) {
            *value = if field == full { self.word()? } else { field };
        }
        let [literals, length, code] = values;
        let (length, offset, repeat) = match (length, code) {
            (0, 0) => (0, 0, 0),
            (0, _) | (_, 0) => return None,
            (length, 1..=3) => (length.checked_add(2)?, 0, code),
            (length, code) => (length.checked_add(2)?, code - 3, 0),
        };
        Some(Sequence { offset, literals, length, repeat })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sequence() -> impl Strategy<Value = Sequence> {
        let size = prop_oneof![0..20u32, 0..0x2_0000u32];
        let offset = prop_oneof![1..300u32, 0xff_fff0..0x100_0010u32, 1..0x8000_0000u32];
        (size.clone(), size, offset, 0..5u32).prop_map(|(literals, length, offset, repeat)| match (
            length, repeat,
        ) {
            (0..3, _) => Sequence { literals, ..Sequence::default() },
            (_, 1..=3) => Sequence { offset: 0, literals, length, repeat },
            _ => Sequence { offset, literals, length, repeat: 0 },
        })
    }

    proptest! {
        #[test]
        fn words_say_what_was_put(wanted in proptest::collection::vec(any_sequence(), 0..40)) {
            let mut words = Vec::new();
            wanted.iter().for_each(|sequence| put(&mut words, *sequence));
            prop_assert!(words.len().is_multiple_of(4));
            let read: Vec<Sequence> = Words::new(&words).collect();
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn pieces_are_put_together(
            wanted in proptest::collection::vec(any_sequence(), 0..40),
            piece in 1..40usize,
        ) {
            let mut words = Vec::new();
            wanted.iter().for_each(|sequence| put(&mut words, *sequence));
            let (mut gather, mut out, mut ends) = (Gather::default(), Vec::new(), 0);
            for mut piece in words.chunks(piece) {
                while !piece.is_empty() {
                    let mut is_end = false;
                    let taken = gather.take(&mut piece, &mut out, |sequence| {
                        is_end = sequence.length == 0;
                        is_end
                    });
                    prop_assert!(taken.is_some());
                    ends += usize::from(is_end);
                }
            }
            prop_assert_eq!(out, words);
            prop_assert_eq!(ends, wanted.iter().filter(|sequence| sequence.length == 0).count());
        }

        #[test]
        fn any_bytes_are_read_to_an_end(words in proptest::collection::vec(any::<u8>(), 0..400)) {
            let count = Words::new(&words).count();
            let (mut rest, mut out) = (&words[..], Vec::new());
            let is_end = |sequence: &Sequence| sequence.length == 0;
            while !rest.is_empty() {
                if Gather::default().take(&mut rest, &mut out, is_end).is_none() {
                    break;
                }
            }
            prop_assert!(out.len() <= words.len());
            prop_assert!(count <= words.len() / 4);
        }
    }
}
