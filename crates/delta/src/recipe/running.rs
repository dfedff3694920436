//! Encoders and decoders at work, whichever they are.

use super::corrector::Corrector;
use super::{MAKES, MAKES_NONE, deflate, lz4, lzma, xz, zstd};
use crate::codec::lzma::Lzma;
use crate::codec::{Fault, Progress};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Makes one stream out of its content.
pub struct Encoder {
    pub(super) encoding: Encoding,
    /// The correction and the bytes that wait for it.
    pub(super) corrector: Option<(Corrector, Vec<u8>)>,
}

/// What makes it.
pub(super) enum Encoding {
    Deflate(deflate::DeflateEncoder),
    Xz(xz::XzEncoder),
    Zstd(zstd::FrameMaker),
    Lzma(Box<lzma::ToldMaker>),
    Lz4(lz4::Maker),
    DeflateTold(Box<deflate::told::ToldMaker>),
}

impl Encoder {
    /// Takes the next piece of the content; appends what comes out to `out`.
    /// What comes out in all does not depend on the pieces.
    ///
    /// # Errors
    /// The library failed.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.corrected(out, |encoding, out| match encoding {
            _ if !MAKES => Err(MAKES_NONE),
            Encoding::Deflate(encoder) => encoder.push(plain, out),
            Encoding::Xz(encoder) => encoder.push(plain, out),
            Encoding::Zstd(encoder) => encoder.push(plain, out),
            Encoding::Lzma(encoder) => encoder.push(plain, out),
            Encoding::Lz4(encoder) => encoder.push(plain, out),
            Encoding::DeflateTold(encoder) => encoder.push(plain, out),
        })
    }

    /// The content is complete; appends the rest of the stream to `out`.
    ///
    /// # Errors
    /// The library failed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.corrected(out, |encoding, out| match encoding {
            _ if !MAKES => Err(MAKES_NONE),
            Encoding::Deflate(encoder) => encoder.finish(out),
            Encoding::Xz(encoder) => encoder.finish(out),
            Encoding::Zstd(encoder) => encoder.finish(out),
            Encoding::Lzma(encoder) => encoder.finish(out),
            Encoding::Lz4(encoder) => encoder.finish(out),
            Encoding::DeflateTold(encoder) => encoder.finish(out),
        })
    }

    /// What waited at most while another choice than zlib's was told.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn waited(&self) -> Option<crate::tokens::Waits> {
        match &self.encoding {
            Encoding::Deflate(encoder) => encoder.waited(),
            _ => None,
        }
    }

    fn corrected(
        &mut self,
        out: &mut Vec<u8>,
        make: impl FnOnce(&mut Encoding, &mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some((corrector, made)) = &mut self.corrector else {
            return make(&mut self.encoding, out);
        };
        made.clear();
        make(&mut self.encoding, made)?;
        corrector.push(made, out);
        Ok(())
    }
}

/// Makes the content out of one stream.
pub struct Decoder(pub(super) Decoding);

/// What does.
pub(super) enum Decoding {
    Deflate(deflate::DeflateDecoder),
    Lzma(Lzma),
    Zstd(zstd::FrameReader),
    Told(Box<lzma::ToldReader>),
    Lz4(lz4::Reader),
    DeflateTold(Box<deflate::told::ToldReader>),
}

/// What one call of a decoder did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of input used.
    pub consumed: usize,
    /// Bytes of content written.
    pub filled: usize,
    /// The stream is complete.
    pub done: bool,
}

impl Decoder {
    /// Decodes from `input` to the start of `out`. A call that neither consumes
    /// nor fills needs more input or more room. Empty input says that there is no more.
    ///
    /// # Errors
    /// The stream is damaged or needs more memory than its recipe says.
    pub fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Decoded, Fault> {
        let Progress { consumed, filled, done } = match &mut self.0 {
            _ if !MAKES => return Err(MAKES_NONE),
            Decoding::Deflate(decoder) => decoder.step(input, out)?,
            Decoding::Lzma(decoder) => decoder.code(input, out, false)?,
            Decoding::Zstd(decoder) => decoder.step(input, out)?,
            Decoding::Told(decoder) => decoder.step(input, out)?,
            Decoding::Lz4(decoder) => decoder.step(input, out)?,
            Decoding::DeflateTold(decoder) => decoder.step(input, out)?,
        };
        Ok(Decoded { consumed, filled, done })
    }
}
