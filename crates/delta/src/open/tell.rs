//! Streams whose encoders' choices are told: how frames of zstd are made of them, and what
//! the old image has told already.

pub(crate) mod deflate;
pub(crate) mod edits;
pub(crate) mod lzma;

use super::{Place, Stream};
use crate::codec::zstd::ZstdOptions;
use crate::correction::Correction;
use crate::recipe::Recipe;
use crate::recipe::told::Told;
use crate::recipe::words::Words;
use crate::recipe::zstd_frame::{self, Head, Reader};
use crate::sequences::{BLOCK, Sequence};
use alloc::borrow::ToOwned as _;
use alloc::vec::Vec;
use core::ops::Range;
use std::sync::OnceLock;

/// So many sequences that follow each other in old and new are probably the same ones.
const FEW: usize = 3;

/// What a sequence takes in a patch that the old image does not tell, in tenths of a byte
/// of edits, which are coded less well: as measured.
const UNHEARD: usize = 30;

/// Strategies by libzstd's numbers, of the levels that choose otherwise first; the last is
/// that of levels below zero.
const STRATEGIES: [i8; 10] = [9, 8, 7, 6, 5, 4, 3, 2, 1, -1];

/// The same for one that it tells, as a part of a byte: copies of them begin and end.
const HEARD_SHARE: usize = 10;

/// The same for a frame: its head, and where in old its words are.
const BEGUN: usize = 64;

/// An old frame is told if at least this part of what it says is told of new ones.
const ALIKE_SHARE: usize = 4;

/// What telling sequences costs, in bytes of edits.
pub(super) fn cost(wanted: &[Sequence], known: &Spoken<'_>) -> usize {
    let unheard = wanted.windows(FEW).filter(|few| !known.holds(few)).count();
    BEGUN + wanted.len() / HEARD_SHARE + unheard * UNHEARD / 10
}

/// How a frame is made of its words and its content, and the words that make it: those
/// given, unless blocks have to be told, too.
pub(super) fn told(
    encoded: &[u8],
    plain: &[u8],
    words: Vec<u8>,
    place: &Place,
) -> Option<(Recipe, Correction, Vec<u8>)> {
    let ends = ends(encoded)?;
    let frame = Frame { encoded, plain, words: &words, ends: &ends };
    let told = Told { words: words.len(), ..outside(encoded)? };
    if let Some((recipe, told)) = frame.told(&told, place) {
        return Some((recipe, Correction::of_sequences(told.to_bytes()), words));
    }
    let (words, blocks) = zstd_frame::blocks(encoded, plain.len())?;
    let frame = Frame { words: &words, ..frame };
    let told = Told { words: words.len(), blocks, ..told };
    let (recipe, told) = frame.told(&told, place)?;
    Some((recipe, Correction::of_sequences(told.to_bytes()), words))
}

/// Streams of more bytes have their words between their content, so that a cut does not
/// cost all of a patch.
const WOVEN: usize = 192 << 10;

/// A frame has so many bytes that it is gone on with in its middle.
pub(super) fn is_long(encoded: &[u8]) -> bool {
    encoded.len() > WOVEN
}

/// Puts the words of a long stream into its content, between the streams in it.
pub(super) fn weave(stream: &mut Stream, words: Vec<u8>, encoded: &[u8], known: &Spoken<'_>) {
    if !is_long(encoded) || woven(stream, &words, encoded, known).is_none() {
        stream.begin_with(words);
    }
}

fn woven(stream: &mut Stream, words: &[u8], encoded: &[u8], known: &Spoken<'_>) -> Option<()> {
    let mut told = stream.recipe.told(&stream.correction)?;
    let closed = closed(stream);
    let runs = || lzma::runs(words, &closed, known);
    let (plain, places) = told.weave(words, &stream.plain, &closed, &runs)?;
    let correction = Correction::of_sequences(told.to_bytes());
    is_made(stream.recipe, &correction, &plain, encoded).then_some(())?;
    (stream.plain, stream.correction) = (plain, correction);
    shift(stream, places);
    Some(())
}

