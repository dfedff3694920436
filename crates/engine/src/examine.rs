//! Reads every byte of a package once and says whether all of it is as signed.
//!
//! This is what the maker's `verify` and a server's reception do. A terminal does
//! less at once and the same in the end: it checks each chunk as it comes.

use crate::inspect::Refusal;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::error::Error;
use delta::FrameDecoder;
use package::{
    ArchiveError, Codec, Component, Entry, Manifest, Package, Payload, ReadError, Source,
};
use trust::{ChunkList, Root, Targets, TrustError, Verified, verify_targets};
use types::{Document, Hasher, Image, Outcome, Release, Sealed, Timestamp};

/// Bytes that are read at once.
const PIECE: usize = 128 << 10;

/// A package of which every byte was read and found as it should be.
#[derive(Debug)]
pub struct Examined {
    /// The open package.
    pub package: Package,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its signatures, where a root was given to judge them.
    pub targets: Option<Verified<Targets>>,
}

/// Why a package was not found as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError<E: Error + 'static> {
    /// The medium failed.
    #[error("cannot read the package")]
    Source(#[source] E),
    /// The package is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Examined {
    /// The release that the package holds.
    pub fn release(&self) -> Release {
        self.manifest.release(self.package.manifest())
    }
}

/// Examines a package. Without a root, who signed it is not judged, only whether
/// it fits together.
///
/// # Errors
/// The medium fails, or the first thing that is not as it should be, with the
/// outcome that a terminal would report.
pub fn examine<S: Source + ?Sized>(
    source: &S,
    root: Option<&Root>,
    now: Timestamp,
) -> Result<Examined, ExamineError<S::Error>> {
    let package = Package::open(source)?;
    let targets = root.map(|root| signatures(&package, root, now)).transpose()?;
    let manifest = match &targets {
        Some(targets) => vouched(targets, &package)?,
        None => Manifest::decode(package.manifest())
            .map_err(|why| Refusal::from(TrustError::Unreadable { kind: Manifest::KIND, why }))?,
    };
    package.check_layout(&manifest).map_err(|error| archive(&error))?;
    for component in &manifest.components {
        let entry = package::chunks_entry(&component.name);
        let list = package.archive().read(source, &entry, component.image.list_size())?;
        let list = ChunkList::check(&component.image, list).map_err(Refusal::from)?;
        for payload in &component.payloads {
            examine_payload(source, &package, payload, component, &list)?;
        }
    }
    Ok(Examined { package, manifest, targets })
}

fn signatures(
    package: &Package,
    root: &Root,
    now: Timestamp,
) -> Result<Verified<Targets>, Refusal> {
    let unsigned = || Refusal::new(Outcome::UntrustedKey, "the package is not signed");
    let targets = package.targets().ok_or_else(unsigned)?;
    Ok(verify_targets(root, &Sealed::from(targets), now)?)
}

fn vouched(targets: &Verified<Targets>, package: &Package) -> Result<Manifest, Refusal> {
    let manifest: Verified<Manifest> = targets.vouch(Manifest::ENTRY, package.manifest())?;
    Ok(Manifest::clone(&manifest))
}

