//! Streams of deflate: what their encoders chose.

use super::lzma::makes;
use crate::correction::Correction;
use crate::recipe::deflate::told::{Told, encoded_max};
use crate::recipe::{Recipe, Wrapper};
use crate::tokens::Hearing;
use alloc::vec::Vec;

/// What is around a stream that a recipe reads; none if it is no deflate.
pub(crate) fn around(recipe: &Recipe) -> Option<Wrapper> {
    match *recipe {
        Recipe::Deflate { wrapper, .. } | Recipe::DeflateTold(wrapper) => Some(wrapper),
        _ => None,
    }
}

/// The words of a stream of `plain` bytes of content, and the most tokens of a block whose
/// codes are built of them.
pub(crate) fn words(encoded: &[u8], plain: usize, wrapper: Wrapper) -> Option<(Vec<u8>, u64)> {
    let (mut hearing, mut words) = (Hearing::new(), Vec::new());
    hearing.hear(encoded.get(wrapper.head().len()..)?, true, &mut words, usize::MAX)?;
    // One that has much more bytes than it holds is not read.
    let all = (plain + words.len()) as u64;
    let sound = hearing.content == plain as u64 && encoded.len() as u64 <= encoded_max(all);
    sound.then_some((words, hearing.gathered))
}

/// How a stream of this content is told.
pub(crate) fn told(
    encoded: &[u8],
    plain: &[u8],
    wrapper: Wrapper,
    words: &[u8],
    gathered: u64,
) -> Option<(Recipe, Correction)> {
    let recipe = Recipe::DeflateTold(wrapper);
    let told = Told { words: words.len(), gathered, weave: None };
    let correction = Correction::of_sequences(told.to_bytes());
    makes(&recipe, &correction, [words, plain], encoded).then_some((recipe, correction))
}

#[cfg(test)]
mod tests;
