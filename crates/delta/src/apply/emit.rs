//! Plain new becomes the image: streams are encoded again.

use super::ApplyError;
use super::refeed::{self, Refeed};
use crate::correction::Correction;
use crate::patch::{DEPTH_MAX, Hole, Inside, NewStream, Part, Weaver, width};
use crate::read::ReadAt;
use crate::recipe::{Encoder, Recipe};
use crate::verity::Tree;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Plain bytes that an encoder gets at a time.
const PIECE: usize = 16 << 10;

/// A stream that is being made.
struct Open {
    encoder: Encoder,
    /// Bytes of content that are still to come.
    left: u64,
    /// Bytes of heap that it takes.
    heap: u64,
    /// What lies between its pieces.
    weaver: Weaver,
}

/// Where plain new goes.
pub(crate) struct Emitter {
    recipes: Vec<Recipe>,
    open: Vec<Open>,
    parts: VecDeque<Part>,
    /// Bytes of the image that were made and not yet given out.
    ready: Vec<u8>,
    /// How many of them were given out.
    given: usize,
    /// What an encoder made, on its way through the streams around it.
    made: Vec<u8>,
    /// Bytes of heap that streams may take.
    heap: u64,
    /// Bytes of content that may still be encoded, per codec: a patch must not have
    /// content without end that becomes few bytes of the image.
    work: [u64; 3],
    /// Bytes that come out of streams and are in the image already.
    skip: u64,
    /// The tree of hashes that is being made.
    tree: Option<Tree>,
    /// Bytes of the image that are finished.
    finished: u64,
    /// Bytes of content that trees may still have: a patch must not hash the same
    /// bytes without end.
    hashes: u64,
}

/// Trees of an image have so many times its bytes of content at most.
const HASHED_MAX: u64 = 4;

impl Emitter {
    /// For an image of `size` bytes; streams may take `heap` bytes together, and have
    /// `work` bytes of content, per codec.
    pub(crate) fn new(recipes: Vec<Recipe>, heap: u64, work: [u64; 3], size: u64) -> Self {
        Self {
            recipes,
            open: Vec::new(),
            parts: VecDeque::new(),
            ready: Vec::new(),
            given: 0,
            made: Vec::new(),
            heap,
            work,
            skip: 0,
            tree: None,
            finished: 0,
            hashes: size.saturating_mul(HASHED_MAX),
        }
    }

    /// Brings the stream in which a span begins to where it was: what is there of it in
    /// `new` is decoded, within `spare` bytes of heap, and encoded again.
    pub(crate) fn reopen(
        &mut self,
        inside: &Inside,
        spare: u64,
        new: &mut dyn ReadAt,
    ) -> Result<(), ApplyError> {
        self.start(&inside.stream)?;
        let NewStream { recipe, plain, ref correction, .. } = inside.stream;
        let recipe = self.recipes.get(recipe);
        let recipe = recipe.ok_or(ApplyError::Damaged("a stream has no recipe"))?;
        let correction = stored(correction)?;
        let heap = refeed::heap(recipe, plain, &correction);
        let heap = heap.ok_or(ApplyError::Damaged("a span begins in a stream that has none"))?;
        if heap > spare {
            return Err(ApplyError::Damaged("a stream needs more heap than declared"));
        }
        let mut refeed = Refeed::new(recipe, plain, &correction)?;
        drop(correction);
        self.skip = inside.needs - inside.at;
        let mut read = |from: u64, into: &mut [u8]| {
            new.read_at(inside.at + from, into).map_err(ApplyError::New)
        };
        let there = self.skip;
        refeed.advance(inside.done, there, &mut read, &mut |plain| self.push(1, plain))?;
        Ok(())
    }

    /// A span makes these parts; `finished` bytes of the image are there.
    pub(crate) fn list(&mut self, parts: Vec<Part>, finished: u64) {
        self.parts = parts.into();
        self.finished = finished;
    }

    /// No stream is open.
    pub(crate) fn is_outside(&self) -> bool {
        self.open.is_empty()
    }

    /// Everything of the span was given out.
    pub(crate) fn is_done(&self) -> bool {
        self.parts.is_empty() && self.given == self.ready.len()
    }

    /// Moves what is ready to `out`; returns how much.
    pub(crate) fn give(&mut self, out: &mut [u8]) -> usize {
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        count
    }

    /// How many plain bytes can be taken now, and whether they are the image's.
    /// Streams begin and end here.
    pub(crate) fn wants(&mut self) -> Result<(u64, bool), ApplyError> {
        loop {
            if self.given < self.ready.len() {
                return Ok((0, false));
            }
            match self.parts.front_mut() {
                None | Some(Part::Verity(_)) => return Ok((0, false)),
                Some(Part::Raw(0)) => {
                    self.parts.pop_front();
                }
                Some(Part::Raw(bytes)) => return Ok((*bytes, self.open.is_empty())),
                Some(Part::Whole(stream)) => {
                    let stream = core::mem::take(stream);
                    self.parts.pop_front();
                    self.parts.push_front(Part::Close);
                    let own = width(&stream.holes).saturating_add(stream.plain);
                    self.parts.push_front(Part::Raw(own));
                    self.start(&stream)?;
                }
                Some(Part::Open(stream)) => {
                    let stream = core::mem::take(stream);
                    self.parts.pop_front();
                    self.start(&stream)?;
                }
                Some(Part::Close) => {
                    self.parts.pop_front();
                    self.end()?;
                }
            }
        }
    }

