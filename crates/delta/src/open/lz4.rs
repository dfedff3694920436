//! Streams of LZ4: where they end, what makes them, and how those that stand side by
//! side become one.

use super::Stream;
use super::prove::Proof;
use super::shared::Shared;
use super::unpack::Unpacked;
use crate::correction::Correction;
use crate::patch::Holes;
use crate::recipe::lz4::block::{self, Parts, Place};
use crate::recipe::lz4::{Told, encoded_max};
use crate::recipe::{Framing, Lz4Recipe, Recipe};
use alloc::vec::Vec;

/// Content of a block of the older form, but of the last one.
const LEGACY_BLOCK: usize = 8 << 20;

/// Streams side by side are joined up to so many bytes of words and content: code is
/// compared best where it is not cut up, but all of it is decoded together.
const JOINED: usize = 128 << 10;

/// Words and what comes out, as a multiple of a stream's bytes, about.
const PROVING: usize = 4;

/// Decodes the stream at the front of `bytes`.
pub(super) fn unpack(
    framing: Framing,
    bytes: &[u8],
    most: usize,
    spent: &mut usize,
) -> Option<Unpacked> {
    let mut parts = Parts::new(bytes, framing, Place::default());
    let (mut plain, mut whole) = (Vec::new(), 0..0);
    let mut is_complete = framing == Framing::Legacy;
    while let Some(next) = parts.next() {
        let Some(part) = next else {
            is_complete = true;
            whole.end = parts.read();
            break;
        };
        if block::push(&mut plain, part, bytes, most).is_none() {
            *spent = if plain.len() == most { most.saturating_add(1) } else { plain.len() };
            break;
        }
        *spent = plain.len();
        if parts.is_between() {
            let content = plain.len() - whole.start;
            if framing == Framing::Legacy && content > LEGACY_BLOCK {
                break;
            }
            whole = plain.len()..parts.read();
            if framing == Framing::Legacy && content < LEGACY_BLOCK {
                break;
            }
        }
    }
    plain.truncate(whole.start);
    let consumed = whole.end;
    (is_complete && consumed as u64 <= encoded_max(plain.len() as u64)).then_some(())?;
    plain.shrink_to_fit();
    let recipe = Recipe::Lz4(Lz4Recipe { framing, told: false });
    Some(Unpacked { plain, consumed, recipe })
}

/// How a stream is made of its words and its content.
pub(super) fn prove(
    framing: Framing,
    encoded: &[u8],
    plain: &[u8],
    max_heap: u64,
    memory: &Shared,
) -> Proof {
    let _taken = memory.take((encoded.len() * PROVING) as u64);
    let Some((recipe, correction, words)) = told(framing, encoded) else {
        return Proof::NoRecipe;
    };
    let size = (words.len() + plain.len()) as u64;
    if recipe.corrected_heap(size, &correction) > max_heap {
        return Proof::Heap;
    }
    let made = || {
        let mut encoder = recipe.corrected(size, correction.clone()).ok()?;
        let mut made = Vec::with_capacity(encoded.len());
        encoder.push(&words, &mut made).ok()?;
        encoder.push(plain, &mut made).ok()?;
        encoder.finish(&mut made).ok()?;
        Some(made)
    };
    match made() {
        Some(made) if made == encoded => Proof::Begun(recipe, correction, words),
        _ => Proof::NoRecipe,
    }
}

/// The recipe of a stream, with what told, and its words.
fn told(framing: Framing, encoded: &[u8]) -> Option<(Recipe, Correction, Vec<u8>)> {
    let words = block::words(encoded, framing)?;
    let head = encoded.get(..block::head(encoded, framing)?)?.to_vec();
    let tail = match framing {
        // Zeros in the place of a size, and a sum.
        Framing::Frame if encoded.get(4)? & 4 != 0 => 8,
        Framing::Frame => 4,
        _ => 0,
    };
    let tail = encoded.get(encoded.len().checked_sub(tail)?..)?.to_vec();
    let told = Told { words: words.len(), weave: None, head, tail };
    let recipe = Recipe::Lz4(Lz4Recipe { framing, told: true });
    Some((recipe, Correction::of_sequences(told.to_bytes()), words))
}

