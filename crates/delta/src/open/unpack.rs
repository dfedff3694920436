//! Decoding whole streams into memory, within limits.

use super::{Form, guess, lz4};
use crate::recipe::Recipe;
use alloc::vec::Vec;

/// A stream's content.
pub(super) struct Unpacked {
    pub(super) plain: Vec<u8>,
    /// Encoded bytes.
    pub(super) consumed: usize,
    /// What decodes it.
    pub(super) recipe: Recipe,
}

/// How much room is made at a time, at least.
const PIECE: usize = 64 << 10;

/// Decodes the stream at the front of `bytes` if its content has at most `most` bytes.
pub(super) fn unpack(form: Form, bytes: &[u8], most: usize) -> Option<Unpacked> {
    unpack_counted(form, bytes, most, &mut 0)
}

/// As [`unpack`]; `spent` says how much content was made, in vain or not.
pub(super) fn unpack_counted(
    form: Form,
    bytes: &[u8],
    most: usize,
    spent: &mut usize,
) -> Option<Unpacked> {
    if let Form::Lz4(framing) = form {
        return lz4::unpack(framing, bytes, most, spent);
    }
    let recipe = guess::decodes(form, bytes)?;
    // The size is not known yet; windows are bounded by the recipe's limits.
    let mut decoder = recipe.decoder(most as u64).ok()?;
    let (mut plain, mut filled, mut consumed) = (Vec::new(), 0usize, 0usize);
    loop {
        if plain.len() - filled < PIECE / 2 {
            let len = (filled + filled / 2 + PIECE).min(most.checked_add(1)?);
            plain.resize(len.max(plain.len()), 0);
        }
        let input = bytes.get(consumed..)?;
        let step = decoder.step(input, plain.get_mut(filled..)?).ok()?;
        consumed += step.consumed;
        filled += step.filled;
        *spent = filled;
        if filled > most {
            return None;
        }
        if step.done {
            break;
        }
        if step.consumed == 0 && step.filled == 0 {
            return None;
        }
    }
    plain.truncate(filled);
    plain.shrink_to_fit();
    Some(Unpacked { plain, consumed, recipe })
}