/// Where in a stream's content no words have room.
fn closed(stream: &Stream) -> Vec<Range<usize>> {
    let range = |inner: &Stream| inner.at as usize..(inner.at + inner.len) as usize;
    stream.inner.iter().map(range).collect()
}

/// Streams in content stand behind the words that came between it.
fn shift(stream: &mut Stream, places: Vec<(usize, usize)>) {
    let (mut places, mut before) = (places.into_iter().peekable(), 0);
    for inner in &mut stream.inner {
        while let Some((_, words)) = places.next_if(|(at, _)| *at as u64 <= inner.at) {
            before += words as u64;
        }
        inner.at += before;
    }
}

/// The frame comes out with words in other places, too.
fn is_made(recipe: Recipe, correction: &Correction, plain: &[u8], encoded: &[u8]) -> bool {
    let Ok(mut encoder) = recipe.corrected(plain.len() as u64, correction.clone()) else {
        return false;
    };
    let (mut made, mut same) = (Vec::new(), 0);
    let mut take = |made: &mut Vec<u8>| {
        let alike = encoded.get(same..).is_some_and(|rest| rest.starts_with(made));
        same += made.len();
        made.clear();
        alike
    };
    let pieces =
        plain.chunks(BLOCK).all(|piece| encoder.push(piece, &mut made).is_ok() && take(&mut made));
    pieces && encoder.finish(&mut made).is_ok() && take(&mut made) && same == encoded.len()
}

/// What stands before and behind a frame's blocks.
fn outside(encoded: &[u8]) -> Option<Told> {
    let head = Head::read(encoded)?;
    let at = encoded.len().checked_sub(head.tail)?;
    let (head, tail) = (encoded.get(4..head.len)?.to_owned(), encoded.get(at..)?.to_owned());
    Some(Told { head, tail, ..Told::default() })
}

/// Who may have coded a frame: what worked in its place, and then everybody. Where blocks
/// are told, nobody divides them.
fn coders(place: &Place, blocks_told: bool) -> Vec<ZstdOptions> {
    let (favourites, _) = place.favourites();
    let favourites = favourites.into_iter().filter_map(|recipe| match recipe {
        Recipe::Zstd(options) if options.has(ZstdOptions::TOLD) => Some(options),
        _ => None,
    });
    let splits = if blocks_told {
        &[ZstdOptions::NO_SPLIT_AFTER][..]
    } else {
        &[0, ZstdOptions::NO_SPLIT_AFTER]
    };
    let others = splits.iter().flat_map(|switch| {
        STRATEGIES.map(|level| ZstdOptions {
            level,
            switches: ZstdOptions::TOLD | switch,
            ..ZstdOptions::default()
        })
    });
    let mut coders = Vec::new();
    for options in favourites.chain(others) {
        if !(coders.contains(&options) || blocks_told && !options.has(ZstdOptions::NO_SPLIT_AFTER))
        {
            coders.push(options);
        }
    }
    coders
}

/// Where in a frame each 128 KiB of content end.
fn ends(encoded: &[u8]) -> Option<Vec<usize>> {
    let (mut reader, mut ends) = (Reader::new(), Vec::new());
    let mut words = Vec::new();
    while !reader.ended {
        reader.next(encoded)?;
        reader.swap(&mut words);
        words.clear();
        if reader.done().is_multiple_of(BLOCK) && reader.done() / BLOCK > ends.len() {
            ends.push(reader.at);
        }
    }
    Some(ends)
}

/// A frame that is to be made.
struct Frame<'a> {
    encoded: &'a [u8],
    plain: &'a [u8],
    words: &'a [u8],
    /// Where each 128 KiB of content end.
    ends: &'a [usize],
}

