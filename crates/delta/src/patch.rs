//! The patch: a header and spans. `docs/delta-format.md` has every byte.

mod header;
mod lists;

#[cfg(any(test, feature = "diff"))]
pub(crate) use header::MODELS;
pub use header::{HEADER_MAX, Image, PatchError, PatchHeader, RECIPES_MAX};
pub(crate) use lists::{DEPTH_MAX, Inside, Lists, NewStream, OldStream, Part};

/// Bytes of a span's frame: method and length of the body.
pub(crate) const FRAME: usize = 4;

/// The most bytes of a span, frame included: what a resume reads again.
pub const SPAN_MAX: usize = 224 << 10;

/// How a span's body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Lists and symbols.
    Coded,
    /// The bytes of the image themselves.
    Stored,
}

impl Method {
    /// Reads a span's frame: the method and the length of the body.
    pub(crate) fn read(frame: [u8; FRAME]) -> Result<(Self, usize), PatchError> {
        let [method, low, middle, high] = frame;
        let method = match method {
            1 => Self::Coded,
            2 => Self::Stored,
            other => return Err(PatchError::Method(other)),
        };
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        if len == 0 || len > SPAN_MAX - FRAME {
            return Err(PatchError::SpanLength(len));
        }
        Ok((method, len))
    }

    /// Appends a span of this method.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn write(self, out: &mut alloc::vec::Vec<u8>, body: &[&[u8]]) {
        let len: usize = body.iter().map(|part| part.len()).sum();
        let [low, middle, high, _] = (len as u32).to_le_bytes();
        out.extend([if self == Self::Coded { 1 } else { 2 }, low, middle, high]);
        body.iter().for_each(|part| out.extend_from_slice(part));
    }
}