/// Puts the words of old streams before their content where `new` is told, but not of
/// those that `stays` knows.
pub(crate) fn tell(
    streams: &mut Vec<Stream>,
    parent: &[u8],
    new: &[Stream],
    stays: &dyn Fn(&[u8]) -> bool,
) {
    if any_told(new) {
        tell_all(streams, parent, stays);
    }
}

fn any_told(streams: &[Stream]) -> bool {
    let lz4 = |stream: &Stream| matches!(stream.recipe, Recipe::Lz4(_));
    streams.iter().any(|stream| lz4(stream) || any_told(&stream.inner))
}

fn tell_all(streams: &mut Vec<Stream>, parent: &[u8], stays: &dyn Fn(&[u8]) -> bool) {
    for stream in streams.iter_mut() {
        tell_all(&mut stream.inner, &stream.plain, stays);
        let Recipe::Lz4(recipe) = stream.recipe else { continue };
        let encoded = stream.encoded(parent);
        if stays(&encoded) {
            continue;
        }
        let Some((recipe, correction, words)) = told(recipe.framing, &encoded) else { continue };
        (stream.recipe, stream.correction) = (recipe, correction);
        stream.begin_with(words);
    }
    join(streams);
}

/// Makes one stream of those that are told, have pages of their own and stand side by
/// side: first the words of all of them, then their content.
pub(super) fn join(streams: &mut Vec<Stream>) {
    let mut joined: Vec<Stream> = Vec::with_capacity(streams.len());
    let mut parts: Vec<Stream> = Vec::new();
    for stream in streams.drain(..) {
        if !parts.is_empty() && !goes_on(&parts, &stream) {
            joined.extend(one(core::mem::take(&mut parts)));
        }
        parts.push(stream);
    }
    joined.extend(one(parts));
    *streams = joined;
}

/// A stream can be joined to those before it.
fn goes_on(parts: &[Stream], next: &Stream) -> bool {
    let Some(last) = parts.last() else { return false };
    let is_page = |stream: &Stream| {
        let Recipe::Lz4(recipe) = stream.recipe else { return false };
        let alone = stream.holes.is_empty() && stream.inner.is_empty();
        recipe.told && alone && matches!(recipe.framing, Framing::Each { .. })
    };
    let plain: usize = parts.iter().chain([next]).map(|part| part.plain.len()).sum();
    let encoded: u64 = parts.iter().chain([next]).map(|part| part.len).sum();
    is_page(last)
        && is_page(next)
        && last.recipe == next.recipe
        && last.at + last.len == next.at
        && plain <= JOINED
        && encoded <= encoded_max(plain as u64)
}

/// All of them as one.
fn one(mut parts: Vec<Stream>) -> Option<Stream> {
    if parts.len() < 2 {
        return parts.pop();
    }
    let (mut words, mut content) = (Vec::new(), Vec::new());
    for part in &parts {
        let told = Told::read(part.correction.sequences()).unwrap_or_default();
        let (before, behind) = part.plain.split_at_checked(told.words)?;
        words.extend_from_slice(before);
        content.extend_from_slice(behind);
    }
    let told = Told { words: words.len(), ..Told::default() };
    words.append(&mut content);
    let first = parts.first()?;
    Some(Stream {
        at: first.at,
        len: parts.iter().map(|part| part.len).sum(),
        holes: Holes::default(),
        recipe: first.recipe,
        correction: Correction::of_sequences(told.to_bytes()),
        plain: words,
        inner: Vec::new(),
        container: first.container,
    })
}

#[cfg(test)]
mod tests;
