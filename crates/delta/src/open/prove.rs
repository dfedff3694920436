//! Whether a recipe makes a stream, and what is missing where it nearly does.

use super::guess::candidates;
use super::lz4;
use super::shared::Shared;
use super::tell::{self, Spoken};
use super::{Form, Place};
use crate::codec::zstd::{Chooser, ZstdEncoder, sequences_max};
use crate::correction::Correction;
use crate::recipe::words::Words;
use crate::recipe::{Recipe, Wrapper, zstd_frame};
use crate::sequences::{self, BLOCK, Sequence, Stored};
use crate::tokens::{self, Told};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// How much content the encoder gets before its output is looked at.
const PIECE: usize = 128 << 10;

/// How much smaller than its stream a correction must be to be worth the work.
const CORRECTION_SHARE: usize = 5;

/// What must come out right before the first difference for edits to be looked
/// for, as a part of the stream: coders with a state seldom find back.
const AGREEMENT_SHARE: usize = 2;

/// Streams with more content are not corrected by their sequences, all of which
/// are held in memory.
const RECHOSEN_MAX: usize = 256 << 20;

/// Bytes of content by which the level of such a stream is found: so many that
/// libzstd takes the same parameters as for any number more.
const TRIED: usize = 4 * BLOCK;

/// Streams of deflate with more content are not corrected by their matches: too many
/// edits.
const RETOLD_MAX: usize = 64 << 20;

/// Levels of zlib that other encoders' choices are compared with; all of them where there
/// is not more content than this.
const RETOLD_LEVELS: [u8; 3] = [9, 6, 1];
const RETOLD_BY_ALL: usize = 16 << 20;

/// Edits of so small a part of the stream are those of the right level.
const CERTAIN_SHARE: usize = 50;

/// So many recipes of zlib are tried before another encoder's choices are looked at: it is
/// far from all of them, or that near to one.
const LIKELY: usize = 3;

/// Edits of sequences may have this share of their stream's bytes, in hundredths:
/// what is left of the gain must pay for the work.
const RECHOSEN_PERCENT: usize = 60;

/// Where telling a long frame takes so small a part of it, no edits are looked for, which
/// takes long.
const LITTLE_SHARE: usize = 20;

/// More bytes of edits of sequences come between the content: a correction is in the lists
/// of a span, which must not be too long.
const EDITS_MAX: usize = 64 << 10;

/// Two choices of matches take so many times what they are kept for, about.
const CHOICE_SHARE: usize = 8;

/// What an encoder of LZMA chose, in words and read, and content in a window, take so many
/// times the content, about.
const TOLD_SHARE: usize = 3;

/// Streams above this size are not corrected byte by byte.
const CORRECTED_MAX: usize = 4 << 20;

/// What proving came to.
pub(super) enum Proof {
    /// The recipe makes it, with a correction that may be empty.
    Made(Recipe, Correction),
    /// The same, of this and the content: words or edits.
    Begun(Recipe, Correction, Vec<u8>),
    /// None does.
    NoRecipe,
    /// Those that might need too much memory.
    Heap,
}

/// Finds the recipe that makes `encoded` of `plain`.
pub(super) fn prove(
    form: Form,
    encoded: &[u8],
    plain: &[u8],
    place: &Place,
    max_heap: u64,
    memory: &Shared,
    known: &Spoken<'_>,
) -> Proof {
    if let Form::Lz4(framing) = form {
        return lz4::prove(framing, encoded, plain, max_heap, memory);
    }
    let mut all = likely(form, encoded, plain.len(), place);
    let found = all.len();
    let asks = |recipe: &Recipe| recipe.encoder_asks(plain.len() as u64);
    all.retain(|recipe| {
        recipe.encoder_heap(plain.len() as u64) <= max_heap && asks(recipe) <= memory.all()
    });
    let most = all.iter().map(asks).max().unwrap_or(0);
    let _taken = memory.take(most.saturating_add(beside(form, plain.len(), encoded.len())));
    let mut best: Option<(usize, Recipe)> = None;
    let told = |recipes: &[Recipe]| {
        let deflate = matches!(form, Form::Gzip | Form::Zlib | Form::Raw);
        let first = recipes.first().filter(|_| deflate)?;
        let (recipe, correction) = retold(first, recipes, plain, encoded)?;
        let fits = recipe.corrected_heap(plain.len() as u64, &correction) <= max_heap;
        fits.then_some((recipe, correction))
    };
    for (number, recipe) in all.iter().enumerate() {
        if number == LIKELY
            && let Some((recipe, correction)) = told(all.get(..LIKELY).unwrap_or_default())
            && correction.to_bytes().len() <= encoded.len() / CERTAIN_SHARE
        {
            place.worked(recipe);
            return Proof::Made(recipe, correction);
        }
        let same = agreement(recipe, plain, encoded);
        if same == encoded.len() {
            place.worked(*recipe);
            return Proof::Made(*recipe, Correction::default());
        }
        if best.is_none_or(|(most, _)| same > most) {
            best = Some((same, *recipe));
        }
    }
    if form == Form::Zstd
        && let Some(proof) = of_another_release(&all, plain, encoded, place, max_heap, known)
    {
        return proof;
    }
    let edited = told(&all);
    let most = edited.as_ref().map_or(encoded.len(), |(_, edits)| edits.to_bytes().len());
    if beside(form, plain.len(), encoded.len()) <= memory.all()
        && let Some(proof) = of_any_encoder(form, plain, encoded, max_heap, known, most)
    {
        if let (Some(_), Proof::Begun(recipe, ..)) = (best, &proof) {
            place.worked(*recipe);
        }
        return proof;
    }
    if let Some((recipe, correction)) = edited {
        place.worked(recipe);
        return Proof::Made(recipe, correction);
    }
    match best {
        Some(best) => mended(best, plain, encoded),
        None if found > 0 => Proof::Heap,
        None => Proof::NoRecipe,
    }
}

