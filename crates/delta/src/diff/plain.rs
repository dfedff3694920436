//! Plain old and plain new: images laid out with what their streams hold.

use super::budget::{Budget, heap};
use crate::open::{Opened, Stream};
use crate::patch::{Holes, OldStream, PatchHeader, RECIPES_MAX};
use crate::recipe::Recipe;
use crate::recipe::chosen::Told;
use crate::recipe::edited::Replaced;
use crate::verity::Verity;
use crate::verity::find::Found;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

/// A correction that is longer leaves its stream as it is: a span must hold it.
pub(super) const CORRECTION_MAX: usize = crate::Correction::BYTES_MAX;

/// Streams with more content are worth a point of resumption inside.
pub(crate) const LONG: usize = 512 << 10;

/// Streams deeper in streams are left as they are.
const DEPTH_MAX: usize = crate::patch::DEPTH_MAX - 1;

/// Plain old.
#[derive(Default)]
pub(crate) struct PlainOld {
    /// The image, then the content of each stream.
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the image.
    pub(crate) image: usize,
    /// The streams by their place; parents are numbers in this list.
    pub(crate) streams: Vec<OldStream>,
}

/// A turn in plain new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Bytes of the image or of a stream, `at` where in it, so many streams deep.
    Raw { at: usize, depth: usize, len: usize },
    /// A stream begins; `at` is where it starts in the bytes around it.
    /// The bytes of its holes come before its content.
    Open { at: usize, recipe: usize, plain: u64, correction: Vec<u8>, holes: Holes },
    /// The last stream ends.
    Close,
    /// A tree of hashes stands here in the image; the terminal makes it.
    Verity { at: usize, verity: Verity },
}

/// Plain new.
#[derive(Default)]
pub(crate) struct PlainNew {
    /// All bytes in order.
    pub(crate) bytes: Vec<u8>,
    /// What becomes of them, each with its place in `bytes`.
    pub(crate) turns: Vec<(usize, Turn)>,
    /// Of those turns the bytes of the image itself: where they are is asked all the time.
    outside: Vec<Outside>,
    /// Bytes of all corrections.
    corrections: usize,
    /// Bytes of content that may still be encoded again.
    work: u64,
    /// The outermost streams in order.
    pub(crate) streams: Vec<Outermost>,
    /// Where streams directly in those begin and end, in order.
    pub(super) inner: Vec<Range<usize>>,
    /// The places in `bytes` where trees of hashes stand: a span begins at each, because
    /// what is hashed has to be finished.
    trees: Vec<usize>,
    /// The places in `bytes` where words or edits say what an encoder chose, sorted.
    chosen: Vec<Range<usize>>,
    /// Those of edits in outermost streams, where no span begins; and by the turn that opens
    /// the stream what a terminal tells in their place that begins behind them.
    edits: Vec<Range<usize>>,
    pub(super) replaced: HashMap<usize, Vec<Replaced>>,
}

/// Bytes of the new image that no stream holds.
struct Outside {
    /// Where they begin in plain new.
    start: usize,
    /// Where they begin in the image.
    at: usize,
    len: usize,
}

/// A stream of the new image that no other one holds.
pub(crate) struct Outermost {
    /// Where its content begins and ends in plain new.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where it is in the image, and its bytes there.
    pub(crate) at: u64,
    pub(crate) len: u64,
    /// Bytes of its correction and of those in it.
    pub(crate) correction: usize,
}

/// A set of recipes and their numbers.
#[derive(Clone, Default)]
pub(crate) struct Recipes {
    list: Vec<Recipe>,
    numbers: HashMap<Recipe, usize>,
}

impl Recipes {
    fn number(&mut self, recipe: Recipe) -> Option<usize> {
        let next = self.list.len();
        if let Some(number) = self.numbers.get(&recipe) {
            return Some(*number);
        }
        if next >= RECIPES_MAX {
            return None;
        }
        self.list.push(recipe);
        self.numbers.insert(recipe, next);
        Some(next)
    }
}

