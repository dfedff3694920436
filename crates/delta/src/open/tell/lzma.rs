//! Streams of LZMA: what their encoders chose, and how it is told.

use super::{FEW, Spoken, UNHEARD};
use crate::correction::Correction;
use crate::open::bytes::u16_at;
use crate::packets::{LENGTH_MIN, Packet};
use crate::recipe::lzma::{
    ALONE_HEAD, Chunk, ChunkKind, LZIP_HEAD, LZIP_TAIL, RUN_UNIT, Told, ToldReader, converts,
};
use crate::recipe::words::Words;
use crate::recipe::{Frame, LzmaRecipe, Recipe, xz};
use alloc::borrow::ToOwned as _;
use alloc::vec::Vec;
use core::ops::Range;

/// How much content an encoder gets before its output is looked at.
const PIECE: usize = 128 << 10;

/// What reads a stream that a recipe reads, words included, and makes it again; none if it
/// is no stream of LZMA.
pub(crate) fn telling(recipe: &Recipe) -> Option<LzmaRecipe> {
    match *recipe {
        Recipe::Lzma(recipe) => Some(LzmaRecipe { told: true, ..recipe }),
        Recipe::Xz(xz) => {
            (xz.branch == 0 || converts(xz.branch)).then_some(())?;
            let frame = Frame::Xz { check: xz.check, branch: xz.branch };
            let options = xz.options;
            let properties = (options.pb * 5 + options.lp) * 9 + options.lc;
            Some(LzmaRecipe { frame, dict_byte: xz.dict_byte, properties, told: true })
        }
        _ => None,
    }
}

/// What reads such a stream's content with no more memory than that, where the library
/// takes as much as the dictionary has.
pub(crate) fn reading(recipe: &Recipe) -> Option<Recipe> {
    Some(Recipe::Lzma(LzmaRecipe { told: false, ..telling(recipe)? }))
}

/// The words of a stream of `plain` bytes of content, and whether its last packet says
/// that it is the last.
pub(crate) fn words(encoded: &[u8], plain: usize, recipe: LzmaRecipe) -> Option<(Vec<u8>, bool)> {
    let mut reader = ToldReader::new(recipe, plain as u64).ok()?;
    let (mut words, mut at) = (Vec::new(), 0);
    let mut piece = alloc::vec![0; PIECE];
    while !reader.is_over() {
        let step = reader.step(encoded.get(at..)?, &mut piece).ok()?;
        at += step.consumed;
        words.extend_from_slice(piece.get(..step.filled)?);
        if step.consumed == 0 && step.filled == 0 && !reader.is_over() {
            return None;
        }
    }
    (reader.content() == plain).then_some((words, reader.marked))
}

/// How a stream of this content is told: the correction, and its words.
pub(crate) fn told(
    encoded: &[u8],
    plain: &[u8],
    recipe: LzmaRecipe,
    words: &[u8],
    marked: bool,
) -> Option<(Recipe, Correction)> {
    let Layout { heads, chunks, tail } = Layout::of(encoded, recipe)?;
    let reach = reach(words);
    let natural = match recipe.frame {
        Frame::Xz { branch, .. } => {
            let head = xz::plain_header(branch, recipe.dict_byte);
            heads.chunks(head.len()).all(|other| other == head)
        }
        _ => false,
    };
    let heads = if natural { Vec::new() } else { heads };
    let told = Told { words: words.len(), reach, heads, marked, tail, ..Told::default() };
    let ways = [Vec::new(), chunks];
    ways.into_iter().find_map(|chunks| {
        let told = Told { chunks, ..told.clone() };
        let correction = Correction::of_sequences(told.to_bytes());
        let recipe = Recipe::Lzma(recipe);
        makes(&recipe, &correction, [words, plain], encoded).then_some((recipe, correction))
    })
}

/// So much of a patch, in tenths of a byte, the words of a run and its content should take
/// at most, as far as words tell: what a cut costs is at most what it begins in and half of
/// what may be.
const RUN_COST: usize = 10 * (32 << 10);

/// The most content of a run.
const RUN_MAX: usize = 1 << 20;

/// What a literal takes in a patch that the old image does not tell, in tenths of a byte.
const LITERAL: usize = 6;

/// How content is divided into runs of which each costs little of a patch; none ends in
/// the ranges `closed` of the content. All but the last one.
pub(super) fn runs(words: &[u8], closed: &[Range<usize>], known: &Spoken<'_>) -> Vec<usize> {
    let (mut runs, mut begin, mut cost) = (Vec::new(), 0, 0);
    for (unit, price) in prices(words, known).into_iter().enumerate() {
        let at = unit * RUN_UNIT;
        let inside = closed.iter().any(|range| range.start < at && at < range.end);
        let over = cost + price > RUN_COST || at - begin >= RUN_MAX;
        if over && at > begin && !inside {
            runs.push(at - begin);
            (begin, cost) = (at, 0);
        }
        cost += price;
    }
    runs
}