/// Reads a payload: its CRC-32 is the archive's, its SHA-256 the manifest's, and
/// what it decodes to is the image, chunk by chunk and as a whole.
fn examine_payload<S: Source + ?Sized>(
    source: &S,
    package: &Package,
    payload: &Payload,
    component: &Component,
    list: &ChunkList,
) -> Result<(), ExamineError<S::Error>> {
    let missing = || ArchiveError::Missing { name: payload.entry.clone() };
    let entry = package
        .archive()
        .entry(&payload.entry)
        .ok_or_else(missing)
        .map_err(|error| archive(&error))?;
    let known = payload.codec == Codec::ZstdFrames && payload.encryption.is_none();
    let mut rebuilt = known.then(|| Ok(Rebuild::new(list)));
    let mut check = EntryCheck::default();
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < entry.size {
        let left = usize::try_from(entry.size - at).unwrap_or(PIECE);
        let part = piece.get_mut(..left.min(PIECE)).unwrap_or_default();
        source.read_at(entry.at + at, part).map_err(ExamineError::Source)?;
        check.update(part);
        // A damaged payload is best called damaged, so its digest is looked at before
        // what the decoder says.
        rebuilt = rebuilt.map(|so_far| so_far.and_then(|rebuild: Rebuild<'_>| rebuild.take(part)));
        at += u64::try_from(part.len()).unwrap_or(u64::MAX);
    }
    check.finish(entry, payload)?;
    match rebuilt {
        Some(rebuild) => {
            Ok(rebuild.and_then(|r| r.finish(&component.image)).map_err(|refusal| {
                Refusal::new(refusal.outcome, format!("`{}`: {refusal}", payload.entry))
            })?)
        }
        None => Ok(()),
    }
}

/// The checks of an entry's bytes.
#[derive(Default)]
struct EntryCheck {
    crc: package::Crc32,
    sha256: Hasher,
}

impl EntryCheck {
    fn update(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.sha256.update(bytes);
    }

    fn finish(self, entry: &Entry, payload: &Payload) -> Result<(), Refusal> {
        if self.crc.finish() != entry.crc32 {
            return Err(archive(&ArchiveError::Checksum { name: entry.name.clone() }));
        }
        if self.sha256.finish() != payload.sha256 {
            let why = format!("`{}` is not the payload that the manifest speaks of", entry.name);
            return Err(Refusal::new(Outcome::Malformed, why));
        }
        Ok(())
    }
}

/// An image that is being made from its payload, one chunk at a time.
struct Rebuild<'a> {
    list: &'a ChunkList,
    decoder: FrameDecoder,
    chunk: Vec<u8>,
    index: u32,
    sha256: Hasher,
}

impl<'a> Rebuild<'a> {
    fn new(list: &'a ChunkList) -> Self {
        let chunk_size = list.image().chunk_size;
        let chunk = vec![0; usize::try_from(chunk_size).unwrap_or_default()];
        let decoder = FrameDecoder::new(chunk_size);
        Self { list, decoder, chunk, index: 0, sha256: Hasher::default() }
    }

    fn take(mut self, mut input: &[u8]) -> Result<Self, Refusal> {
        while !input.is_empty() {
            let (_, len) = self.list.image().chunk_span(self.index);
            let len = usize::try_from(len).unwrap_or_default();
            let chunk = self.chunk.get_mut(..len).filter(|chunk| !chunk.is_empty());
            let chunk = chunk.ok_or_else(|| refusal(Outcome::Oversized))?;
            let step = self.decoder.decode(input, chunk).map_err(|error| {
                let why = format!("chunk {}: {error}", self.index);
                Refusal::new(Outcome::CorruptPayload, why)
            })?;
            input = input.get(step.consumed..).unwrap_or_default();
            if step.done {
                let proven = self.list.prove(self.index, chunk)?;
                self.sha256.update(proven.bytes());
                self.index += 1;
            }
        }
        Ok(self)
    }

    fn finish(self, image: &Image) -> Result<(), Refusal> {
        if self.index != image.chunk_count() {
            return Err(refusal(Outcome::Truncated));
        }
        if self.sha256.finish() != image.sha256 {
            let why = "its chunks are as signed, but the whole image's digest is another";
            return Err(Refusal::new(Outcome::CorruptPayload, why));
        }
        Ok(())
    }
}

fn refusal(outcome: Outcome) -> Refusal {
    Refusal::new(outcome, outcome.sentence())
}

fn archive(error: &ArchiveError) -> Refusal {
    Refusal::new(Outcome::Malformed, error.to_string())
}

impl<E: Error + 'static> From<ReadError<E>> for ExamineError<E> {
    fn from(error: ReadError<E>) -> Self {
        match error {
            ReadError::Source(cause) => Self::Source(cause),
            ReadError::Archive(error) => Self::Refused(archive(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