impl PlainOld {
    /// Lays out the old image.
    pub(crate) fn new(
        image: Cow<'_, [u8]>,
        opened: Opened,
        budget: &Budget,
        recipes: &mut Recipes,
    ) -> Self {
        let (len, content) = (image.len(), content(&opened.streams));
        let bytes = match image {
            Cow::Owned(mut bytes) => {
                bytes.reserve_exact(content);
                bytes
            }
            Cow::Borrowed(image) => {
                let mut bytes = Vec::with_capacity(len + content);
                bytes.extend_from_slice(image);
                bytes
            }
        };
        let mut plain = Self { bytes, image: len, streams: Vec::new() };
        for stream in opened.streams {
            plain.add(stream, None, 0, budget, recipes);
        }
        plain
    }

    fn add(
        &mut self,
        stream: Stream,
        parent: Option<usize>,
        above: u64,
        budget: &Budget,
        recipes: &mut Recipes,
    ) {
        let len = stream.plain.len() as u64;
        let fits = stream.recipe.decoder_heap(len) <= budget.decoder
            && above.saturating_add(len) <= budget.cache
            && len > 0;
        let Some(recipe) = Some(()).filter(|()| fits).and_then(|()| recipes.number(stream.recipe))
        else {
            return;
        };
        let number = self.streams.len();
        self.streams.push(OldStream {
            parent,
            at: stream.at,
            len: stream.len,
            holes: stream.holes,
            plain_at: self.bytes.len() as u64,
            plain: len,
            recipe,
        });
        self.bytes.extend_from_slice(&stream.plain);
        for inner in stream.inner {
            self.add(inner, Some(number), above.saturating_add(len), budget, recipes);
        }
    }

    /// No stream can be read.
    pub(crate) fn shut(&mut self) {
        self.streams.clear();
        self.bytes.truncate(self.image);
    }

    /// The number of the stream whose content holds a place.
    pub(crate) fn stream(&self, at: usize) -> Option<usize> {
        let at = at as u64;
        let number = self.streams.partition_point(|stream| stream.plain_at <= at).checked_sub(1)?;
        let stream = self.streams.get(number)?;
        (at < stream.plain_at + stream.plain).then_some(number)
    }
}

impl PlainNew {
    /// Lays out the new image; streams at the places in `shut` are not opened, and none
    /// beyond so much `work` for terminals.
    pub(crate) fn new(
        image: &[u8],
        streams: &[Stream],
        shut: &HashSet<u64>,
        trees: &[Found],
        budget: &Budget,
        work: u64,
        recipes: &mut Recipes,
    ) -> Self {
        let bytes = Vec::with_capacity(image.len() + content(streams));
        let mut plain = Self { bytes, work, ..Self::default() };
        let mut streams = streams.iter().filter(|stream| !shut.contains(&stream.at)).peekable();
        let mut done = 0;
        for Found { range, verity } in trees {
            let mut before = core::iter::from_fn(|| {
                streams.next_if(|stream| stream.at + stream.len <= range.start as u64)
            });
            let part = image.get(..range.start).unwrap_or_default();
            plain.lay(part, done, &mut before, 0, budget.encoders, recipes);
            plain.trees.push(plain.bytes.len());
            plain.turns.push((
                plain.bytes.len(),
                Turn::Verity { at: range.start, verity: verity.clone() },
            ));
            done = range.end;
            // What looks like a stream in hashes is none.
            while streams.next_if(|stream| stream.at < done as u64).is_some() {}
        }
        plain.lay(image, done, &mut streams, 0, budget.encoders, recipes);
        plain.chosen.sort_by_key(|range| range.start);
        plain.edits.sort_by_key(|range| range.start);
        plain
    }

    /// What stands at a place says what an encoder chose.
    pub(crate) fn is_chosen(&self, at: usize) -> bool {
        let before = self.chosen.partition_point(|range| range.start <= at);
        let last = before.checked_sub(1).and_then(|number| self.chosen.get(number));
        last.is_some_and(|range| at < range.end)
    }

    /// Where so much content, beside what says what an encoder chose, ends of the stream that a
    /// turn opened.
    pub(crate) fn place_of(&self, turn: usize, content: usize) -> Option<usize> {
        let (mut at, _) = *self.turns.get(turn)?;
        let mut left = content;
        for range in self.chosen_in(at..usize::MAX) {
            let before = range.start.saturating_sub(at);
            if left <= before {
                break;
            }
            (left, at) = (left - before, range.end);
        }
        Some(at + left)
    }

    /// What of a range says what an encoder chose.
    pub(crate) fn chosen_in(&self, range: Range<usize>) -> &[Range<usize>] {
        let from = self.chosen.partition_point(|chosen| chosen.start < range.start);
        let to = self.chosen.partition_point(|chosen| chosen.start < range.end);
        self.chosen.get(from..to).unwrap_or_default()
    }

