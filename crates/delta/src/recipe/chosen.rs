//! Where a stream says what its encoder chose.

use super::again::{Again, Read, Sink};
#[cfg(any(test, feature = "diff"))]
use super::lz4;
#[cfg(any(test, feature = "diff"))]
use super::weave::{Mixed, Woven};
use super::{LzmaRecipe, MAKES, MAKES_NONE, Recipe, lzma, told};
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
    Lzma(LzmaRecipe, lzma::Told),
}

/// Reads a stream that is being made, with what is told of it.
pub(crate) enum Retelling {
    Zstd(Box<Again<told::again::ToldAgain>>),
    Lzma(Box<Again<lzma::again::LzmaAgain>>),
}

impl Retelling {
    /// See [`Again::reached`].
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn reached(&self) -> Option<usize> {
        match self {
            Self::Zstd(again) => again.reached(),
            Self::Lzma(again) => again.reached(),
        }
    }

    /// Gives the next `count` bytes of words and content; see [`Again::give`].
    pub(crate) fn give<E: From<Fault>>(
        &mut self,
        count: u64,
        there: u64,
        read: &mut Read<'_, E>,
        sink: &mut Sink<'_, E>,
    ) -> Result<u64, E> {
        match self {
            _ if !MAKES => Err(E::from(MAKES_NONE)),
            Self::Zstd(again) => again.give(count, there, read, sink),
            Self::Lzma(again) => again.give(count, there, read, sink),
        }
    }
}

impl Told {
    /// Reads a stream of `plain` bytes of words and content again.
    pub(crate) fn again(self, plain: u64) -> Result<Retelling, Fault> {
        Ok(match self {
            _ if !MAKES => return Err(MAKES_NONE),
            Self::Zstd(told) => Retelling::Zstd(Box::new(told::again::again(told, plain)?)),
            Self::Lzma(recipe, told) => {
                Retelling::Lzma(Box::new(lzma::again::again(recipe, told, plain)?))
            }
        })
    }

    /// Bytes of heap that this takes; none where the stream cannot be read before it is
    /// complete.
    pub(crate) fn again_heap(&self, plain: u64) -> Option<u64> {
        match self {
            _ if !MAKES => None,
            Self::Zstd(told) => told::again::heap(told),
            Self::Lzma(recipe, told) => lzma::again::heap(*recipe, told, plain),
        }
    }
}

#[cfg(any(test, feature = "diff"))]
impl Told {
    /// How words come between the content, and the bytes of all words.
    fn woven(&self) -> (Option<Woven<'_>>, usize) {
        match self {
            Self::Zstd(told) => (told.woven(), told.words),
            Self::Lzma(_, told) => (told.woven(), told.words),
        }
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Zstd(told) => told.to_bytes(),
            Self::Lzma(_, told) => told.to_bytes(),
        }
    }

    /// Puts words between the content of which the ranges `closed` have no room for them;
    /// where runs of it are not given, before each of `runs`.
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[Range<usize>],
        runs: &dyn Fn() -> Vec<usize>,
    ) -> Option<Mixed> {
        match self {
            Self::Zstd(told) => told.weave(words, content, closed),
            Self::Lzma(_, told) => told.weave(words, content, runs()),
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
            _ if !MAKES => None,
            Self::Zstd(options) if options.has(ZstdOptions::TOLD) => {
                told::Told::read(correction.sequences()).ok().map(Told::Zstd)
            }
            Self::Lzma(recipe) if recipe.told => {
                let told = lzma::Told::read(correction.sequences()).ok()?;
                Some(Told::Lzma(*recipe, told))
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
            Self::Lzma(_) | Self::Lz4(_) => true,
        }
    }

    /// Where in a stream's content it is said what an encoder chose: words or edits.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn chosen(&self, correction: &Correction, plain: &[u8]) -> Vec<Range<usize>> {
        if let Some(told) = self.told(correction) {
            return told.places(plain).unwrap_or_default();
        }
        match self {
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
