//! Frames of zstd: as libzstd makes them, with its choice put right, or told.

use super::told::{self, Told, ToldDecoder, ToldEncoder};
use crate::codec::zstd::{self, ZstdDecoder, ZstdEncoder, ZstdOptions};
use crate::codec::{Fault, Progress, drain};
use crate::sequences::{self, Ahead, Stored};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A frame whose sequences are put right.
pub(crate) struct Edited {
    options: ZstdOptions,
    /// How many sequences libzstd chooses.
    chosen: usize,
    edits: Vec<u8>,
    /// Bytes of edits that are still to come, before the content.
    missing: usize,
    content: Vec<u8>,
}

impl Edited {
    fn new(options: ZstdOptions, plain: u64, correction: &[u8]) -> Result<Self, Fault> {
        let content = Vec::new();
        if options.has(ZstdOptions::EDITS) {
            let ahead = Ahead::read(correction).map_err(|_| IMPOSSIBLE)?;
            let missing = ahead.edits;
            if missing as u64 > plain {
                return Err(IMPOSSIBLE);
            }
            let edits = Vec::with_capacity(missing);
            return Ok(Self { options, chosen: ahead.chosen, edits, missing, content });
        }
        let Stored { chosen, edits } = Stored::read(correction).map_err(|_| IMPOSSIBLE)?;
        Ok(Self { options, chosen, edits: edits.to_vec(), missing: 0, content })
    }

    fn push(&mut self, plain: &[u8]) {
        let (edits, content) = plain.split_at(self.missing.min(plain.len()));
        self.missing -= edits.len();
        self.edits.extend_from_slice(edits);
        self.content.extend_from_slice(content);
    }

    fn finish(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Self { options, chosen, edits, content, .. } = self;
        let most = (*chosen).min(zstd::sequences_max(content.len()));
        let plain = content.len() as u64;
        let chosen = ZstdEncoder::new(*options, plain)?.choose(content, most)?;
        let wanted = sequences::apply(edits, &chosen, content.len()).map_err(|_| IMPOSSIBLE)?;
        drop(chosen);
        ZstdEncoder::new(*options, plain)?.encode_as(content, &wanted, out)
    }
}

/// Makes one frame.
pub(crate) enum FrameMaker {
    /// Piece by piece.
    Passing(ZstdEncoder),
    /// At once, when all of the content is there.
    Whole { codec: ZstdEncoder, content: Vec<u8> },
    /// In the same way, with edits of what libzstd chooses.
    Edited(Edited),
    /// Nothing is chosen.
    Told(Box<ToldEncoder>),
}

impl FrameMaker {
    /// Of a frame of `plain` bytes of content, with `correction` of its sequences.
    pub(crate) fn new(options: ZstdOptions, plain: u64, correction: &[u8]) -> Result<Self, Fault> {
        if options.has(ZstdOptions::TOLD) {
            let told = Told::read(correction).map_err(|_| IMPOSSIBLE)?;
            let splits = !options.has(ZstdOptions::NO_SPLIT_AFTER);
            let encoder = ToldEncoder::new(told, options.level, splits, plain)?;
            return Ok(Self::Told(Box::new(encoder)));
        }
        let content = Vec::new();
        if !correction.is_empty() || options.has(ZstdOptions::EDITS) {
            return Ok(Self::Edited(Edited::new(options, plain, correction)?));
        }
        let codec = ZstdEncoder::new(options, plain)?;
        Ok(match options.has(ZstdOptions::AT_ONCE) {
            true => Self::Whole { codec, content },
            false => Self::Passing(codec),
        })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Passing(codec) => {
                drain(plain, out, false, |input, out, end| codec.code(input, out, end))
            }
            Self::Whole { content, .. } => {
                content.extend_from_slice(plain);
                Ok(())
            }
            Self::Edited(edited) => {
                edited.push(plain);
                Ok(())
            }
            Self::Told(encoder) => encoder.push(plain, out),
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Passing(codec) => {
                drain(&[], out, true, |input, out, end| codec.code(input, out, end))
            }
            Self::Whole { codec, content } => codec.encode(content, out),
            Self::Edited(edited) => edited.finish(out),
            Self::Told(encoder) => encoder.finish(out),
        }
    }
}

const IMPOSSIBLE: Fault = "the correction leads to impossible sequences";

/// Bytes of heap that making a frame of `plain` bytes takes, beside what corrects it.
pub(crate) fn encoder_heap(options: ZstdOptions, plain: u64) -> u64 {
    if options.has(ZstdOptions::TOLD) {
        return told::encoder_heap(options.level, !options.has(ZstdOptions::NO_SPLIT_AFTER));
    }
    let buffered = if options.has(ZstdOptions::AT_ONCE) { plain } else { 0 };
    options.encoder_heap(plain).saturating_add(buffered)
}

/// Bytes of heap that a correction of its sequences takes.
pub(crate) fn corrected_heap(options: ZstdOptions, plain: u64, correction: &[u8]) -> u64 {
    if options.has(ZstdOptions::TOLD) {
        return Told::read(correction).map_or(u64::MAX, |told| told.heap());
    }
    if options.has(ZstdOptions::EDITS) {
        let heap = |Ahead { chosen, edits }| {
            sequences::heap(chosen, edits, plain).saturating_add(edits as u64)
        };
        return Ahead::read(correction).map_or(u64::MAX, heap);
    }
    // Two contexts in turn.
    Stored::read(correction).map_or(u64::MAX, |stored| stored.heap(plain))
}

/// Reads one frame.
pub(crate) enum FrameReader {
    /// Its content.
    Plain(ZstdDecoder),
    /// Its words and its content.
    Told(Box<ToldDecoder>),
}

impl FrameReader {
    /// Of a frame of `plain` bytes.
    pub(crate) fn new(options: ZstdOptions, plain: u64) -> Result<Self, Fault> {
        let decoder = ZstdDecoder::new(options.window(plain))?;
        Ok(match options.has(ZstdOptions::TOLD) {
            true => Self::Told(Box::new(ToldDecoder::new(decoder, plain)?)),
            false => Self::Plain(decoder),
        })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        match self {
            Self::Plain(decoder) => decoder.code(input, out),
            Self::Told(decoder) => decoder.step(input, out),
        }
    }
}

/// Bytes of heap that reading a frame of `plain` bytes takes.
pub(crate) fn decoder_heap(options: ZstdOptions, plain: u64) -> u64 {
    let told = if options.has(ZstdOptions::TOLD) { told::decoder_heap(plain) } else { 0 };
    zstd::decoder_heap(options.window(plain)).saturating_add(told)
}
