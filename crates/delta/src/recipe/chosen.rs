//! Where a stream says what its encoder chose.

use super::again::{Again, Read, Sink};
#[cfg(any(test, feature = "diff"))]
use super::weave::{Mixed, Woven};
use super::{Framing, LzmaRecipe, MAKES, MAKES_NONE, Recipe, Wrapper};
use super::{deflate, edited, lz4, lzma, told};
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
    Edits(edited::Edits),
    Lz4(Framing, lz4::Told),
    Lzma(LzmaRecipe, lzma::Told),
}

/// Reads a stream that is being made, with what is told of it.
pub(crate) enum Retelling {
    Zstd(Box<Again<told::again::ToldAgain>>),
    Deflate(Box<Again<deflate::again::ToldAgain>>),
    Edits(Box<Again<edited::again::EditedAgain>>),
    Lz4(Box<Again<lz4::again::Retells>>),
    Lzma(Box<Again<lzma::again::LzmaAgain>>),
}

impl Retelling {
    /// See [`Again::reached`].
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn reached(&self) -> Option<usize> {
        match self {
            Self::Zstd(again) => again.reached(),
            Self::Deflate(again) => again.reached(),
            Self::Edits(again) => again.reached(),
            Self::Lz4(again) => again.reached(),
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
            Self::Deflate(again) => again.give(count, there, read, sink),
            Self::Edits(again) => again.give(count, there, read, sink),
            Self::Lz4(again) => again.give(count, there, read, sink),
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
            Self::Deflate(wrapper, told) => {
                Retelling::Deflate(Box::new(deflate::again::again(wrapper, told, plain)?))
            }
            Self::Edits(edits) => Retelling::Edits(Box::new(edited::again::again(edits, plain)?)),
            Self::Lz4(framing, told) => {
                Retelling::Lz4(Box::new(lz4::again::again(framing, told, plain)?))
            }
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
            Self::Deflate(_, told) => deflate::again::heap(told),
            Self::Edits(edits) => edited::again::heap(edits),
            Self::Lz4(_, told) => told.weave.as_ref().map(|_| lz4::again::HEAP),
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
            Self::Deflate(_, told) => (told.woven(), told.words),
            Self::Edits(edits) => (Some(edits.woven()), edits.bytes),
            Self::Lz4(_, told) => (told.woven(), told.words),
            Self::Lzma(_, told) => (told.woven(), told.words),
        }
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Zstd(told) => told.to_bytes(),
            Self::Deflate(_, told) => told.to_bytes(),
            Self::Edits(edits) => edits.to_bytes(),
            Self::Lz4(_, told) => told.to_bytes(),
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
            Self::Deflate(_, told) => told.weave(words, content, closed),
            Self::Edits(edits) => edits.weave(words, content, closed),
            Self::Lz4(_, told) => told.weave(words, content, closed),
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

    /// The words alone, out of those and the content; none of
    /// edits and of LZ4.
    pub(crate) fn words_of(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (Self::Zstd(_) | Self::Lzma(..) | Self::Deflate(..)) = self else { return None };
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
            Self::DeflateTold(wrapper) => {
                let told = deflate::told::Told::read(correction.sequences()).ok()?;
                Some(Told::Deflate(*wrapper, told))
            }
            Self::Zstd(options) if options.has(ZstdOptions::EDITS) => {
                edited::Edits::read(correction.sequences()).ok().map(Told::Edits)
            }
            Self::Lz4(recipe) => {
                let told = lz4::Told::read(correction.sequences()).ok();
                told.map(|told| Told::Lz4(recipe.framing, told))
            }
            Self::Lzma(recipe) if recipe.told => {
                let told = lzma::Told::read(correction.sequences()).ok()?;
                Some(Told::Lzma(*recipe, told))
            }
            _ => None,
        }
    }

    /// Edits of what an encoder chooses come between the content.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn is_edited(&self) -> bool {
        matches!(self, Self::Zstd(options) if options.has(ZstdOptions::EDITS))
    }

    /// Nothing comes out before all of the content is there.
    pub(crate) fn is_made_whole(&self, correction: &Correction) -> bool {
        match self {
            Self::Zstd(options) if options.has(ZstdOptions::TOLD | ZstdOptions::EDITS) => false,
            Self::Zstd(options) => options.has(ZstdOptions::AT_ONCE) || correction.has_sequences(),
            Self::Deflate { .. } | Self::Xz(_) => false,
            // Words come first.
            Self::Lzma(_) | Self::DeflateTold(_) => true,
            Self::Lz4(_) => self.told(correction).is_none(),
        }
    }

    /// Where in a stream's content it is said what an encoder chose: words or edits.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn chosen(&self, correction: &Correction, plain: &[u8]) -> Vec<Range<usize>> {
        let told = self.told(correction);
        told.and_then(|told| told.places(plain)).unwrap_or_default()
    }
}
