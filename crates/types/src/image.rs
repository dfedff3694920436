//! What an image is: its size, its digest and the list of its chunks' digests.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// One image, described so that every chunk can be checked before it is written.
///
/// The list of chunks is the SHA-256 of each chunk in order, 32 bytes each, with
/// nothing between; `chunks` is the SHA-256 of that list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the whole image.
    pub sha256: Digest,
    /// Bytes of each chunk but the last; a power of two from 4 KiB to 1 MiB.
    pub chunk_size: u32,
    /// SHA-256 of the list of chunk digests.
    pub chunks: Digest,
}

impl Image {
    /// The smallest chunk: one block of any flash or disk.
    pub const CHUNK_MIN: u32 = 4 << 10;
    /// The largest chunk: what a small terminal can hold in memory, and what is
    /// fetched again at most after a cut.
    pub const CHUNK_MAX: u32 = 1 << 20;
    /// The largest image, 1 TiB: the list of its chunks has 32 MiB.
    pub const SIZE_MAX: u64 = 1 << 40;

    /// Why the fields cannot describe an image, if they cannot.
    pub fn fault(&self) -> Option<&'static str> {
        let chunk_fits = (Self::CHUNK_MIN..=Self::CHUNK_MAX).contains(&self.chunk_size);
        if !chunk_fits || !self.chunk_size.is_power_of_two() {
            return Some("chunk size is not a power of two from 4 KiB to 1 MiB");
        }
        if self.size == 0 || self.size > Self::SIZE_MAX {
            return Some("image size is not from 1 byte to 1 TiB");
        }
        if self.size.div_ceil(u64::from(self.chunk_size)) > u64::from(u32::MAX) {
            return Some("image has too many chunks");
        }
        None
    }

    /// How many chunks the image has.
    pub fn chunk_count(&self) -> u32 {
        let count = self.size.div_ceil(u64::from(self.chunk_size.max(1)));
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Where chunk `index` starts, and how many bytes it has; 0 past the end.
    pub fn chunk_span(&self, index: u32) -> (u64, u32) {
        let at = u64::from(index) * u64::from(self.chunk_size);
        let rest = self.size.saturating_sub(at).min(u64::from(self.chunk_size));
        (at, u32::try_from(rest).unwrap_or(0))
    }

    /// Bytes of the list of chunk digests.
    pub fn list_size(&self) -> u64 {
        u64::from(self.chunk_count()) * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_gib_need_less_than_one_mib_of_list() {
        let image = Image {
            size: 4 << 30,
            sha256: Digest::default(),
            chunk_size: Image::CHUNK_MAX,
            chunks: Digest::default(),
        };
        assert_eq!(image.fault(), None);
        assert_eq!(image.list_size(), 128 << 10);
        assert_eq!(image.chunk_span(4095), (4095 << 20, 1 << 20));
        assert_eq!(image.chunk_span(4096).1, 0);
    }
}
