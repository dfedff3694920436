//! The patch: a header and spans. `docs/delta-format.md` has every byte.

mod header;
mod holes;
mod lists;

pub use header::{HEADER_MAX, Image, PatchError, PatchHeader, RECIPES_MAX};
#[cfg(any(test, feature = "diff"))]
pub(crate) use header::{MODELS, WINDOW_LOGS};
pub use holes::{Hole, Holes};
pub(crate) use holes::{Way, Weaver, width};
#[cfg(any(test, feature = "diff"))]
pub(crate) use lists::CORRECTIONS_MAX;
pub(crate) use lists::{DEPTH_MAX, Inside, Lists, NewStream, OldStream, Part};

/// Bytes of a span's frame: method and length of the body.
pub(crate) const FRAME: usize = 4;

/// The most bytes of a span, frame included: what a resume reads again.
pub const SPAN_MAX: usize = 224 << 10;

/// The most bytes of the image in a packed span ...
pub(crate) const PACKED: usize = 256 << 10;

/// ... and of its body: a patch of such spans has a short header, and what a resume
/// reads again stays within 256 KiB.
pub(crate) const PACKED_MAX: usize = 255 << 10;

/// How a span's body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Lists and symbols.
    Coded,
    /// The bytes of the image themselves.
    Stored,
    /// The same as one frame of zstd, without the frame's first four bytes.
    Packed,
}

impl Method {
    /// Reads a span's frame: the method and the length of the body.
    pub(crate) fn read(frame: [u8; FRAME]) -> Result<(Self, usize), PatchError> {
        let [method, low, middle, high] = frame;
        let method = match method {
            1 => Self::Coded,
            2 => Self::Stored,
            3 => Self::Packed,
            other => return Err(PatchError::Method(other)),
        };
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let most = if method == Self::Packed { PACKED_MAX } else { SPAN_MAX - FRAME };
        if len == 0 || len > most {
            return Err(PatchError::SpanLength(len));
        }
        Ok((method, len))
    }

    /// Appends a span of this method.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn write(self, out: &mut alloc::vec::Vec<u8>, body: &[&[u8]]) {
        let len: usize = body.iter().map(|part| part.len()).sum();
        let [low, middle, high, _] = (len as u32).to_le_bytes();
        let method = match self {
            Self::Coded => 1,
            Self::Stored => 2,
            Self::Packed => 3,
        };
        out.extend([method, low, middle, high]);
        body.iter().for_each(|part| out.extend_from_slice(part));
    }
}
