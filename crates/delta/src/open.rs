//! Containers opened: which ranges of an image are compressed, what they hold,
//! and how to make them again.
//!
//! Runs where deltas are made, never on a terminal. Images may be damaged or
//! hostile: every walk is bounded and nothing here panics; what cannot be read is
//! left as it is.

mod bytes;
mod census;
mod closed;
mod erofs;
mod ext;
mod fat;
mod guess;
pub(crate) mod lz4;
mod pieces;
mod prove;
mod regions;
mod scan;
mod shared;
mod sparse;
mod squashfs;
pub(crate) mod tell;
mod ubi;
mod unpack;

use crate::correction::Correction;
use crate::patch::{Holes, width};
use crate::recipe::{Framing, Recipe};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use census::Fate;
pub use census::{Census, ContainerKind, Reason, Row, Tally};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use prove::Proof;
use shared::Shared;
use std::sync::Mutex;

/// How deep streams are followed into streams: an archive in a file system in a
/// kernel in an image, and two more.
pub const DEPTH_MAX: usize = 5;

/// The most streams of an image: a 4 GiB squashfs of 4 KiB blocks has so many.
pub const STREAMS_MAX: usize = 1 << 20;

/// The most content of all streams together, as a multiple of the image ...
pub const EXPANSION_MAX: u64 = 64;

/// ... and at least this many bytes.
pub const EXPANSION_FLOOR: u64 = 1 << 30;

/// How a stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// Deflate without anything.
    Raw,
    /// Deflate with gzip's tail.
    Gzip,
    Zlib,
    Xz,
    Zstd,
    Lz4(Framing),
    /// LZMA in its older form.
    Alone,
    Lzip,
}

/// A range of the bytes that is a container of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Region {
    range: Range<usize>,
    kind: ContainerKind,
}

/// What streams are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read only: recipes decode but are not proven.
    Old,
    /// To be made again.
    New,
}

/// How to open.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// What for.
    pub purpose: Purpose,
    /// Bytes of heap that making or reading one stream may take.
    pub max_heap: u64,
    /// How many threads work.
    pub threads: usize,
    /// Bytes of content that all streams may have.
    pub content: u64,
    /// Bytes of memory that encoders may take together while streams are proven.
    pub proving: u64,
}

/// A compressed range and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Where it starts in its parent's bytes.
    pub at: u64,
    /// Its compressed bytes with what lies between them.
    pub len: u64,
    /// What lies between its pieces, where a file system cut it up.
    pub holes: Holes,
    /// What decodes it and, in the new image, makes it.
    pub recipe: Recipe,
    /// What the recipe does not make right.
    pub correction: Correction,
    /// Its content.
    pub plain: Vec<u8>,
    /// Streams in its content, sorted, disjoint.
    pub inner: Vec<Stream>,
    /// What it lies in.
    pub container: ContainerKind,
}

impl Stream {
    /// Its compressed bytes, without what lies between them.
    pub fn encoded<'a>(&self, parent: &'a [u8]) -> Cow<'a, [u8]> {
        gathered(parent, &(self.at as usize..(self.at + self.len) as usize), &self.holes)
    }

    /// Its content is to begin with this.
    fn begin_with(&mut self, mut start: Vec<u8>) {
        for inner in &mut self.inner {
            inner.at += start.len() as u64;
        }
        start.reserve_exact(self.plain.len());
        start.append(&mut self.plain);
        self.plain = start;
    }

    /// The bytes of its parent that lie between its pieces.
    pub(crate) fn between(&self, parent: &[u8]) -> Vec<u8> {
        let (mut at, mut out) = (self.at, Vec::new());
        for hole in &self.holes {
            at += hole.after;
            let bytes = parent.get(at as usize..(at + hole.len) as usize);
            out.extend_from_slice(bytes.unwrap_or_default());
            at += hole.len;
        }
        out
    }
}

/// The bytes of a range without its holes.
fn gathered<'a>(bytes: &'a [u8], range: &Range<usize>, holes: &Holes) -> Cow<'a, [u8]> {
    if holes.is_empty() {
        return Cow::Borrowed(bytes.get(range.clone()).unwrap_or_default());
    }
    let parts = pieces::parts(range, holes);
    let parts = parts.into_iter().map(|part| bytes.get(part).unwrap_or_default());
    Cow::Owned(parts.collect::<Vec<_>>().concat())
}

/// An opened image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// Sorted, disjoint.
    pub streams: Vec<Stream>,
    /// What was found.
    pub census: Census,
    /// The streams have more content than they may: not all of them are here.
    pub is_beyond: bool,
}