    /// Makes the next block of a tree of hashes, if it is a tree's turn.
    pub(crate) fn hash(&mut self, new: &mut dyn ReadAt) -> Result<(), ApplyError> {
        let Some(Part::Verity(verity)) = self.parts.front() else { return Ok(()) };
        if self.tree.is_none() {
            let there = verity.data_at.saturating_add(verity.data_len()) <= self.finished;
            if !there || !self.open.is_empty() || verity.heap() > self.heap {
                return Err(ApplyError::Damaged("a tree of hashes cannot be made here"));
            }
            let left = self.hashes.checked_sub(verity.data_len());
            self.hashes = left.ok_or(ApplyError::Damaged("too much is hashed"))?;
            self.tree = Some(Tree::new(verity.clone(), new).map_err(ApplyError::New)?);
        }
        let Some(tree) = &mut self.tree else { return Ok(()) };
        if !tree.next(new, &mut self.ready).map_err(ApplyError::New)? {
            self.tree = None;
            self.parts.pop_front();
        }
        Ok(())
    }

    /// `count` bytes went past it into the image.
    pub(crate) fn passed(&mut self, count: u64) {
        if let Some(Part::Raw(bytes)) = self.parts.front_mut() {
            *bytes = bytes.saturating_sub(count);
        }
    }

    /// Takes plain bytes for the last stream; returns how many.
    pub(crate) fn take(&mut self, plain: &[u8]) -> Result<usize, ApplyError> {
        let Some(Part::Raw(bytes)) = self.parts.front_mut() else { return Ok(0) };
        let count = (*bytes).min(plain.len().min(PIECE) as u64);
        *bytes -= count;
        let plain = plain.get(..count as usize).unwrap_or_default();
        self.push(self.open.len(), plain)?;
        Ok(plain.len())
    }

    fn start(&mut self, stream: &NewStream) -> Result<(), ApplyError> {
        let recipe = self.recipes.get(stream.recipe);
        let recipe = recipe.ok_or(ApplyError::Damaged("a stream has no recipe"))?;
        if self.open.len() >= DEPTH_MAX {
            return Err(ApplyError::Damaged("streams lie too deep in streams"));
        }
        let codec = recipe.library().codec as usize;
        let left = self.work.get(codec).and_then(|work| work.checked_sub(stream.plain));
        let left = left.ok_or(ApplyError::Damaged("more is encoded than declared"))?;
        self.work.iter_mut().skip(codec).take(1).for_each(|work| *work = left);
        let correction = stored(&stream.correction)?;
        let heap = stream_heap(recipe, stream.plain, &correction, &stream.holes);
        let used: u64 = self.open.iter().map(|open| open.heap).sum();
        if used.saturating_add(heap) > self.heap {
            return Err(ApplyError::Damaged("a stream needs more heap than declared"));
        }
        let encoder = recipe.corrected(stream.plain, correction).map_err(ApplyError::Codec)?;
        let weaver = Weaver::new(stream.holes.clone());
        self.open.push(Open { encoder, left: stream.plain, heap, weaver });
        Ok(())
    }

    /// Ends the last stream.
    fn end(&mut self) -> Result<(), ApplyError> {
        let none = ApplyError::Damaged("a stream ends that did not begin");
        let mut open = self.open.pop().ok_or(none)?;
        if open.left != 0 {
            return Err(ApplyError::Damaged("a stream has less content than it says"));
        }
        let mut made = core::mem::take(&mut self.made);
        open.encoder.finish(&mut made).map_err(ApplyError::Codec)?;
        if !open.weaver.is_idle() {
            let mut woven = Vec::new();
            open.weaver.weave(&made, &mut woven);
            made = woven;
        }
        if !open.weaver.is_done() {
            return Err(ApplyError::Damaged("a stream ends before its pieces do"));
        }
        drop(open);
        let pushed = self.push(self.open.len(), &made);
        made.clear();
        self.made = made;
        pushed
    }

    /// Bytes go into the stream at this depth, and what comes out of it into the
    /// one around it.
    fn push(&mut self, depth: usize, bytes: &[u8]) -> Result<(), ApplyError> {
        let Some(around) = depth.checked_sub(1) else {
            let skip = self.skip.min(bytes.len() as u64);
            self.skip -= skip;
            self.ready.extend_from_slice(bytes.get(skip as usize..).unwrap_or_default());
            return Ok(());
        };
        let Some(open) = self.open.get_mut(around) else { return Ok(()) };
        let bytes = open.weaver.take(bytes);
        let left = open.left.checked_sub(bytes.len() as u64);
        open.left = left.ok_or(ApplyError::Damaged("a stream has more content than it says"))?;
        let mut made = Vec::new();
        open.encoder.push(bytes, &mut made).map_err(ApplyError::Codec)?;
        if !open.weaver.is_idle() {
            let mut woven = Vec::new();
            open.weaver.weave(&made, &mut woven);
            made = woven;
        }
        self.push(around, &made)
    }
}

/// A correction as a stream says it.
fn stored(correction: &[u8]) -> Result<Correction, ApplyError> {
    match correction {
        [] => Ok(Correction::default()),
        mut bytes => Correction::from_bytes(&mut bytes)
            .map_err(|_| ApplyError::Damaged("a correction makes no sense")),
    }
}

/// Bytes of heap that making a stream takes, with what comes out at once.
pub(crate) fn stream_heap(
    recipe: &Recipe,
    plain: u64,
    correction: &Correction,
    holes: &[Hole],
) -> u64 {
    let at_once = plain.min(recipe.at_once()).saturating_mul(2).saturating_add(4 * PIECE as u64);
    recipe
        .corrected_heap(plain, correction)
        .saturating_add(at_once)
        .saturating_add(2 * Weaver::heap(holes))
}
