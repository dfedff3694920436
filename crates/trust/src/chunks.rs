//! Chunks and their signed digests: nothing is written that is not `Proven`.

use crate::TrustError;
use alloc::vec::Vec;
use ring::digest::{SHA256, digest};
use types::Image;

/// The digests of an image's chunks, checked against the signed image.
#[derive(Debug, Clone)]
pub struct ChunkList {
    image: Image,
    list: Vec<u8>,
}

/// A chunk that fits its signed digest. Only a [`ChunkList`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'a> {
    index: u32,
    at: u64,
    bytes: &'a [u8],
}

impl ChunkList {
    /// Takes the list of a signed image's chunk digests: 32 bytes each, in order.
    ///
    /// # Errors
    /// `WrongChunkList` when its length or SHA-256 is not the image's.
    pub fn check(image: &Image, list: Vec<u8>) -> Result<Self, TrustError> {
        if u64::try_from(list.len()).ok() != Some(image.list_size()) {
            return Err(TrustError::WrongChunkList { what: "its length" });
        }
        if digest(&SHA256, &list).as_ref() != image.chunks.0 {
            return Err(TrustError::WrongChunkList { what: "its digest" });
        }
        Ok(Self { image: *image, list })
    }

    /// The image that the list is of.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The list's exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.list
    }

    /// Checks one chunk; `index` counts from 0, all but the last have the
    /// image's chunk size.
    ///
    /// # Errors
    /// `WrongChunk` when there is no such chunk, or its length or SHA-256 differs.
    pub fn prove<'a>(&self, index: u32, chunk: &'a [u8]) -> Result<Proven<'a>, TrustError> {
        let (at, len) = self.image.chunk_span(index);
        if len == 0 || u32::try_from(chunk.len()).ok() != Some(len) {
            return Err(TrustError::WrongChunk { index, what: "its length" });
        }
        let signed = usize::try_from(index).ok().and_then(|n| self.list.chunks_exact(32).nth(n));
        // ring's assembly, not the portable hasher: this runs over every byte installed.
        if signed != Some(digest(&SHA256, chunk).as_ref()) {
            return Err(TrustError::WrongChunk { index, what: "its digest" });
        }
        Ok(Proven { index, at, bytes: chunk })
    }
}

impl<'a> Proven<'a> {
    /// Which chunk, counted from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Where it starts in the image, in bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