/// What each unit of content probably takes of a patch.
fn prices(words: &[u8], known: &Spoken<'_>) -> Vec<usize> {
    let sequences: Vec<_> = Words::new(words).collect();
    let (mut prices, mut at) = (Vec::new(), 0);
    for (number, sequence) in sequences.iter().enumerate() {
        let from = number.saturating_sub(FEW - 1);
        let heard = sequences.get(from..=number).is_some_and(|few| known.holds(few));
        let literals = sequence.literals as usize;
        let end = at + literals + sequence.length.saturating_sub(2) as usize;
        let (word, literal) = if heard { (1, 0) } else { (UNHEARD, LITERAL) };
        prices.resize(end.div_ceil(RUN_UNIT).max(prices.len()), 0);
        let mut put = |place: usize, price: usize| {
            if let Some(sum) = prices.get_mut(place / RUN_UNIT) {
                *sum += price;
            }
        };
        put(at, word);
        (at..at + literals).for_each(|place| put(place, literal));
        at = end;
    }
    prices
}

/// Whether exactly a stream comes out.
pub(super) fn makes(
    recipe: &Recipe,
    correction: &Correction,
    from: [&[u8]; 2],
    encoded: &[u8],
) -> bool {
    let size = from.map(<[u8]>::len).into_iter().sum::<usize>() as u64;
    let Ok(mut encoder) = recipe.corrected(size, correction.clone()) else { return false };
    let (mut made, mut rest) = (Vec::new(), encoded);
    for piece in from.into_iter().flat_map(|part| part.chunks(PIECE)) {
        let coded = encoder.push(piece, &mut made);
        let Some(behind) = rest.strip_prefix(&*made).filter(|_| coded.is_ok()) else {
            return false;
        };
        rest = behind;
        made.clear();
    }
    encoder.finish(&mut made).is_ok() && made == rest
}

/// How far back the bytes are that literals depend on: the first behind each match does on
/// the one at its distance.
fn reach(words: &[u8]) -> u64 {
    let (mut last, mut most, mut behind) = ([0u32; 4], 0, false);
    for sequence in Words::new(words) {
        if behind && sequence.literals > 0 {
            most = most.max(u64::from(last[0]) + 1);
        }
        behind = sequence.length > 0;
        if !behind {
            last = [0; 4];
        }
        match Packet::of(&sequence) {
            Some(Packet::Match { distance, .. }) => last = [distance, last[0], last[1], last[2]],
            Some(Packet::Repeat { which, length }) if length >= LENGTH_MIN => {
                if let Some(moved) = last.get_mut(..=which) {
                    moved.rotate_right(1);
                }
            }
            _ => {}
        }
    }
    most
}

/// What of a stream is no packet.
struct Layout {
    heads: Vec<u8>,
    chunks: Vec<Chunk>,
    tail: Vec<u8>,
}

impl Layout {
    fn of(encoded: &[u8], recipe: LzmaRecipe) -> Option<Self> {
        let without_chunks = |head: usize, tail: usize| {
            let tail = encoded.len().checked_sub(tail)?;
            let (heads, tail) = (encoded.get(..head)?.to_owned(), encoded.get(tail..)?.to_owned());
            Some(Self { heads, chunks: Vec::new(), tail })
        };
        match recipe.frame {
            Frame::Xz { check, .. } => Self::xz(encoded, check),
            Frame::Alone => without_chunks(ALONE_HEAD, 0),
            Frame::Lzip => without_chunks(LZIP_HEAD, LZIP_TAIL),
        }
    }

    /// Block by block, up to the index.
    fn xz(encoded: &[u8], check: u8) -> Option<Self> {
        let (mut heads, mut chunks, mut at) = (Vec::new(), Vec::new(), 12);
        loop {
            let size = usize::from(*encoded.get(at)?);
            if size == 0 {
                return Some(Self { heads, chunks, tail: Vec::new() });
            }
            let start = at + (size + 1) * 4;
            heads.extend_from_slice(encoded.get(at..start)?);
            at = start;
            while let Some(control) = encoded.get(at).filter(|control| **control > 0) {
                let size = usize::from(u16_at(encoded, at + 1)?.swap_bytes()) + 1;
                let kind = ChunkKind::of(*control)?;
                let (high, len) = match kind {
                    ChunkKind::Plain { .. } => (0, 3 + size),
                    ChunkKind::Packets { reset } => {
                        let packed = usize::from(u16_at(encoded, at + 3)?.swap_bytes()) + 1;
                        let head = 5 + usize::from(reset >= 2);
                        (usize::from(*control & 0x1f) << 16, head + packed)
                    }
                };
                chunks.push(Chunk { size: high + size, kind });
                at += len;
            }
            at = (at + 1 - start).next_multiple_of(4) + start + xz::check_len(check);
        }
    }
}

#[cfg(test)]
mod tests;