impl Frame<'_> {
    /// The recipe that makes it, and with what told.
    fn told(&self, told: &Told, place: &Place) -> Option<(Recipe, Told)> {
        coders(place, !told.blocks.is_empty()).into_iter().find_map(|options| {
            let recipe = Recipe::Zstd(options);
            Some((recipe, self.periods(told, &recipe)?))
        })
    }

    /// With what period of blocks the recipe makes it.
    fn periods(&self, told: &Told, recipe: &Recipe) -> Option<Told> {
        let mut told = told.clone();
        let same = self.agreement(&told, recipe)?;
        if same == self.encoded.len() {
            return Some(told);
        }
        // Where an encoder began afresh, the first other byte is in the next block.
        let block = self.ends.partition_point(|end| *end <= same);
        let powers = (1..=block.checked_ilog2()?).rev().map(|shift| 1 << shift);
        let powers = powers.filter(|power| block.is_multiple_of(*power) && *power < block);
        for period in core::iter::once(block).chain(powers) {
            told.every = period;
            if self.agreement(&told, recipe)? == self.encoded.len() {
                return Some(told);
            }
        }
        None
    }

    /// How many bytes come out right; all of them only if no more come out.
    fn agreement(&self, told: &Told, recipe: &Recipe) -> Option<usize> {
        let correction = Correction::of_sequences(told.to_bytes());
        let size = (self.words.len() + self.plain.len()) as u64;
        let mut encoder = recipe.corrected(size, correction).ok()?;
        let (mut made, mut same) = (Vec::new(), 0);
        encoder.push(self.words, &mut made).ok()?;
        let mut pieces = self.plain.chunks(BLOCK);
        loop {
            let piece = pieces.next();
            let coded = match piece {
                Some(piece) => encoder.push(piece, &mut made),
                None => encoder.finish(&mut made),
            };
            let wanted = self.encoded.get(same..).unwrap_or_default();
            let alike = made.iter().zip(wanted).take_while(|(a, b)| a == b).count();
            same += alike;
            if coded.is_err() || alike < made.len() {
                return Some(same.min(self.encoded.len().saturating_sub(1)));
            }
            made.clear();
            if piece.is_none() {
                return Some(same);
            }
        }
    }
}

/// Which sequences follow each other in the old image, about: a bit for each number that
/// some of them make. They are looked at when somebody asks.
pub(crate) struct Spoken<'a> {
    streams: &'a [Stream],
    image: &'a [u8],
    bits: OnceLock<Vec<u64>>,
}

/// Bits, as a power of two: those of a GiB of content set a tenth of them.
const BITS: u32 = 27;