/// A stream that a scan found.
struct Found {
    /// From its first byte to its last.
    range: Range<usize>,
    /// What of that is not its own.
    holes: Holes,
    form: Form,
    kind: ContainerKind,
    /// Index of its place.
    place: usize,
    /// The most that it can hold.
    most: usize,
    /// Its content, if the scan had to decode it to find its end.
    plain: Option<(Vec<u8>, Recipe)>,
}

impl Found {
    /// Its compressed bytes.
    fn encoded(&self) -> usize {
        self.range.len().saturating_sub(width(&self.holes) as usize)
    }
}

/// Streams that were probably all made by one program run in one way.
#[derive(Default)]
struct Place {
    known: Mutex<Vec<(Recipe, u32)>>,
    /// The container itself says how its streams are made.
    certain: bool,
}

/// So many streams prove that a place's recipes are known.
const SETTLED: u32 = 6;

/// So many recipes are remembered in one place.
const FAVOURITES: usize = 6;

impl Place {
    fn of(hints: Vec<Recipe>) -> Self {
        let certain = !hints.is_empty();
        Self { known: Mutex::new(hints.into_iter().map(|recipe| (recipe, 0)).collect()), certain }
    }

    /// What worked, most recent first, and whether looking further is in vain.
    fn favourites(&self) -> (Vec<Recipe>, bool) {
        let Ok(known) = self.known.lock() else { return (Vec::new(), false) };
        let times: u32 = known.iter().map(|(_, times)| times).sum();
        let settled = self.certain || times >= SETTLED;
        (known.iter().map(|(recipe, _)| *recipe).collect(), settled)
    }

    fn worked(&self, recipe: Recipe) {
        let Ok(mut known) = self.known.lock() else { return };
        let position = known.iter().position(|(other, _)| guess::same_effort(other, &recipe));
        let times = position.map_or(0, |position| known.remove(position).1);
        known.insert(0, (recipe, times + 1));
        known.truncate(FAVOURITES);
    }
}

/// What all work on one image shares.
struct Work<'a> {
    options: &'a OpenOptions,
    known: &'a (dyn Fn(&[u8]) -> bool + Sync),
    spoken: &'a tell::Spoken<'a>,
    progress: &'a (dyn Fn(u64) + Sync),
    content_left: AtomicU64,
    /// Some content was not decoded because too little was left.
    is_beyond: AtomicBool,
    proving: Shared,
    streams_left: AtomicUsize,
}

/// Opens `image`. `known` tells which compressed bytes the old image holds: such
/// streams are left alone. `progress` hears how many compressed bytes were dealt
/// with since it was last called, from several threads.
pub fn open(
    image: &[u8],
    options: &OpenOptions,
    known: &(dyn Fn(&[u8]) -> bool + Sync),
    progress: &(dyn Fn(u64) + Sync),
) -> Opened {
    open_beside(image, options, known, &tell::Spoken::new(&[], &[]), progress)
}

