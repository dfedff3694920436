//! Chunks and their signed digests: nothing is written that is not `Proven`.

use crate::TrustError;
use alloc::vec::Vec;
use ring::digest::{Context, Digest, SHA256, digest};
use types::Image;

/// Bytes that are compared with zero at once.
const LANE: usize = 64;

/// The digests of an image's chunks, checked against the signed image.
#[derive(Debug, Clone)]
pub struct ChunkList {
    image: Image,
    list: Vec<u8>,
    /// The digest of a whole chunk of zeros: images are full of them.
    blank: Digest,
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
        Ok(Self { image: *image, list, blank: blank(image.chunk_size) })
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
        if signed != Some(self.digest(chunk).as_ref()) {
            return Err(TrustError::WrongChunk { index, what: "its digest" });
        }
        Ok(Proven { index, at, bytes: chunk })
    }

    /// The SHA-256 of a chunk. That of zeros is known: to see that they are zeros is a
    /// tenth of the work of hashing them.
    fn digest(&self, chunk: &[u8]) -> Digest {
        if u32::try_from(chunk.len()).ok() == Some(self.image.chunk_size) && is_zero(chunk) {
            return self.blank;
        }
        // ring's assembly, not the portable hasher: this runs over every byte installed.
        digest(&SHA256, chunk)
    }
}

/// The SHA-256 of `len` zeros.
fn blank(len: u32) -> Digest {
    const ZEROS: [u8; 1024] = [0; 1024];
    let mut context = Context::new(&SHA256);
    let mut left = usize::try_from(len).unwrap_or(0);
    while left > 0 {
        let piece = ZEROS.get(..left).unwrap_or(&ZEROS);
        context.update(piece);
        left -= piece.len();
    }
    context.finish()
}

/// Whether all bytes are zero; the first others end the look.
fn is_zero(bytes: &[u8]) -> bool {
    let (lanes, rest) = bytes.as_chunks::<LANE>();
    lanes.iter().all(|lane| lane.iter().fold(0, |any, byte| any | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use types::Digest;

    /// A chunk of zeros is proven without being hashed, and only where zeros were signed.
    #[test]
    fn chunks_of_zeros_are_proven_like_any_other() {
        let len = Image::CHUNK_MIN as usize;
        let image = |bytes: &[u8]| {
            let list: Vec<u8> = bytes.chunks(len).flat_map(|c| Digest::of(c).0).collect();
            let image = Image {
                size: bytes.len() as u64,
                sha256: Digest::of(bytes),
                chunk_size: Image::CHUNK_MIN,
                chunks: Digest::of(&list),
            };
            ChunkList::check(&image, list).unwrap()
        };
        let mut bytes = vec![0; 3 * len + 10];
        bytes[len] = 1;
        let list = image(&bytes);
        for (index, chunk) in (0..).zip(bytes.chunks(len)) {
            assert_eq!(list.prove(index, chunk).unwrap().bytes(), chunk);
        }
        assert!(list.prove(1, &bytes[..len]).is_err());
        for at in [0, 63, 64, len - 1] {
            let mut chunk = vec![0; len];
            chunk[at] = 1;
            assert!(list.prove(2, &chunk).is_err(), "{at}");
        }
        assert!(list.prove(3, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
    }
}