/// The place of a bit.
fn bit(few: &[Sequence]) -> (usize, u32) {
    let mix = |sum: u64, part: u32| (sum ^ u64::from(part)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let parts = few.iter().flat_map(|s| [s.literals, s.length, s.offset ^ s.repeat << 30]);
    let sum = parts.fold(0, |sum: u64, part| mix(sum.rotate_left(23), part));
    let place = sum >> (u64::BITS - BITS);
    ((place / 64) as usize, (place % 64) as u32)
}

impl<'a> Spoken<'a> {
    /// In all streams of an image.
    pub(crate) fn new(streams: &'a [Stream], image: &'a [u8]) -> Self {
        Self { streams, image, bits: OnceLock::new() }
    }

    fn holds(&self, few: &[Sequence]) -> bool {
        let bits = self.bits.get_or_init(|| {
            let mut bits = alloc::vec![0; 1 << (BITS - 6)];
            listen(&mut bits, self.streams, self.image);
            bits
        });
        is_noted(bits, few)
    }
}

fn listen(bits: &mut [u64], streams: &[Stream], parent: &[u8]) {
    for stream in streams {
        listen(bits, &stream.inner, &stream.plain);
        if let Some(words) = words_of(stream, parent) {
            note(bits, &words);
        }
    }
}

/// The same for what is told of the new image.
fn listen_to_told(bits: &mut [u64], streams: &[Stream]) {
    for stream in streams {
        listen_to_told(bits, &stream.inner);
        if let Some(words) = told_words(stream) {
            note(bits, &words);
        }
    }
}

fn note(bits: &mut [u64], words: &[u8]) {
    let all: Vec<Sequence> = Words::new(words).collect();
    for (word, bit) in all.windows(FEW).map(bit) {
        if let Some(word) = bits.get_mut(word) {
            *word |= 1 << bit;
        }
    }
}

fn is_noted(bits: &[u64], few: &[Sequence]) -> bool {
    let (word, place) = bit(few);
    bits.get(word).is_some_and(|word| word >> place & 1 == 1)
}

/// The words of a new stream.
fn told_words(stream: &Stream) -> Option<Vec<u8>> {
    stream.recipe.told(&stream.correction)?.words_of(&stream.plain)
}

/// The words of an old stream, if its encoder's choice can be told.
fn words_of(stream: &Stream, parent: &[u8]) -> Option<Vec<u8>> {
    let (encoded, plain) = (stream.encoded(parent), stream.plain.len());
    if let Recipe::Zstd(_) = stream.recipe {
        return zstd_frame::words(&encoded, plain);
    }
    if let Some(wrapper) = deflate::around(&stream.recipe) {
        return deflate::words(&encoded, plain, wrapper).map(|(words, _)| words);
    }
    lzma::words(&encoded, plain, lzma::telling(&stream.recipe)?).map(|(words, _)| words)
}

/// Whether a recipe's streams begin with words.
pub(super) fn is_told(recipe: &Recipe) -> bool {
    match recipe {
        Recipe::Zstd(options) => options.has(ZstdOptions::TOLD),
        Recipe::Lz4(recipe) => recipe.told,
        Recipe::Lzma(recipe) => recipe.told,
        Recipe::DeflateTold(_) => true,
        _ => false,
    }
}

/// The recipe of an old stream that begins with its words.
fn beginning(recipe: &Recipe) -> Option<Recipe> {
    match *recipe {
        Recipe::Zstd(options) => {
            let switches = options.switches | ZstdOptions::TOLD;
            Some(Recipe::Zstd(ZstdOptions { switches, ..options }))
        }
        Recipe::Deflate { wrapper, .. } => Some(Recipe::DeflateTold(wrapper)),
        _ => lzma::telling(recipe).map(Recipe::Lzma),
    }
}

/// Whether one of the streams, or of those in them, is told.
fn any_told(streams: &[Stream]) -> bool {
    streams.iter().any(|stream| is_told(&stream.recipe) || any_told(&stream.inner))
}

/// Puts the words of old frames before their content where `new` has told frames that say
/// much the same, but not of those that `stays` knows. Others are left alone: words between
/// contents take them further from each other, and addresses in code count that.
pub(crate) fn tell(
    streams: &mut [Stream],
    parent: &[u8],
    new: &[Stream],
    stays: &dyn Fn(&[u8]) -> bool,
) {
    if any_told(new) {
        let mut bits = alloc::vec![0; 1 << (BITS - 6)];
        listen_to_told(&mut bits, new);
        tell_what_is_noted(streams, parent, &bits, stays);
    }
}

fn tell_what_is_noted(
    streams: &mut [Stream],
    parent: &[u8],
    bits: &[u64],
    stays: &dyn Fn(&[u8]) -> bool,
) {
    for stream in streams {
        tell_what_is_noted(&mut stream.inner, &stream.plain, bits, stays);
        let Some(recipe) = beginning(&stream.recipe) else { continue };
        if stays(&stream.encoded(parent)) {
            continue;
        }
        let Some(words) = words_of(stream, parent) else { continue };
        let all: Vec<Sequence> = Words::new(&words).collect();
        let noted = all.windows(FEW).filter(|few| is_noted(bits, few)).count();
        if noted * ALIKE_SHARE < all.len() {
            continue;
        }
        stream.recipe = recipe;
        stream.begin_with(words);
    }
}

#[cfg(test)]
pub(super) mod tests;
