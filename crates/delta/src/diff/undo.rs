//! Bytes that are others for a while: what they were, in little memory.

use alloc::vec::Vec;

/// Bytes that are the same and stand between two that differ are kept with them, if they
/// are fewer: so what is kept is never longer than all bytes.
const BETWEEN: usize = 3;

/// The most bytes of one piece.
const PIECE: usize = 255;

/// What bytes were before others took their place.
pub(crate) struct Undo {
    /// Of each piece: how many bytes stand before it, seven bits in each byte; its
    /// length; its bytes.
    pieces: Vec<u8>,
}

impl Undo {
    /// Puts `others`, of the same length, in the place of `bytes`.
    pub(crate) fn replace(bytes: &mut Vec<u8>, others: Vec<u8>) -> Self {
        let (mut pieces, mut at, mut end) = (Vec::new(), 0, 0);
        while let Some(start) = next(bytes, &others, at) {
            let mut until = start + 1;
            at = until;
            while let Some(byte) = bytes.get(at).filter(|_| at < start + PIECE) {
                at += 1;
                if others.get(at - 1) != Some(byte) {
                    until = at;
                } else if at - until >= BETWEEN {
                    break;
                }
            }
            put(&mut pieces, start - end);
            pieces.push((until - start) as u8);
            pieces.extend_from_slice(bytes.get(start..until).unwrap_or_default());
            (at, end) = (until, until);
        }
        *bytes = others;
        Self { pieces }
    }

    /// Puts back what was there.
    pub(crate) fn undo(self, bytes: &mut [u8]) {
        let (mut rest, mut at) = (self.pieces.as_slice(), 0);
        while let Some((gap, more)) = take(rest)
            && let Some((len, more)) = more.split_first()
            && let Some((piece, more)) = more.split_at_checked(usize::from(*len))
        {
            at += gap;
            if let Some(place) = bytes.get_mut(at..at + piece.len()) {
                place.copy_from_slice(piece);
            }
            at += piece.len();
            rest = more;
        }
    }
}

/// The next place from `at` on where bytes differ.
fn next(bytes: &[u8], others: &[u8], at: usize) -> Option<usize> {
    let start = at + super::index::common(bytes.get(at..)?, others.get(at..)?);
    (start < bytes.len()).then_some(start)
}

fn put(pieces: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        pieces.push(number as u8 | 0x80);
        number >>= 7;
    }
    pieces.push(number as u8);
}

fn take(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = bytes.iter().position(|byte| *byte < 0x80)? + 1;
    let (number, rest) = bytes.split_at_checked(len)?;
    Some((number.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn check(before: &[u8], others: &[u8]) {
        let mut bytes = before.to_vec();
        let undo = Undo::replace(&mut bytes, others.to_vec());
        assert!(bytes == others && undo.pieces.len() <= before.len() + before.len() / 64 + 4);
        undo.undo(&mut bytes);
        assert!(bytes == before, "other bytes came back");
    }

    #[test]
    fn what_was_there_comes_back() {
        check(&[], &[]);
        check(&[1; 1000], &[1; 1000]);
        check(&[1; 1000], &[2; 1000]);
        let same = vec![7; 100_000];
        let mut others = same.clone();
        for each in [1, 2, 3, 4, 5, 9, 300, 40_000] {
            others.iter_mut().step_by(each).for_each(|byte| *byte ^= each as u8);
            check(&same, &others);
            others.fill(7);
            others.iter_mut().step_by(each).for_each(|byte| *byte ^= 1);
            check(&same, &others);
        }
        *others.last_mut().unwrap() ^= 1;
        check(&same, &others);
    }
}