/// Opens `image` as [`open`] does; `spoken` tells which sequences of zstd the old image
/// has.
pub(crate) fn open_beside(
    image: &[u8],
    options: &OpenOptions,
    known: &(dyn Fn(&[u8]) -> bool + Sync),
    spoken: &tell::Spoken<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Opened {
    let sensible = (image.len() as u64).saturating_mul(EXPANSION_MAX).max(EXPANSION_FLOOR);
    let work = Work {
        options,
        known,
        spoken,
        progress,
        content_left: AtomicU64::new(sensible.min(options.content)),
        is_beyond: AtomicBool::new(false),
        proving: Shared::new(options.proving),
        streams_left: AtomicUsize::new(STREAMS_MAX),
    };
    let (streams, census) = work.level(image, 0);
    // More content than is sensible is left alone, by the order of the streams.
    let is_beyond = work.is_beyond.load(Ordering::Relaxed) && options.content < sensible;
    Opened { streams, census, is_beyond }
}

type Outcome = (Option<Stream>, Census);

impl Work<'_> {
    /// The streams in `bytes`, which lie `depth` streams deep.
    fn level(&self, bytes: &[u8], depth: usize) -> (Vec<Stream>, Census) {
        let scan::Scan { found, places, left, is_beyond } = scan::scan(bytes, self.content_left());
        self.is_beyond.fetch_or(is_beyond, Ordering::Relaxed);
        let mut outcomes = self.each(found, |found| self.one(bytes, found, &places, depth));
        outcomes.sort_by_key(|(stream, _)| stream.as_ref().map(|stream| stream.at));
        let mut census = Census::default();
        for (kind, bytes, reason) in left {
            census.count(kind, bytes, Fate::Raw(reason));
        }
        let mut streams = Vec::new();
        for (stream, counted) in outcomes {
            census.join(&counted);
            streams.extend(stream);
        }
        if self.options.purpose == Purpose::New {
            lz4::join(&mut streams);
        }
        (streams, census)
    }

    fn content_left(&self) -> usize {
        usize::try_from(self.content_left.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Does `work` for each that was found, on all threads where that pays.
    fn each(&self, found: Vec<Found>, work: impl Fn(Found) -> Outcome + Sync) -> Vec<Outcome> {
        let threads = self.options.threads.clamp(1, found.len().max(1));
        if threads == 1 {
            return found.into_iter().map(work).collect();
        }
        // The largest first, so that no thread starts one when the others are done.
        let mut found = found;
        found.sort_by_key(|found| found.range.len());
        let (queue, done) = (Mutex::new(found), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(next) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                        let outcome = work(next);
                        if let Ok(mut done) = done.lock() {
                            done.push(outcome);
                        }
                    }
                });
            }
        });
        done.into_inner().unwrap_or_default()
    }

    fn one(&self, bytes: &[u8], mut found: Found, places: &[Place], depth: usize) -> Outcome {
        let encoded = &*gathered(bytes, &found.range, &found.holes);
        let (len, kind) = (encoded.len() as u64, found.kind);
        let (at, new) = (found.range.start as u64, self.options.purpose == Purpose::New);
        let mut census = Census::default();
        (self.progress)(len);
        if new && (self.known)(encoded) {
            census.count(kind, len, Fate::Unchanged);
            return (None, census);
        }
        let Some((plain, decoding)) = self.content(encoded, &mut found) else {
            census.count(kind, len, Fate::Raw(Reason::Limit));
            return (None, census);
        };
        let proof = match places.get(found.place) {
            Some(place) if new => {
                let (max_heap, proving) = (self.options.max_heap, &self.proving);
                prove::prove(found.form, encoded, &plain, place, max_heap, proving, self.spoken)
            }
            _ => self.read(decoding, plain.len() as u64),
        };
        let (recipe, correction, start) = match proof {
            Proof::Made(recipe, correction) => (recipe, correction, Vec::new()),
            Proof::Begun(recipe, correction, start) => (recipe, correction, start),
            Proof::NoRecipe => {
                census.count(kind, len, Fate::Raw(Reason::NoRecipe));
                return (None, census);
            }
            Proof::Heap => {
                census.count(kind, len, Fate::Raw(Reason::Heap));
                return (None, census);
            }
        };
        // What is told is compared with old, edits are not.
        let edits = if tell::is_told(&recipe) { 0 } else { start.len() };
        let cost = if correction.is_empty() { 0 } else { edits + correction.to_bytes().len() };
        let cost = cost as u64;
        census.count(kind, len, if cost == 0 { Fate::Opened } else { Fate::Corrected(cost) });
        let mut inner = Vec::new();
        if depth + 1 < DEPTH_MAX {
            let (streams, counted) = self.level(&plain, depth + 1);
            census.join(&counted);
            inner = streams;
        }
        let (len, holes) = (found.range.len() as u64, found.holes);
        let container = kind;
        let mut stream = Stream { at, len, holes, recipe, correction, plain, inner, container };
        if tell::is_told(&stream.recipe) {
            tell::weave(&mut stream, start, encoded, self.spoken);
        } else if stream.recipe.is_edited() {
            tell::edits::weave(&mut stream, &start, encoded);
        } else if !start.is_empty() {
            stream.begin_with(start);
        }
        (Some(stream), census)
    }

    /// A stream of the old image: its content is read within the heap.
    fn read(&self, decoding: Recipe, plain: u64) -> Proof {
        let fits = |recipe: &Recipe| recipe.decoder_heap(plain) <= self.options.max_heap;
        let thrifty = || tell::lzma::reading(&decoding).filter(&fits);
        match Some(decoding).filter(fits).or_else(thrifty) {
            Some(recipe) => Proof::Made(recipe, Correction::default()),
            None => Proof::Heap,
        }
    }

    /// The content of what was found, counted against the limits.
    fn content(&self, encoded: &[u8], found: &mut Found) -> Option<(Vec<u8>, Recipe)> {
        self.streams_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .ok()?;
        let (plain, recipe) = match found.plain.take() {
            Some(plain) => plain,
            None => {
                let most = found.most.min(self.content_left());
                let mut spent = 0;
                let unpacked = unpack::unpack_counted(found.form, encoded, most, &mut spent);
                if spent > most && most < found.most {
                    self.is_beyond.store(true, Ordering::Relaxed);
                }
                let unpacked = unpacked?;
                (unpacked.consumed == encoded.len()).then_some(())?;
                (unpacked.plain, unpacked.recipe)
            }
        };
        let size = plain.len() as u64;
        let left = self
            .content_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size));
        self.is_beyond.fetch_or(left.is_err(), Ordering::Relaxed);
        left.ok().map(|_| (plain, recipe))
    }
}

#[cfg(test)]
pub(crate) mod tests;
