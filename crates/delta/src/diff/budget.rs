//! How the heap of a terminal is divided.

use super::plain::{CORRECTION_MAX, LONG, content};
use super::{DiffError, DiffOptions, Effort};
use crate::apply::{least_heap, refeed_heap, stream_heap};
use crate::coder::{Models, Pace};
use crate::open::{Opened, Stream};
use crate::patch::{MODELS, PatchHeader};
use crate::verity::find::Found;
use alloc::vec::Vec;

/// Bytes of decoded old streams beyond which more do not help.
const CACHE_MAX: u64 = 64 << 20;

/// How the heap is divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) window_log: u8,
    pub(crate) models: Models,
    /// For streams of the new image, all that are open together.
    pub(crate) encoders: u64,
    /// For the decoder of one old stream.
    pub(crate) decoder: u64,
    /// For the content of old streams.
    pub(crate) cache: u64,
}

/// The models that the least heap is for.
const LEAST_MODELS: Models = Models { log: *MODELS.start(), pace: Pace::Mixed };

/// Larger tables of quick models do not fit near a processor, and waiting for memory is
/// most of what they cost. That counts where an image is large; a small one is applied in
/// no time, and its patch is the shorter.
fn largest_models(pace: Pace, image: usize) -> u8 {
    match pace {
        Pace::Mixed => *MODELS.end(),
        Pace::Quick if image > LARGE => 14,
        Pace::Quick => 15,
    }
}

/// Bytes of an image that is not small.
const LARGE: usize = 8 << 20;

/// Where at least one byte in so many is in a stream that is encoded again, that takes
/// most of the time of applying, and models may take theirs; else they are quick ones.
const ENCODED: usize = 16;

/// Up to so many bytes of an image, models take half a second at most.
const SHORT: usize = 4 << 20;

fn pace(new: &Opened, image: usize, effort: Effort) -> Pace {
    let encoded = content(&new.streams).saturating_mul(ENCODED) >= image.max(1);
    let short = image <= SHORT && effort == Effort::Best;
    if encoded || short { Pace::Mixed } else { Pace::Quick }
}

/// Below so many bytes of heap for streams, old and new ones are weighed.
const SMALL_ROOM: u64 = 4 << 20;

/// Room is left for moves.
const MOVES: &[u8] = &[0];

impl Budget {
    /// Bytes of heap that the encoder of one stream may take.
    pub(crate) fn stream_max(options: &DiffOptions) -> u64 {
        let room = options.max_heap;
        let room = room.saturating_sub(least_heap(Self::window_log(options), LEAST_MODELS, MOVES));
        room / 4 * 3
    }

    fn window_log(options: &DiffOptions) -> u8 {
        (options.max_heap / 8).max(1).ilog2().clamp(16, 22) as u8
    }

    /// Divides the heap among what these images need.
    pub(crate) fn new(
        options: &DiffOptions,
        old: &Opened,
        new: &Opened,
        trees: &mut Vec<Found>,
        image: usize,
    ) -> Result<Self, DiffError> {
        let limit = options.max_heap;
        let window_log = Self::window_log(options);
        let pace = pace(new, image, options.effort);
        let models = |log| Models { log, pace };
        let most = largest_models(pace, image);
        let least = least_heap(window_log, models(*MODELS.start()), MOVES);
        let room = limit.checked_sub(least).ok_or(DiffError::Heap { least, limit })?;
        let all = Self::each(&old.streams);
        let mut encoders = Self::encoders(room, &all, new);
        // Trees are made where no stream is open: in the same memory.
        trees.retain(|tree| tree.verity.heap() <= room / 2);
        let tree = trees.iter().map(|tree| tree.verity.heap()).max().unwrap_or(0);
        encoders = encoders.max(tree);
        let decoders =
            all.iter().map(|stream| stream.recipe.decoder_heap(stream.plain.len() as u64));
        let decoder = decoders.filter(|heap| *heap <= (room - encoders) / 2).max().unwrap_or(0);
        let content: u64 = all.iter().map(|stream| stream.plain.len() as u64).sum();
        let needed = encoders + decoder + content.min(limit / 4);
        let fits = |log: &u8| least_heap(window_log, models(*log), MOVES) + needed <= limit;
        let models = models((*MODELS.start()..=most).rev().find(fits).unwrap_or(*MODELS.start()));
        let left = limit - least_heap(window_log, models, MOVES) - encoders - decoder;
        let cache = left.min(content).min(CACHE_MAX);
        // What resuming inside a stream takes, in the place of cache and decoder.
        let long = new.streams.iter().filter(|stream| stream.plain.len() > LONG);
        let again = long.filter_map(|stream| {
            refeed_heap(&stream.recipe, stream.plain.len() as u64, &stream.correction)
        });
        let again = again.filter(|heap| *heap <= left + decoder).max().unwrap_or(0);
        let decoder = decoder.max(again.saturating_sub(cache));
        Ok(Self { window_log, models, encoders, decoder, cache })
    }

    /// What encoders get: as much as the largest stream takes with those in it. Where there
    /// is little room, one that leaves too little to read most old streams is given up.
    fn encoders(room: u64, old: &[&Stream], new: &Opened) -> u64 {
        let most = room / 4 * 3;
        let chains = || new.streams.iter().filter_map(chain).filter(|heap| *heap <= most);
        let largest = chains().max().unwrap_or(0);
        if room >= SMALL_ROOM {
            return largest;
        }
        let reads = |stream: &&Stream| stream.recipe.decoder_heap(stream.plain.len() as u64);
        let mut decoders: Vec<u64> = old.iter().map(reads).collect();
        decoders.sort_unstable();
        let usual = decoders.get(decoders.len() / 10 * 9).copied().unwrap_or(0);
        let alone = new.streams.iter().map(heap);
        let leaves = |heap: &u64| *heap <= most && room.saturating_sub(*heap) / 2 >= usual;
        chains().chain(alone).filter(leaves).max().unwrap_or(largest)
    }

    fn each(streams: &[Stream]) -> Vec<&Stream> {
        streams
            .iter()
            .flat_map(|stream| [alloc::vec![stream], Self::each(&stream.inner)].concat())
            .collect()
    }

    /// Writes it into a header.
    pub(crate) fn declare(&self, header: &mut PatchHeader) {
        header.window_log = self.window_log;
        header.models = self.models;
        header.cache = self.cache;
        header.encoders = self.encoders;
        header.heap = least_heap(self.window_log, self.models, &header.moves)
            + self.cache
            + self.encoders
            + self.decoder;
    }
}

/// The heap that a stream takes with the largest of those in it; nothing if it
/// cannot be made at all.
fn chain(stream: &Stream) -> Option<u64> {
    let own = heap(stream);
    if stream.correction.to_bytes().len() > CORRECTION_MAX {
        return None;
    }
    let inner = stream.inner.iter().filter_map(chain).max().unwrap_or(0);
    own.checked_add(inner)
}

/// The heap that making a stream takes.
pub(super) fn heap(stream: &Stream) -> u64 {
    let plain = stream.plain.len() as u64;
    stream_heap(&stream.recipe, plain, &stream.correction, &stream.holes)
}
