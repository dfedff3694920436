//! What a span reads of old streams and makes of plain new, written down while
//! its symbols are coded.

use super::DiffError;
use super::plain::Turn;
use super::spans::Pair;
use crate::coder::Encoder;
use crate::patch::{CORRECTIONS_MAX, Inside, Lists, NewStream, OldStream, Part, SPAN_MAX, width};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

/// What an old stream costs in a list at most, as experience has it, in bytes.
const OLD_STREAM: usize = 6;
/// The same for a turn of plain new.
const TURN: usize = 5;
/// The same for a hole in a stream.
const HOLE: usize = 4;

/// In a stream with a longer correction no span begins: it would say all of it again.
const AGAIN: usize = 8 << 10;

/// The lists of a span.
pub(crate) struct SpanLists {
    /// Coded.
    pub(crate) bytes: Vec<u8>,
    /// Where the span's bytes are in the image, if it makes nothing else.
    pub(crate) image: Option<Range<usize>>,
    /// Bytes of corrections in them.
    pub(crate) corrections: usize,
    /// The old streams that they list.
    pub(crate) old: Vec<OldStream>,
    /// Which of them are read, one after the other.
    pub(crate) order: Vec<usize>,
}

/// The books of a span.
pub(crate) struct Ledger<'a> {
    pair: Pair<'a>,
    /// Numbers of the old streams that the span reads.
    read: BTreeSet<usize>,
    /// In which order it reads them.
    order: Vec<usize>,
    /// The first turn that is not over, and how much of it is.
    turn: usize,
    done: usize,
    /// The first turn whose cost is not counted.
    ahead: usize,
    /// Bytes that the lists will take, about.
    bytes: usize,
    /// Bytes of corrections of streams that begin in the span.
    corrections: usize,
    /// Streams that are open.
    depth: usize,
    /// The turn that opened the outermost one of them.
    outermost: usize,
    /// Bytes of the image before the first turn that is not over, if no stream
    /// is open there.
    image: usize,
}

impl<'a> Ledger<'a> {
    /// Before the first span.
    pub(crate) fn new(pair: Pair<'a>) -> Self {
        let (read, order) = (BTreeSet::new(), Vec::new());
        let [turn, done, ahead, bytes, corrections, depth, outermost, image] = [0; 8];
        Self { pair, read, order, turn, done, ahead, bytes, corrections, depth, outermost, image }
    }

    /// All turns are over.
    pub(crate) fn is_done(&self) -> bool {
        self.turn == self.pair.new.turns.len()
    }

    /// Bytes that the lists take, about, when the span ends behind what begins at `at`;
    /// as many as no span has, where that is more than lists can say.
    pub(crate) fn cost(&mut self, at: usize) -> usize {
        while let Some((start, turn)) = self.pair.new.turns.get(self.ahead)
            && *start <= at
        {
            self.bytes += TURN;
            if let Turn::Open { correction, holes, .. } = turn {
                self.bytes += correction.len() + correction.len() / 64 + HOLE * holes.len();
                self.corrections += correction.len();
            }
            self.ahead += 1;
        }
        if self.corrections > CORRECTIONS_MAX { SPAN_MAX } else { self.bytes }
    }

    /// The span reads these bytes of plain old.
    pub(crate) fn read(&mut self, from: usize, len: usize) {
        let (mut at, end) = (from.max(self.pair.old.image), from + len);
        while at < end
            && let Some(number) = self.pair.old.stream(at)
            && let Some(stream) = self.pair.old.streams.get(number)
        {
            at = (stream.plain_at + stream.plain) as usize;
            if self.order.last() != Some(&number) {
                self.order.push(number);
            }
            let mut next = Some(number);
            while let Some(number) = next.filter(|number| self.read.insert(*number)) {
                self.bytes += OLD_STREAM;
                next = self.pair.old.streams.get(number).and_then(|stream| stream.parent);
            }
        }
    }

    /// Bytes of the image that are finished, if no stream is open.
    pub(crate) fn finished(&self) -> Option<usize> {
        (self.depth == 0).then_some(self.image)
    }

    /// Where the next span begins inside a stream, if in just one: the turn that opened
    /// it, and what an applier needs to know but how much of the image. The span's lists
    /// say it.
    pub(crate) fn inside(&mut self, finished: usize) -> Option<(usize, Inside)> {
        (self.depth == 1).then_some(())?;
        let turns = &self.pair.new.turns;
        let (_, Turn::Open { at, recipe, plain, correction, holes }) = turns.get(self.outermost)?
        else {
            return None;
        };
        (holes.is_empty() && correction.len() <= AGAIN).then_some(())?;
        let done = match turns.get(self.turn)? {
            (_, Turn::Raw { at, .. }) => at + self.done,
            (_, Turn::Open { at, .. }) => *at,
            _ => return None,
        };
        self.bytes += correction.len() + correction.len() / 64;
        let (recipe, plain, correction) = (*recipe, *plain, correction.clone());
        let stream = NewStream { recipe, plain, correction, holes: holes.clone() };
        let (at, finished, done) = (*at as u64, finished as u64, done as u64);
        Some((self.outermost, Inside { stream, at, finished, done, needs: at }))
    }

