//! Where spans end: what a cut costs.

use super::cover::Cover;
use super::plain::{LONG, PlainNew, Turn};
use super::resume::Reader;
use crate::coder::Pace;
use crate::patch::{Inside, PatchHeader, SPAN_MAX};
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes after which a span ends, wherever it is; some are left for what the
/// last symbol and the lists take more than was thought.
const FULL: usize = SPAN_MAX - (6 << 10);

/// The most bytes after which a span ends where no stream is open, but others come.
const ALMOST_FULL: usize = SPAN_MAX - (48 << 10);

/// Bytes of plain new after which a span ends where no stream is open: what a
/// terminal makes again after it lost power.
const PLAIN_MAX: usize = 32 << 20;

/// A span of so many bytes ends where a stream begins that it has probably no room for.
const WEIGHED: usize = 64 << 10;

/// Two spans of which the second begins inside a stream have at most so many bytes
/// together: a cut costs both while the second one's start is not yet in the image.
const TWO: usize = 250 << 10;

/// Bytes after which a span ends inside a long stream.
const HALF: usize = TWO / 2 - (6 << 10);

/// The same where it is known from where on the second one's start is in the image: what it
/// takes until there is no more than the rest.
const MOST: usize = 190 << 10;

/// Content that an encoder holds back, or a converter does.
const LAG: usize = 4 << 10;

/// Where a stream begins whose correction has more bytes, the span may have to end.
const LIGHT: usize = 64;

/// What streams will take of a patch, about: where each begins, and bytes.
struct Weights(Vec<(usize, usize)>);

impl Weights {
    /// What no cover explains counts whole, what changes a quarter.
    fn new(streams: impl Iterator<Item = Range<usize>>, covers: &[Cover]) -> Self {
        let mut covers = covers.iter().peekable();
        let weigh = |Range { start, end }: Range<usize>| {
            let mut covered = 0;
            while covers.next_if(|cover| cover.to + cover.len <= start).is_some() {}
            // The last one may go on into the next stream.
            while let Some(cover) = covers.peek().filter(|cover| cover.to < end) {
                covered += (cover.to + cover.len).min(end) - cover.to.max(start);
                if cover.to + cover.len > end {
                    break;
                }
                covers.next();
            }
            let plain = end - start;
            (start, if plain > LONG { usize::MAX / 2 } else { plain - covered + covered / 4 })
        };
        Self(streams.map(weigh).collect())
    }

    /// Of the stream that begins at a place, if one does.
    fn at(&self, place: usize) -> usize {
        let number = self.0.binary_search_by_key(&place, |(start, _)| *start);
        number.ok().and_then(|number| self.0.get(number)).map_or(0, |(_, bytes)| *bytes)
    }
}

/// Says where spans end.
pub(super) struct Ends<'a> {
    new: &'a PlainNew,
    weights: Weights,
    /// The same of streams in outermost ones, in which no span can be begun.
    inner: Weights,
    /// Where streams begin whose corrections weigh something, and edits.
    corrected: Vec<usize>,
    reader: Reader<'a>,
    /// The stream in which the span begins.
    inside: Option<Inside>,
    /// Bytes after which the span ends wherever it is, up to a place; behind it there may be
    /// as many as in any span.
    full: usize,
    reached: usize,
    /// Bytes after which it ends inside a long stream.
    half: usize,
    /// Bytes after which it ends where no stream is open.
    almost: usize,
    usual: usize,
}

