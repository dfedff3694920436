//! Where a stream says what its encoder chose.

use super::{Recipe, told};
#[cfg(any(test, feature = "diff"))]
use super::{deflate, lz4, lzma};
use crate::codec::zstd::ZstdOptions;
use crate::correction::Correction;
#[cfg(any(test, feature = "diff"))]
use alloc::vec::Vec;

impl Recipe {
    /// What is told of a stream's encoder, if anything is.
    pub(crate) fn told(&self, correction: &Correction) -> Option<told::Told> {
        match self {
            Self::Zstd(options) if options.has(ZstdOptions::TOLD) => {
                told::Told::read(correction.sequences()).ok()
            }
            _ => None,
        }
    }

    /// Nothing comes out before all of the content is there.
    pub(crate) fn is_made_whole(&self, correction: &Correction) -> bool {
        match self {
            Self::Zstd(options) if options.has(ZstdOptions::TOLD) => false,
            Self::Zstd(options) => options.has(ZstdOptions::AT_ONCE) || correction.has_sequences(),
            Self::Deflate { .. } | Self::Xz(_) => false,
            // Words come first.
            Self::Lzma(_) | Self::Lz4(_) | Self::DeflateTold(_) => true,
        }
    }

    /// Where in a stream's content it is said what an encoder chose: words or edits.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn chosen(
        &self,
        correction: &Correction,
        plain: &[u8],
    ) -> Vec<core::ops::Range<usize>> {
        if let Some(told) = self.told(correction) {
            return told.places(plain).unwrap_or_default();
        }
        match self {
            Self::Lzma(_) => {
                let told = lzma::Told::read(correction.sequences());
                told.iter().map(|told| 0..told.words).collect()
            }
            Self::Lz4(_) => {
                let told = lz4::Told::read(correction.sequences());
                told.iter().map(|told| 0..told.words).collect()
            }
            Self::DeflateTold(_) => {
                let told = deflate::told::Told::read(correction.sequences());
                told.iter().map(|told| 0..told.words).collect()
            }
            Self::Zstd(options) if options.has(ZstdOptions::EDITS) => {
                let ahead = crate::sequences::Ahead::read(correction.sequences());
                ahead.iter().map(|ahead| 0..ahead.edits).collect()
            }
            _ => Vec::new(),
        }
    }
}