/// What may have made the stream; only what its neighbours were made with, where that is
/// settled.
fn likely(form: Form, encoded: &[u8], plain: usize, place: &Place) -> Vec<Recipe> {
    let (favourites, settled) = place.favourites();
    let mut all = candidates(form, encoded, plain, &favourites);
    if settled {
        all.retain(|recipe| {
            favourites.iter().any(|known| super::guess::same_effort(known, recipe))
        });
    }
    all
}

/// The recipe that agrees in most bytes, with what it does not make right.
fn mended((same, recipe): (usize, Recipe), plain: &[u8], encoded: &[u8]) -> Proof {
    if same < encoded.len() / AGREEMENT_SHARE {
        return Proof::NoRecipe;
    }
    match corrected(&recipe, plain, encoded) {
        Some(correction) => Proof::Made(recipe, correction),
        None => Proof::NoRecipe,
    }
}

/// Bytes of memory that proving takes beside an encoder, about: what comes out, and the
/// choices of two encoders where they are compared.
fn beside(form: Form, plain: usize, encoded: usize) -> u64 {
    let choices = match form {
        Form::Lz4(_) => 0,
        Form::Xz | Form::Alone | Form::Lzip => TOLD_SHARE * plain,
        Form::Zstd => CHOICE_SHARE * plain,
        Form::Gzip | Form::Zlib | Form::Raw => CHOICE_SHARE * encoded,
    };
    (choices + encoded + 2 * PIECE) as u64
}

/// How many bytes the recipe makes right; all of them only if it makes no more.
fn agreement(recipe: &Recipe, plain: &[u8], encoded: &[u8]) -> usize {
    let Ok(mut encoder) = recipe.encoder(plain.len() as u64) else { return 0 };
    let (mut made, mut same) = (Vec::new(), 0);
    let mut pieces = plain.chunks(PIECE);
    loop {
        let piece = pieces.next();
        let coded = match piece {
            Some(piece) => encoder.push(piece, &mut made),
            None => encoder.finish(&mut made),
        };
        let wanted = encoded.get(same..).unwrap_or_default();
        let alike = made.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        same += alike;
        if coded.is_err() || alike < made.len() {
            return same.min(encoded.len().saturating_sub(1));
        }
        made.clear();
        if piece.is_none() {
            return same;
        }
    }
}

/// What makes a frame of another release of libzstd: its choice is told, or that of the
/// linked release is put right, whichever is likely to take fewer bytes.
fn of_another_release(
    all: &[Recipe],
    plain: &[u8],
    encoded: &[u8],
    place: &Place,
    max_heap: u64,
    known: &Spoken<'_>,
) -> Option<Proof> {
    let words = zstd_frame::words(encoded, plain.len())?;
    let wanted: Vec<Sequence> = Words::new(&words).collect();
    let cost = tell::cost(&wanted, known);
    let look = || edited(all, plain, encoded, &words, max_heap);
    let little = plain.len() > TRIED && cost < encoded.len() / LITTLE_SHARE;
    let mut edited = if little { None } else { look() };
    let edits = edited.as_ref().map_or(usize::MAX, |edited| edited.size);
    if edits > cost
        && let Some((recipe, correction, words)) = tell::told(encoded, plain, words.clone(), place)
        && recipe.corrected_heap((words.len() + plain.len()) as u64, &correction) <= max_heap
    {
        place.worked(recipe);
        return Some(Proof::Begun(recipe, correction, words));
    }
    if little {
        edited = look();
    }
    let Edited { recipe, of, correction, records, .. } = edited?;
    place.worked(of);
    Some(match records.is_empty() {
        true => Proof::Made(recipe, correction),
        false => Proof::Begun(recipe, correction, records),
    })
}