    /// Notes where a stream whose turns begin with number `first` says what its encoder
    /// chose.
    fn note_chosen(&mut self, stream: &Stream, first: usize, depth: usize) {
        let mut ranges =
            stream.recipe.chosen(&stream.correction, &stream.plain).into_iter().peekable();
        let turns = self.turns.get(first..).unwrap_or_default();
        for (start, turn) in turns {
            let Turn::Raw { at, depth: its, len } = turn else { continue };
            while *its == depth
                && let Some(range) = ranges.next_if(|range| range.start < at + len)
            {
                let from = start + range.start.saturating_sub(*at);
                self.chosen.push(from..from + range.len());
                if stream.recipe.is_edited() && depth == 1 {
                    self.edits.push(from..from + range.len());
                }
            }
        }
    }

    /// The edits that stand at a place or around it.
    pub(crate) fn edits(&self, at: usize) -> Option<Range<usize>> {
        let before = self.edits.partition_point(|range| range.start <= at);
        let last = before.checked_sub(1).and_then(|number| self.edits.get(number));
        last.filter(|range| at < range.end).cloned()
    }

    /// Where edits begin.
    pub(crate) fn starts_of_edits(&self) -> impl Iterator<Item = usize> {
        self.edits.iter().map(|range| range.start)
    }

    /// The first place behind `at` where a span has to begin.
    pub(crate) fn next_tree(&self, at: usize) -> usize {
        let number = self.trees.partition_point(|tree| *tree <= at);
        self.trees.get(number).copied().unwrap_or(usize::MAX)
    }

    /// A span has to begin here.
    pub(crate) fn is_tree(&self, at: usize) -> bool {
        self.trees.binary_search(&at).is_ok()
    }

    /// Lays out bytes from `done` on with the streams in them.
    fn lay(
        &mut self,
        bytes: &[u8],
        mut done: usize,
        streams: &mut dyn Iterator<Item = &Stream>,
        depth: usize,
        room: u64,
        recipes: &mut Recipes,
    ) {
        for stream in streams {
            let correction = match stream.correction.is_empty() {
                true => Vec::new(),
                false => stream.correction.to_bytes(),
            };
            let heap = heap(stream);
            let plain = stream.plain.len() as u64;
            let fits = heap <= room
                && correction.len() <= CORRECTION_MAX
                && depth < DEPTH_MAX
                && plain <= self.work;
            let number = Some(()).filter(|()| fits).and_then(|()| recipes.number(stream.recipe));
            let Some(recipe) = number else { continue };
            let (at, len) = (stream.at as usize, stream.len as usize);
            self.raw(bytes, done, at, depth);
            done = at + len;
            let start = self.bytes.len();
            self.work -= plain;
            let before = self.corrections;
            self.corrections += correction.len();
            let (holes, opened) = (stream.holes.clone(), self.turns.len());
            self.turns.push((start, Turn::Open { at, recipe, plain, correction, holes }));
            let between = stream.between(bytes);
            self.raw(&between, 0, between.len(), depth + 1);
            if depth == 0
                && let Some(Told::Edits(edits)) = stream.recipe.told(&stream.correction)
                && let Some(replaced) = edits.replaced(&stream.encoded(bytes), &stream.plain)
            {
                self.replaced.insert(opened, replaced);
            }
            let first = self.turns.len();
            self.lay(&stream.plain, 0, &mut stream.inner.iter(), depth + 1, room - heap, recipes);
            self.note_chosen(stream, first, depth + 1);
            self.turns.push((self.bytes.len(), Turn::Close));
            if depth == 1 {
                self.inner.push(start..self.bytes.len());
            }
            if depth == 0 {
                self.streams.push(Outermost {
                    start,
                    end: self.bytes.len(),
                    at: stream.at,
                    len: stream.len,
                    correction: self.corrections - before,
                });
            }
        }
        self.raw(bytes, done, bytes.len(), depth);
    }

    fn raw(&mut self, bytes: &[u8], from: usize, to: usize, depth: usize) {
        let raw = bytes.get(from..to).unwrap_or_default();
        if !raw.is_empty() {
            let (start, len) = (self.bytes.len(), raw.len());
            self.turns.push((start, Turn::Raw { at: from, depth, len }));
            if depth == 0 {
                self.outside.push(Outside { start, at: from, len });
            }
            self.bytes.extend_from_slice(raw);
        }
    }