impl<'a> Ends<'a> {
    /// For spans of `usual` bytes at most where no stream is open.
    pub(super) fn new(
        header: &'a PatchHeader,
        new: &'a PlainNew,
        image: &'a [u8],
        covers: &[Cover],
        usual: usize,
    ) -> Self {
        // Small tables of quick models are full before the span is.
        let alone = new.streams.is_empty() && header.models.pace == Pace::Mixed;
        let most = if alone { FULL } else { ALMOST_FULL };
        let usual = usual.min(most);
        let outermost = new.streams.iter().map(|stream| stream.start..stream.end);
        let weights = Weights::new(outermost, covers);
        let inner = Weights::new(new.inner.iter().cloned(), covers);
        let reader = Reader::new(header, new, image);
        let weighs =
            |turn: &Turn| matches!(turn, Turn::Open { correction, .. } if correction.len() > LIGHT);
        let corrected = new.turns.iter().filter(|(_, turn)| weighs(turn));
        let corrected = corrected.map(|(start, _)| *start);
        let mut corrected: Vec<_> = corrected.chain(new.starts_of_edits()).collect();
        corrected.sort_unstable();
        Self {
            new,
            weights,
            inner,
            corrected,
            reader,
            inside: None,
            full: FULL,
            reached: usize::MAX,
            half: HALF,
            almost: usual,
            usual,
        }
    }

    /// The span from `base`, of so many bytes, ends before the place `at`.
    pub(super) fn is_due(&self, bytes: usize, base: usize, at: usize) -> bool {
        if at == base {
            return false;
        }
        // No span begins within edits.
        let edits = self.new.edits(at);
        if edits.as_ref().is_some_and(|edits| edits.start < at) {
            return bytes >= FULL;
        }
        let full = if at > self.reached { FULL } else { self.full };
        if bytes + edits.map_or(0, |edits| edits.len()) >= full || self.new.is_tree(at) {
            return true;
        }
        let almost = bytes >= self.almost
            || at - base >= PLAIN_MAX
            || bytes >= WEIGHED && bytes + self.weights.at(at) > FULL;
        if almost && self.new.is_outside(at) {
            return true;
        }
        let inner = self.inner.at(at);
        let fits = inner > LONG || bytes + inner <= full;
        if bytes >= WEIGHED && !fits && self.new.left_of_long(at - 1).is_some() {
            return true;
        }
        // What is left of a long stream may not fit.
        let left = || self.new.left_of_long(at);
        bytes >= self.half && left().is_some_and(|left| left > full - bytes)
    }

    /// The next place behind `at` where the span of so many bytes has to end, or may
    /// have to.
    pub(super) fn boundary(&self, bytes: usize, at: usize) -> usize {
        let corrected = self.corrected.partition_point(|start| *start <= at);
        let corrected = self.corrected.get(corrected).copied().unwrap_or(usize::MAX);
        let tree = self.new.next_tree(at).min(corrected);
        if bytes < WEIGHED && self.almost > 0 {
            return tree;
        }
        tree.min(self.new.next_stream(at)).min(self.new.next_inner(at))
    }

    /// The stream in which the span begins, if it can be begun there.
    pub(super) fn take_inside(&mut self) -> Option<Inside> {
        self.inside.take()
    }

    /// A span of so many bytes ended before the place `at`, in the stream that a turn
    /// opened.
    pub(super) fn ended(&mut self, bytes: usize, at: usize, inside: Option<(usize, Inside)>) {
        let turn = inside.as_ref().map(|(turn, _)| *turn);
        self.inside = inside.and_then(|(turn, inside)| self.reader.complete(turn, inside));
        let reached = self.inside.as_ref().and_then(|_| self.reader.reached());
        let reached = reached.and_then(|content| self.new.place_of(turn?, content + LAG));
        (self.reached, self.half) = match reached {
            Some(place) => (place, MOST),
            None => (usize::MAX, HALF),
        };
        // It may begin with a stream in it.
        let places = [at, at.saturating_sub(1)];
        let is_long = places.iter().any(|at| self.new.left_of_long(*at).is_some());
        let long = self.inside.is_some() && is_long;
        self.full = if long { TWO.saturating_sub(bytes).min(FULL) } else { FULL };
        // Inside a short stream nothing can be begun until it ends.
        let waits = !long && !self.new.is_outside(at);
        self.almost = if waits { 0 } else { self.usual };
    }
}
