//! Where a stream says what its encoder chose.

use super::again::{Again, Read, Sink};
#[cfg(any(test, feature = "diff"))]
use super::weave::{Mixed, Woven};
use super::{Recipe, Wrapper, deflate, told};
#[cfg(any(test, feature = "diff"))]
use super::{lz4, lzma};
use crate::codec::Fault;
use crate::codec::zstd::ZstdOptions;
use crate::correction::Correction;
use alloc::boxed::Box;
#[cfg(any(test, feature = "diff"))]
use alloc::vec::Vec;
#[cfg(any(test, feature = "diff"))]
use core::ops::Range;

/// What is told of a stream's encoder.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Zstd(told::Told),
    Deflate(Wrapper, deflate::told::Told),
}

/// Reads a stream that is being made, with what is told of it.
pub(crate) enum Retelling {
    Zstd(Box<Again<told::again::ToldAgain>>),
    Deflate(Box<Again<deflate::again::ToldAgain>>),
}

impl Retelling {
    /// Gives the next `count` bytes of words and content; see [`Again::give`].
    pub(crate) fn give<E: From<Fault>>(
        &mut self,
        count: u64,
        there: u64,
        read: &mut Read<'_, E>,
        sink: &mut Sink<'_, E>,
    ) -> Result<u64, E> {
        match self {
            Self::Zstd(again) => again.give(count, there, read, sink),
            Self::Deflate(again) => again.give(count, there, read, sink),
        }
    }
}

impl Told {
    /// Reads a stream of `plain` bytes of words and content again.
    pub(crate) fn again(self, plain: u64) -> Result<Retelling, Fault> {
        Ok(match self {
            Self::Zstd(told) => Retelling::Zstd(Box::new(told::again::again(told, plain)?)),
            Self::Deflate(wrapper, told) => {
                Retelling::Deflate(Box::new(deflate::again::again(wrapper, told, plain)?))
            }
        })
    }

    /// Bytes of heap that this takes; none where the stream cannot be read before it is
    /// complete.
    pub(crate) fn again_heap(&self) -> Option<u64> {
        match self {
            Self::Zstd(told) => told::again::heap(told),
            Self::Deflate(_, told) => deflate::again::heap(told),
        }
    }
}

#[cfg(any(test, feature = "diff"))]
impl Told {
    /// How words come between the content, and the bytes of all words.
    fn woven(&self) -> (Option<Woven<'_>>, usize) {
        match self {
            Self::Zstd(told) => (told.woven(), told.words),
            Self::Deflate(_, told) => (told.woven(), told.words),
        }
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Zstd(told) => told.to_bytes(),
            Self::Deflate(_, told) => told.to_bytes(),
        }
    }

    /// Puts words between the content of which the ranges `closed` have no room for them.
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[Range<usize>],
    ) -> Option<Mixed> {
        match self {
            Self::Zstd(told) => told.weave(words, content, closed),
            Self::Deflate(_, told) => told.weave(words, content, closed),
        }
    }

    /// Where in words and content the words are.
    pub(crate) fn places(&self, plain: &[u8]) -> Option<Vec<Range<usize>>> {
        match self.woven() {
            (Some(woven), _) => woven.places(plain),
            (None, words) => Some(alloc::vec![0..words]),
        }
    }

    /// The words alone, out of those and the content.
    pub(crate) fn words_of(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let places = self.places(plain)?.into_iter();
        let words = places.map(|place| plain.get(place)).collect::<Option<Vec<_>>>()?;
        Some(words.concat())
    }
}

impl Recipe {
    /// What is told of a stream's encoder, if anything is.
    pub(crate) fn told(&self, correction: &Correction) -> Option<Told> {
        match self {
            Self::Zstd(options) if options.has(ZstdOptions::TOLD) => {
                told::Told::read(correction.sequences()).ok().map(Told::Zstd)
            }
            Self::DeflateTold(wrapper) => {
                let told = deflate::told::Told::read(correction.sequences()).ok()?;
                Some(Told::Deflate(*wrapper, told))
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
    pub(crate) fn chosen(&self, correction: &Correction, plain: &[u8]) -> Vec<Range<usize>> {
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
            Self::Zstd(options) if options.has(ZstdOptions::EDITS) => {
                let ahead = crate::sequences::Ahead::read(correction.sequences());
                ahead.iter().map(|ahead| 0..ahead.edits).collect()
            }
            _ => Vec::new(),
        }
    }
}
