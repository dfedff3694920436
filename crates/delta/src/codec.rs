//! The C codecs and nothing else: this file and its folder are all that touches
//! them. Here is what reads the frames of full payloads; beside it are encoders
//! and decoders that make the streams inside images again.

#[expect(unsafe_code, reason = "zlib's functions are C")]
pub(crate) mod deflate;
#[expect(unsafe_code, reason = "liblzma's functions are C")]
pub(crate) mod lzma;
#[expect(unsafe_code, reason = "libzstd's functions are C")]
pub(crate) mod zstd;

use crate::WINDOW_MAX;
use alloc::vec::Vec;
use core::fmt;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// What a library says is wrong; a fixed English text.
pub type Fault = &'static str;

impl fmt::Display for crate::Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zlib => "zlib",
            Self::Lzma => "liblzma",
            Self::Zstd => "libzstd",
        })
    }
}

/// How much room an encoder gets at a time.
const PIECE: usize = 16 << 10;

/// Gives `input` to `code` and appends what comes out to `out`, until all of it
/// is taken and, with `finish`, the end has come.
pub(crate) fn drain(
    mut input: &[u8],
    out: &mut Vec<u8>,
    finish: bool,
    mut code: impl FnMut(&[u8], &mut [u8], bool) -> Result<Progress, Fault>,
) -> Result<(), Fault> {
    loop {
        let at = out.len();
        out.resize(at + PIECE, 0);
        let progress = code(input, out.get_mut(at..).unwrap_or_default(), finish);
        out.truncate(at + progress.as_ref().map_or(0, |progress| progress.filled));
        let progress = progress?;
        input = input.get(progress.consumed..).unwrap_or_default();
        let more = progress.filled == PIECE;
        if progress.done || (input.is_empty() && !finish && !more) {
            return Ok(());
        }
        if progress.consumed == 0 && progress.filled == 0 {
            return Err("the encoder does not go on");
        }
    }
}

/// What one call did.
pub(crate) struct Progress {
    /// Bytes of input used.
    pub(crate) consumed: usize,
    /// Bytes of output there are now.
    pub(crate) filled: usize,
    /// The frame is complete.
    pub(crate) done: bool,
}

/// One decoding context, about 160 KiB, and an input buffer of one block
/// (128 KiB at most). The output is its own window, so there is no further one.
pub(crate) struct Decoder(DCtx<'static>);

impl Decoder {
    /// A fresh context.
    pub(crate) fn new() -> Result<Self, Fault> {
        let mut context = DCtx::try_create().ok_or("out of memory")?;
        let window_log = DParameter::WindowLogMax(WINDOW_MAX.ilog2());
        context.set_parameter(window_log).map_err(name)?;
        context.set_parameter(DParameter::StableOutBuffer(true)).map_err(name)?;
        Ok(Self(context))
    }

    /// Goes on with a frame. `out` must be the same buffer for all of one frame,
    /// with `filled` bytes of it written so far; libzstd refuses another one.
    pub(crate) fn step(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        filled: usize,
    ) -> Result<Progress, Fault> {
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around_pos(out, filled);
        let hint = self.0.decompress_stream(&mut to, &mut from).map_err(name)?;
        Ok(Progress { consumed: from.pos(), filled: to.pos(), done: hint == 0 })
    }

    /// Forgets the frame it is in.
    pub(crate) fn reset(&mut self) -> Result<(), Fault> {
        self.0.reset(ResetDirective::SessionOnly).map(|_| ()).map_err(name)
    }
}

fn name(code: zstd_safe::ErrorCode) -> Fault {
    zstd_safe::get_error_name(code)
}

/// The most bytes that a sound frame of `content` bytes has.
pub(crate) fn frame_bound(content: usize) -> usize {
    zstd_safe::compress_bound(content)
}

/// Makes frames; one per thread.
#[cfg(any(test, feature = "encode"))]
pub struct FrameEncoder(zstd_safe::CCtx<'static>);

#[cfg(any(test, feature = "encode"))]
impl FrameEncoder {
    /// The highest level. Levels start at 1.
    pub const LEVEL_MAX: i32 = 22;

    /// An encoder of `level`; what is above the highest counts as the highest.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(level: i32) -> Result<Self, &'static str> {
        use zstd_safe::CParameter;
        let mut context = zstd_safe::CCtx::try_create().ok_or("out of memory")?;
        let level = CParameter::CompressionLevel(level.clamp(1, Self::LEVEL_MAX));
        for parameter in [level, CParameter::ContentSizeFlag(true), CParameter::ChecksumFlag(false)]
        {
            context.set_parameter(parameter).map_err(name)?;
        }
        Ok(Self(context))
    }

    /// One chunk as one frame. The chunk is its own window, so the format's
    /// limit of the window holds for every chunk of at most 1 MiB.
    ///
    /// # Errors
    /// Out of memory.
    pub fn encode(&mut self, chunk: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = alloc::vec![0; frame_bound(chunk.len())];
        let len = self.0.compress2(out.as_mut_slice(), chunk).map_err(name)?;
        out.truncate(len);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// What a terminal pays for decoding, however the frame was made.
    #[test]
    fn decoding_takes_less_than_half_a_mib_beside_the_chunk() {
        let chunk: Vec<u8> = (0..1u32 << 20).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        for level in [1, 12, 22] {
            let frame = FrameEncoder::new(level).unwrap().encode(&chunk).unwrap();
            let (mut decoder, mut out) = (Decoder::new().unwrap(), vec![0; chunk.len()]);
            let mut filled = 0;
            for piece in frame.chunks(1000) {
                filled = decoder.step(piece, &mut out, filled).unwrap().filled;
                assert!(decoder.0.sizeof() < 512 << 10, "{} bytes", decoder.0.sizeof());
            }
            assert_eq!(out, chunk);
        }
    }
}
