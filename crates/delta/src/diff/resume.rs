//! Points of resumption inside of streams: how much of the image must be there.

use super::plain::PlainNew;
use crate::apply::{Refeed, least_heap, refeed_heap};
use crate::correction::Correction;
use crate::patch::{Inside, PatchHeader};
use crate::recipe::edited::{Edits, Replaced};

/// A correction that is longer is not said again in each span.
const CORRECTION_MAX: usize = 4 << 10;

/// Follows how far the content of streams can be read out of the image.
pub(super) struct Reader<'a> {
    header: &'a PatchHeader,
    new: &'a PlainNew,
    image: &'a [u8],
    /// Bytes of heap that are free for a decoder when a terminal resumes.
    spare: u64,
    /// The turn that opened the stream that was read last.
    open: Option<(usize, Refeed)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(header: &'a PatchHeader, new: &'a PlainNew, image: &'a [u8]) -> Self {
        let least = least_heap(header.window_log, header.models, &header.moves);
        let spare = header.heap.saturating_sub(least + header.encoders);
        Self { header, new, image, spare, open: None }
    }

    /// How much content, without words, of the stream that was read last is to be pushed
    /// until what a terminal needs is made, if that is known.
    pub(super) fn reached(&self) -> Option<usize> {
        self.open.as_ref()?.1.reached()
    }

    /// Completes what a terminal needs to know to begin inside the stream that the
    /// turn `turn` opened; none if it cannot.
    pub(super) fn complete(&mut self, turn: usize, inside: Inside) -> Option<Inside> {
        let inside = match self.new.replaced.get(&turn) {
            Some(replaced) => replace(inside, replaced)?,
            None => inside,
        };
        let stream = &inside.stream;
        let recipe = self.header.recipes.get(stream.recipe)?;
        if stream.correction.len() > CORRECTION_MAX || inside.done == 0 {
            return None;
        }
        let correction = match stream.correction.as_slice() {
            [] => Correction::default(),
            mut bytes => Correction::from_bytes(&mut bytes).ok()?,
        };
        if refeed_heap(recipe, stream.plain, &correction)? > self.spare {
            return None;
        }
        if self.open.as_ref().is_none_or(|(open, _)| *open != turn) {
            self.open = Some((turn, Refeed::new(recipe, stream.plain, &correction).ok()?));
        }
        let (_, refeed) = self.open.as_mut()?;
        let encoded = self.image.get(usize::try_from(inside.at).ok()?..)?;
        let mut read = |from: u64, into: &mut [u8]| {
            let from = encoded.get(from as usize..).unwrap_or_default();
            into.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            Ok(())
        };
        let there = encoded.len() as u64;
        let took = refeed.advance(inside.done, there, &mut read, &mut |_| Ok(())).ok()?;
        Some(Inside { needs: inside.at + took, ..inside })
    }
}

/// The same stream where words take the place of edits up to where a span begins. None if it
/// begins within edits.
fn replace(mut inside: Inside, replaced: &[Replaced]) -> Option<Inside> {
    let done = usize::try_from(inside.done).ok()?;
    let count = replaced.partition_point(|(edits, _)| edits.end <= done);
    let (before, behind) = replaced.split_at_checked(count)?;
    behind.first().is_none_or(|(edits, _)| done <= edits.start).then_some(())?;
    let edits: usize = before.iter().map(|(edits, _)| edits.len()).sum();
    let words: usize = before.iter().map(|(_, words)| words).sum();
    let correction = Correction::from_bytes(&mut inside.stream.correction.as_slice()).ok()?;
    let mut told = Edits::read(correction.sequences()).ok()?;
    told.bytes = (told.bytes - edits) + words;
    inside.stream.correction = Correction::of_sequences(told.to_bytes()).to_bytes();
    inside.stream.plain = inside.stream.plain - edits as u64 + words as u64;
    inside.done = inside.done - edits as u64 + words as u64;
    Some(inside)
}