/// What makes a stream of LZMA or deflate whose encoder is not known, or takes too much
/// memory: its choice is told, if that may take less than `most` bytes.
fn of_any_encoder(
    form: Form,
    plain: &[u8],
    encoded: &[u8],
    max_heap: u64,
    known: &Spoken<'_>,
    most: usize,
) -> Option<Proof> {
    let decoding = super::guess::decodes(form, encoded)?;
    let pays = |words: &[u8]| {
        let wanted: Vec<Sequence> = Words::new(words).collect();
        tell::cost(&wanted, known) < most
    };
    let (recipe, correction, words) = if let Some(wrapper) = tell::deflate::around(&decoding) {
        let (words, gathered) = tell::deflate::words(encoded, plain.len(), wrapper)?;
        pays(&words).then_some(())?;
        let told = tell::deflate::told(encoded, plain, wrapper, &words, gathered)?;
        (told.0, told.1, words)
    } else {
        let recipe = tell::lzma::telling(&decoding)?;
        let (words, marked) = tell::lzma::words(encoded, plain.len(), recipe)?;
        pays(&words).then_some(())?;
        let told = tell::lzma::told(encoded, plain, recipe, &words, marked)?;
        (told.0, told.1, words)
    };
    let heap = recipe.corrected_heap((words.len() + plain.len()) as u64, &correction);
    (heap <= max_heap).then_some(Proof::Begun(recipe, correction, words))
}

/// What puts the linked release's choice right.
struct Edited {
    recipe: Recipe,
    /// The recipe whose choice it is.
    of: Recipe,
    correction: Correction,
    /// The edits, where they come between the content.
    records: Vec<u8>,
    /// Bytes of the edits.
    size: usize,
}

/// Puts the linked release's choice right: with the likeliest recipe, or else with the
/// one that chooses nearest.
fn edited(
    all: &[Recipe],
    plain: &[u8],
    encoded: &[u8],
    words: &[u8],
    max_heap: u64,
) -> Option<Edited> {
    (plain.len() <= RECHOSEN_MAX).then_some(())?;
    let wanted: Vec<Sequence> = Words::new(words).collect();
    let made = |recipe: &Recipe| {
        let of = *recipe;
        let short =
            if tell::is_long(encoded) { None } else { rechosen(of, plain, encoded, &wanted) };
        let (edited, content) = match short {
            Some(edited) => (edited, Cow::Borrowed(plain)),
            None => between(of, plain, encoded, words, max_heap)?,
        };
        let heap = edited.recipe.corrected_heap(content.len() as u64, &edited.correction);
        let right = heap <= max_heap
            && corrected_bytes(&edited.recipe, &content, &edited.correction).as_deref()
                == Some(encoded);
        right.then_some(edited)
    };
    let small = plain.len() <= TRIED;
    if let Some(proof) = all.first().filter(|_| small).and_then(made) {
        return Some(proof);
    }
    let (edits, recipe) = nearest(all, plain, &wanted)?;
    // All of it is only looked at where its start promises something.
    let promised = edits as u64 * plain.len() as u64 / plain.len().min(TRIED) as u64;
    (promised <= encoded.len() as u64).then(|| made(&recipe)).flatten()
}

/// The recipe that chooses most like it for the start of the content, and the bytes of
/// edits there.
fn nearest(all: &[Recipe], plain: &[u8], wanted: &[Sequence]) -> Option<(usize, Recipe)> {
    let start = plain.get(..TRIED.min(plain.len()))?;
    let mut left = start.len();
    let count = wanted.iter().take_while(|sequence| {
        let before = left;
        left = left.saturating_sub(sequence.literals as usize + sequence.length as usize);
        before > 0
    });
    let wanted = wanted.get(..count.count())?;
    let whole = |recipe: &&Recipe| matches!(recipe, Recipe::Zstd(options) if options.splitter == 1);
    let tried = all.iter().filter(whole).filter_map(|recipe| {
        let chosen = choice(recipe, start)?;
        Some((sequences::find(&chosen, wanted).len(), *recipe))
    });
    tried.min_by_key(|(size, _)| *size)
}

/// What libzstd chooses.
fn choice(recipe: &Recipe, plain: &[u8]) -> Option<Vec<Sequence>> {
    let Recipe::Zstd(options) = recipe else { return None };
    let chooser = ZstdEncoder::new(*options, plain.len() as u64).ok()?;
    chooser.choose(plain, sequences_max(plain.len())).ok()
}

