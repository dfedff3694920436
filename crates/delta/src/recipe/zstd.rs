//! Frames of zstd: as libzstd makes them, with its choice put right, or told.

use super::edited::{EditedEncoder, Edits};
use super::told::{self, Told, ToldDecoder, ToldEncoder};
use crate::codec::zstd::{self, ZstdDecoder, ZstdEncoder, ZstdOptions};
use crate::codec::{Fault, Progress, drain};
use crate::sequences::{self, Stored};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A frame whose sequences are put right.
pub(crate) struct Edited {
    options: ZstdOptions,
    /// How many sequences libzstd chooses.
    chosen: usize,
    edits: Vec<u8>,
    content: Vec<u8>,
}

impl Edited {
    fn new(options: ZstdOptions, correction: &[u8]) -> Result<Self, Fault> {
        let Stored { chosen, edits } = Stored::read(correction).map_err(|_| IMPOSSIBLE)?;
        Ok(Self { options, chosen, edits: edits.to_vec(), content: Vec::new() })
    }

    fn finish(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Self { options, chosen, edits, content } = self;
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
    /// Edits come between the content.
    Woven(Box<EditedEncoder>),
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
        if options.has(ZstdOptions::EDITS) {
            let edits = Edits::read(correction).map_err(|_| IMPOSSIBLE)?;
            return Ok(Self::Woven(Box::new(EditedEncoder::new(options, edits, plain)?)));
        }
        let content = Vec::new();
        if !correction.is_empty() {
            return Ok(Self::Edited(Edited::new(options, correction)?));
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
            Self::Edited(Edited { content, .. }) => {
                content.extend_from_slice(plain);
                Ok(())
            }
            Self::Woven(encoder) => encoder.push(plain, out),
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
            Self::Woven(encoder) => encoder.finish(out),
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
    if options.has(ZstdOptions::EDITS) {
        // By what is told alone.
        return 0;
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
        return Edits::read(correction).map_or(u64::MAX, |edits| edits.heap(options, plain));
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