    /// A place is not inside a stream.
    pub(crate) fn is_outside(&self, at: usize) -> bool {
        let before = self.streams.partition_point(|stream| stream.start < at);
        let stream = before.checked_sub(1).and_then(|number| self.streams.get(number));
        stream.is_none_or(|stream| stream.end <= at)
    }

    /// The first place behind `at` where an outermost stream begins.
    pub(crate) fn next_stream(&self, at: usize) -> usize {
        let number = self.streams.partition_point(|stream| stream.start <= at);
        self.streams.get(number).map_or(usize::MAX, |stream| stream.start)
    }

    /// The first place behind `at` where a stream begins in an outermost one.
    pub(crate) fn next_inner(&self, at: usize) -> usize {
        let number = self.inner.partition_point(|stream| stream.start <= at);
        self.inner.get(number).map_or(usize::MAX, |stream| stream.start)
    }

    /// How much content of the outermost stream is to come at a place that lies in it
    /// and in no other, if the stream is long.
    pub(crate) fn left_of_long(&self, at: usize) -> Option<usize> {
        let before = self.streams.partition_point(|stream| stream.start < at);
        let Outermost { start, end, .. } = *self.streams.get(before.checked_sub(1)?)?;
        (end > at && end - start > LONG).then_some(())?;
        let number = self.turns.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        matches!(self.turns.get(number), Some((_, Turn::Raw { depth: 1, .. }))).then_some(end - at)
    }

    /// Where in the image the bytes from a place stand, and how many of them
    /// follow each other there.
    pub(crate) fn image(&self, at: usize) -> Option<(usize, usize)> {
        let before = self.outside.partition_point(|outside| outside.start <= at);
        let Outside { start, at: image, len } = *self.outside.get(before.checked_sub(1)?)?;
        (at < start + len).then(|| (image + at - start, start + len - at))
    }
}

/// Bytes that streams hold, those in them included.
pub(crate) fn content(streams: &[Stream]) -> usize {
    streams.iter().map(|stream| stream.plain.len() + content(&stream.inner)).sum()
}

/// Which compressed bytes the old image holds.
pub(crate) struct Known {
    old: HashSet<[u8; 16]>,
    /// Those that the new image was found to hold as well.
    stayed: Mutex<HashSet<[u8; 16]>>,
}

impl Known {
    /// Those of all outermost streams.
    pub(crate) fn new(image: &[u8], opened: &Opened) -> Self {
        let encoded = opened.streams.iter().map(|stream| digest(&stream.encoded(image)));
        Self { old: encoded.collect(), stayed: Mutex::default() }
    }

    /// The old image holds these, which are the new one's.
    pub(crate) fn holds(&self, encoded: &[u8]) -> bool {
        let digest = digest(encoded);
        let holds = self.old.contains(&digest);
        if holds && let Ok(mut stayed) = self.stayed.lock() {
            stayed.insert(digest);
        }
        holds
    }

    /// Both images hold these.
    pub(crate) fn stayed(&self, encoded: &[u8]) -> bool {
        self.stayed.lock().is_ok_and(|stayed| stayed.contains(&digest(encoded)))
    }
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    use sha2::{Digest as _, Sha256};
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    *digest.first_chunk().unwrap_or(&[0; 16])
}

/// What a header says about recipes and work.
pub(crate) fn declare(header: &mut PatchHeader, recipes: Recipes, new: &PlainNew) {
    for (number, (_, turn)) in new.turns.iter().enumerate() {
        let Turn::Open { recipe, plain, .. } = turn else { continue };
        // A terminal that begins in the stream tells more than edits.
        let replaced = new.replaced.get(&number).into_iter().flatten();
        let more: u64 = replaced.map(|(_, told)| *told as u64).sum();
        let Some(recipe) = recipes.list.get(*recipe) else { continue };
        let library = recipe.library();
        let codec = library.codec as usize;
        if let (Some(work), Some(version)) =
            (header.work.get_mut(codec), header.libraries.get_mut(codec))
        {
            *work = work.saturating_add(*plain).saturating_add(more);
            if recipe.needs_library() {
                *version = library.version;
            }
        }
    }
    header.recipes = recipes.list;
}
