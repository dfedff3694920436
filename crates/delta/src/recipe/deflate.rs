//! Deflate (RFC 1951) and the streams around it: zlib (RFC 1950), gzip (RFC 1952).

pub(crate) mod again;
pub(crate) mod told;

use super::{RecipeError, byte, take};
use crate::codec::deflate::{Deflate, DeflateOptions, adler32};
use crate::codec::lzma::crc32;
use crate::codec::{Fault, Progress, drain};
#[cfg(any(test, feature = "diff"))]
use crate::tokens::Waits;
use crate::tokens::{Retelling, Told};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What surrounds the deflate data inside a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wrapper {
    /// Nothing.
    Raw,
    /// zlib's two bytes before and an Adler-32 after.
    Zlib {
        /// The two bytes.
        header: [u8; 2],
    },
    /// gzip's CRC-32 and size after. Its header, which may hold names, is left
    /// to the bytes before the stream.
    GzipTail,
}

impl Wrapper {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Raw => 0,
            Self::Zlib { .. } => 1,
            Self::GzipTail => 2,
        });
        out.extend_from_slice(self.head());
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, RecipeError> {
        match byte(bytes)? {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Zlib { header: take(bytes)? }),
            2 => Ok(Self::GzipTail),
            _ => Err(RecipeError::Impossible("wrapper")),
        }
    }

    /// What stands before the deflate data.
    pub(crate) fn head(&self) -> &[u8] {
        match self {
            Self::Zlib { header } => header,
            Self::Raw | Self::GzipTail => &[],
        }
    }
}

/// What is known of the plain bytes so far.
struct Sums {
    wrapper: Wrapper,
    sum: u32,
    size: u32,
}

impl Sums {
    fn new(wrapper: Wrapper) -> Self {
        Self { wrapper, sum: if matches!(wrapper, Wrapper::Zlib { .. }) { 1 } else { 0 }, size: 0 }
    }

    fn take(&mut self, plain: &[u8]) {
        self.sum = match self.wrapper {
            Wrapper::Raw => 0,
            Wrapper::Zlib { .. } => adler32(plain, self.sum),
            Wrapper::GzipTail => crc32(plain, self.sum),
        };
        self.size = self.size.wrapping_add(plain.len() as u32);
    }

    fn head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.wrapper.head());
    }

    fn tail(&self, out: &mut Vec<u8>) {
        match self.wrapper {
            Wrapper::Raw => {}
            Wrapper::Zlib { .. } => out.extend(self.sum.to_be_bytes()),
            Wrapper::GzipTail => {
                out.extend(self.sum.to_le_bytes());
                out.extend(self.size.to_le_bytes());
            }
        }
    }
}

/// Encodes as a program does that has the whole content at hand. What zlib makes
/// depends on when its window slides, thus on the pieces it is fed: two windows
/// first and one at a time from then on is what fills it completely.
pub(crate) struct DeflateEncoder {
    codec: Deflate,
    sums: Sums,
    window: usize,
    pending: Vec<u8>,
    next: usize,
    /// Another choice than zlib's is told.
    retelling: Option<Box<Retelling>>,
}

impl DeflateEncoder {
    pub(crate) fn new(wrapper: Wrapper, options: DeflateOptions) -> Result<Self, Fault> {
        let codec = Deflate::encoder(options)?;
        let window = 1usize << options.window_bits.clamp(9, 15);
        let pending = Vec::with_capacity(2 * window);
        Ok(Self {
            codec,
            sums: Sums::new(wrapper),
            window,
            pending,
            next: 2 * window,
            retelling: None,
        })
    }

    /// The content is coded by another choice than zlib's; see `tokens`.
    pub(crate) fn correct(&mut self, stored: &[u8]) -> Result<(), Fault> {
        let told = Told::read(stored).map_err(|_| NO_STREAM)?;
        self.retelling = Some(Box::new(Retelling::new(told)));
        Ok(())
    }

    /// What waited at most while another choice was told.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn waited(&self) -> Option<Waits> {
        self.retelling.as_ref().map(|retelling| retelling.waited)
    }

    pub(crate) fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.start(out);
        self.sums.take(plain);
        while !plain.is_empty() {
            let room = self.next.saturating_sub(self.pending.len());
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.pending.extend_from_slice(now);
            plain = later;
            // The last piece has to come with the end: it waits until more is there.
            if self.pending.len() == self.next && !plain.is_empty() {
                self.feed(false, out)?;
                self.next = self.window;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.start(out);
        self.feed(true, out)?;
        self.sums.tail(out);
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if let Wrapper::Zlib { header } = self.sums.wrapper
            && self.sums.size == 0
            && self.pending.is_empty()
        {
            out.extend(header);
            // An empty content has no other sign of having been started.
            self.pending.reserve(1);
        }
    }

    fn feed(&mut self, finish: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut code = |out: &mut Vec<u8>| {
            drain(&self.pending, out, finish, |input, out, end| self.codec.code(input, out, end))
        };
        match &mut self.retelling {
            None => code(out)?,
            Some(retelling) => {
                let mut made = Vec::new();
                code(&mut made)?;
                retelling.push(&self.pending, &made, finish, out).map_err(|_| NO_STREAM)?;
            }
        }
        self.pending.clear();
        Ok(())
    }
}

const NO_STREAM: Fault = "the correction leads to no deflate stream";

/// Bytes that the encoder allocates: zlib's formula (zconf.h), its state and what waits.
pub(crate) fn encoder_heap(options: DeflateOptions) -> u64 {
    let window = 1u64 << (u32::from(options.window_bits.clamp(9, 15)) + 2);
    let symbols = 1u64 << (u32::from(options.mem_level.clamp(1, 9)) + 9);
    window + symbols + window / 2 + (8 << 10)
}

/// Bytes that a decoder allocates: the window and zlib's state.
pub(crate) const DECODER_HEAP: u64 = (32 + 10) << 10;

/// Decodes; sums are not verified.
pub(crate) struct DeflateDecoder {
    codec: Deflate,
    skip: usize,
    tail: usize,
    ended: bool,
}

impl DeflateDecoder {
    pub(crate) fn new(wrapper: Wrapper) -> Result<Self, Fault> {
        let (skip, tail) = match wrapper {
            Wrapper::Raw => (0, 0),
            Wrapper::Zlib { .. } => (2, 4),
            Wrapper::GzipTail => (0, 8),
        };
        Ok(Self { codec: Deflate::decoder()?, skip, tail, ended: false })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        let skipped = self.skip.min(input.len());
        self.skip -= skipped;
        let mut rest = input.get(skipped..).unwrap_or_default();
        let mut filled = 0;
        if !self.ended {
            let progress = self.codec.code(rest, out, false)?;
            rest = rest.get(progress.consumed..).unwrap_or_default();
            (filled, self.ended) = (progress.filled, progress.done);
        }
        if self.ended {
            let tail = self.tail.min(rest.len());
            self.tail -= tail;
            rest = rest.get(tail..).unwrap_or_default();
        }
        let done = self.ended && self.tail == 0;
        Ok(Progress { consumed: input.len() - rest.len(), filled, done })
    }
}

#[cfg(test)]
mod tests;