    /// Ends a span that began at `base`, at `at`: its lists.
    pub(crate) fn lists(
        &mut self,
        base: usize,
        at: usize,
        from: u64,
        inside: Option<Inside>,
    ) -> Result<SpanLists, DiffError> {
        let (outside, start) = (self.depth == 0, self.image);
        let parts = self.parts(base, at);
        let raw = outside && parts.iter().all(|part| matches!(part, Part::Raw(_)));
        let corrections = parts.iter().map(|part| match part {
            Part::Open(stream) | Part::Whole(stream) => stream.correction.len(),
            _ => 0,
        });
        let corrections = corrections.sum();
        let (plain, to) = ((at - base) as u64, base as u64);
        let lists = Lists { plain, to, from, inside, old: self.old(), parts };
        let mut coder = Encoder::new();
        lists.code(&mut coder, |_| false).map_err(|_| DiffError::Span)?;
        let listed: Vec<usize> = self.read.iter().copied().collect();
        let order = core::mem::take(&mut self.order).into_iter();
        let order = order.filter_map(|number| listed.binary_search(&number).ok()).collect();
        self.read.clear();
        // What begins at the end is the next span's.
        (self.bytes, self.corrections, self.ahead) = (0, 0, self.turn);
        let image = raw.then_some(start..self.image);
        Ok(SpanLists { bytes: coder.finish(), image, corrections, old: lists.old, order })
    }

    /// The old streams of the span.
    fn old(&self) -> Vec<OldStream> {
        let numbers: Vec<usize> = self.read.iter().copied().collect();
        let streams = numbers.iter().filter_map(|number| self.pair.old.streams.get(*number));
        streams
            .map(|stream| {
                let parent = stream.parent.and_then(|parent| numbers.binary_search(&parent).ok());
                OldStream { parent, ..stream.clone() }
            })
            .collect()
    }

    /// The turns from `base` up to `at`; streams that end there are closed.
    fn parts(&mut self, base: usize, at: usize) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        while let Some((start, turn)) = self.pair.new.turns.get(self.turn) {
            match turn {
                Turn::Raw { at: from, depth, len } => {
                    let until = at.saturating_sub(*start).min(*len);
                    let count = until - self.done;
                    if count > 0 {
                        put_raw(&mut parts, count as u64);
                    }
                    self.done = until;
                    if *depth == 0 {
                        self.image = from + until;
                    }
                    if until < *len {
                        break;
                    }
                    self.done = 0;
                }
                Turn::Open { .. } if *start >= at => break,
                Turn::Verity { .. } if *start > base => break,
                Turn::Verity { verity, .. } => parts.push(Part::Verity(verity.clone())),
                Turn::Open { recipe, plain, correction, holes, .. } => {
                    let (recipe, plain, holes) = (*recipe, *plain, holes.clone());
                    let correction = correction.clone();
                    parts.push(Part::Open(NewStream { recipe, plain, correction, holes }));
                    if self.depth == 0 {
                        self.outermost = self.turn;
                    }
                    self.depth += 1;
                }
                Turn::Close => {
                    close(&mut parts);
                    self.depth = self.depth.saturating_sub(1);
                }
            }
            self.turn += 1;
        }
        if self.depth == 0 {
            self.image = self.image_at();
        }
        parts
    }

    /// Bytes of the image before the first turn that is not over.
    fn image_at(&self) -> usize {
        let next = self.pair.new.turns.get(self.turn);
        match next {
            Some((_, Turn::Raw { at, depth: 0, .. })) => at + self.done,
            None => self.pair.image.len(),
            Some((_, Turn::Open { at, .. } | Turn::Verity { at, .. })) => *at,
            Some(_) => self.image,
        }
    }
}

/// Bytes that follow bytes of the same stream are one part.
fn put_raw(parts: &mut Vec<Part>, count: u64) {
    if let Some(Part::Raw(last)) = parts.last_mut() {
        *last += count;
    } else {
        parts.push(Part::Raw(count));
    }
}

/// A stream that is exactly its bytes is one part.
fn close(parts: &mut Vec<Part>) {
    if let [.., Part::Open(stream), Part::Raw(bytes)] = parts.as_slice()
        && stream.plain + width(&stream.holes) == *bytes
    {
        let stream = stream.clone();
        parts.truncate(parts.len() - 2);
        parts.push(Part::Whole(stream));
    } else {
        parts.push(Part::Close);
    }
}