/// The edits of what libzstd chooses, if they are worth it and a correction can hold them.
fn rechosen(of: Recipe, plain: &[u8], encoded: &[u8], wanted: &[Sequence]) -> Option<Edited> {
    let chosen = choice(&of, plain)?;
    let edits = sequences::find(&chosen, wanted);
    let (chosen, size) = (chosen.len(), edits.len());
    let worth = size < EDITS_MAX && size <= rechosen_max(encoded) && size > 0;
    worth.then(|| {
        let correction = Correction::of_sequences(Stored { chosen, edits: &edits }.to_bytes());
        Edited { recipe: of, of, correction, records: Vec::new(), size }
    })
}

/// The same with edits between the content, and both.
fn between<'a>(
    of: Recipe,
    plain: &[u8],
    encoded: &[u8],
    words: &[u8],
    max_heap: u64,
) -> Option<(Edited, Cow<'a, [u8]>)> {
    let Recipe::Zstd(options) = of else { return None };
    (Chooser::heap(options, plain.len() as u64) <= max_heap).then_some(())?;
    let frame = tell::edits::edits(options, encoded, plain, words, rechosen_max(encoded))?;
    let tell::edits::Frame { recipe, correction, records, plain } = frame;
    let size = records.len();
    Some((Edited { recipe, of, correction, records, size }, Cow::Owned(plain)))
}

/// The most bytes of edits of a frame.
fn rechosen_max(encoded: &[u8]) -> usize {
    encoded.len() * RECHOSEN_PERCENT / 100
}

/// Whether edits of choices are small enough.
fn pays(edits: usize, encoded: &[u8]) -> bool {
    edits <= encoded.len() * RECHOSEN_PERCENT / 100 && edits < Correction::BYTES_MAX
}

/// What turns zlib's choice into that of another encoder, with the recipe among
/// `all` that comes nearest for the start of the content.
fn retold(
    first: &Recipe,
    all: &[Recipe],
    plain: &[u8],
    encoded: &[u8],
) -> Option<(Recipe, Correction)> {
    (plain.len() <= RETOLD_MAX).then_some(())?;
    let tail = match first {
        Recipe::Deflate { wrapper: Wrapper::Zlib { .. }, .. } => 2,
        _ => 0,
    };
    let wanted = encoded.get(tail..)?;
    let made = |recipe: &Recipe| {
        let Recipe::Deflate { options, .. } = *recipe else { return None };
        let raw = Recipe::Deflate { wrapper: Wrapper::Raw, options };
        let zlib = corrected_bytes(&raw, plain, &Correction::default())?;
        let (told, _) = tokens::find(&zlib, wanted)?;
        Some((told.to_bytes().len(), *recipe, told))
    };
    // GNU gzip's hashes have the width of memory level 8.
    let likely = all.iter().filter(|recipe| {
        matches!(recipe, Recipe::Deflate { options, .. } if options.mem_level == 8
            && options.strategy == 0
            && (plain.len() <= RETOLD_BY_ALL || RETOLD_LEVELS.contains(&options.level)))
    });
    let mut best: Option<(usize, Recipe, Told)> = None;
    for (size, recipe, told) in likely.filter_map(made) {
        if best.as_ref().is_none_or(|(least, ..)| size < *least) {
            best = Some((size, recipe, told));
        }
        if size <= encoded.len() / CERTAIN_SHARE {
            break;
        }
    }
    let (size, recipe, mut told) = best?;
    pays(size, encoded).then_some(())?;
    let correction = Correction::of_sequences(told.to_bytes());
    let mut encoder = recipe.corrected(plain.len() as u64, correction).ok()?;
    let mut made = Vec::new();
    encoder.push(plain, &mut made).ok()?;
    encoder.finish(&mut made).ok()?;
    told.waits = encoder.waited()?;
    (made == encoded).then(|| (recipe, Correction::of_sequences(told.to_bytes())))
}

/// What the recipe makes with the correction.
fn corrected_bytes(recipe: &Recipe, plain: &[u8], correction: &Correction) -> Option<Vec<u8>> {
    let mut encoder = recipe.corrected(plain.len() as u64, correction.clone()).ok()?;
    let mut made = Vec::new();
    encoder.push(plain, &mut made).ok()?;
    encoder.finish(&mut made).ok()?;
    Some(made)
}

/// A correction that is worth it.
fn corrected(recipe: &Recipe, plain: &[u8], encoded: &[u8]) -> Option<Correction> {
    (encoded.len() <= CORRECTED_MAX).then_some(())?;
    let made = corrected_bytes(recipe, plain, &Correction::default())?;
    let correction = Correction::find(&made, encoded);
    let size = correction.to_bytes().len();
    let small = size <= encoded.len() / CORRECTION_SHARE && size <= Correction::BYTES_MAX;
    small.then_some(correction)
}
