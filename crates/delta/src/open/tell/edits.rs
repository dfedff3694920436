//! Frames of zstd of another release: what puts the choice of the linked one right, between
//! the content.

use super::super::Stream;
use super::{closed, outside, shift};
use crate::codec::zstd::{Chooser, ZstdOptions};
use crate::correction::Correction;
use crate::recipe::edited::{self, Edits, put_right, put_words};
use crate::recipe::weave::{Mixed, Weave};
use crate::recipe::words::Words;
use crate::recipe::{Recipe, zstd_frame};
use crate::sequences::BLOCK;
use alloc::vec::Vec;
use core::ops::Range;

/// What puts a block right has at most so many bytes: no span ends within it.
const BLOCK_MAX: usize = 64 << 10;

/// A frame with edits between its content.
pub(crate) struct Frame {
    pub(crate) recipe: Recipe,
    pub(crate) correction: Correction,
    /// What puts its blocks right, one after the other.
    pub(crate) records: Vec<u8>,
    /// The same between the content.
    pub(crate) plain: Vec<u8>,
}

/// How a frame may be made; what comes out is not looked at. None if that takes more than
/// `most` bytes of edits.
pub(crate) fn edits(
    options: ZstdOptions,
    encoded: &[u8],
    plain: &[u8],
    words: &[u8],
    most: usize,
) -> Option<Frame> {
    let mut chooser = Chooser::new(options, plain.len() as u64).ok()?;
    let (mut records, mut rest, mut chosen) = (Vec::new(), words, Vec::new());
    for block in plain.chunks(BLOCK) {
        let wanted = next(&mut rest)?;
        chooser.next(block, &mut chosen).ok()?;
        let before = records.len();
        put_right(&mut records, &chosen, wanted);
        (records.len() <= most && records.len() - before <= BLOCK_MAX).then_some(())?;
    }
    let switches = options.switches | ZstdOptions::EDITS;
    let recipe = Recipe::Zstd(ZstdOptions { switches, ..options });
    let (correction, (plain, _)) = mixed(encoded, plain, words, &records, &[])?;
    Some(Frame { recipe, correction, records, plain })
}

/// Puts edits into the content of a stream, between the streams in it; those are given up
/// where that cannot be.
pub(in super::super) fn weave(stream: &mut Stream, records: &[u8], encoded: &[u8]) {
    let closed = closed(stream);
    let words = zstd_frame::words(encoded, stream.plain.len()).unwrap_or_default();
    let mix = |closed: &[_]| mixed(encoded, &stream.plain, &words, records, closed);
    let Some((correction, (plain, places))) = mix(&closed).or_else(|| mix(&[])) else { return };
    if !closed.is_empty() && places.iter().any(|(at, _)| cuts(&closed, *at)) {
        stream.inner.clear();
    }
    (stream.plain, stream.correction) = (plain, correction);
    shift(stream, places);
}

/// A place lies within one of the ranges.
fn cuts(closed: &[Range<usize>], at: usize) -> bool {
    closed.iter().any(|range| range.start < at && at < range.end)
}

/// The words of the next block.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    let mut words = Words::new(all);
    words.by_ref().find(|sequence| sequence.length == 0)?;
    let used = all.len() - words.left();
    *rest = all.get(used..)?;
    all.get(..used)
}

/// The correction where edits come between the content, and both mixed.
fn mixed(
    encoded: &[u8],
    plain: &[u8],
    words: &[u8],
    records: &[u8],
    closed: &[Range<usize>],
) -> Option<(Correction, Mixed)> {
    let mut told = outside(encoded)?;
    told.words = words.len();
    told.weave(words, plain, &[])?;
    let held = told.weave.map_or(0, |weave| weave.held);
    // An encoder that begins in the middle gets words in the place of edits.
    let (mut longest, mut rest, mut words) = (Vec::new(), records, words);
    while !rest.is_empty() {
        let (record, mut told) = (edited::next(&mut rest)?, Vec::new());
        put_words(&mut told, next(&mut words)?);
        longest.extend_from_slice(if record.len() > told.len() { record } else { &told });
    }
    let (head, tail) = (told.head, told.tail);
    let mut edits = Edits { bytes: longest.len(), weave: Weave::default(), held, head, tail };
    let (longest, _) = edits.woven().mix(&longest, plain, closed, 0)?;
    edits.bytes = records.len();
    let (weave, mixed) = edits.woven().mix(records, plain, closed, 0)?;
    edits.weave = Weave { held: weave.held.max(longest.held), ..weave };
    Some((Correction::of_sequences(edits.to_bytes()), mixed))
}
