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
    ArchiveError, Codec, Component, Delta, Manifest, Package, Payload, ReadError, Source,
};
use trust::{ChunkList, Root, Targets, TrustError, Verified, verify_targets};
use types::{Digest, Document, Hasher, Image, Outcome, Release, Sealed, Timestamp};

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
            examine_payload(source, &package, payload, &list, &mut |_| {})?;
        }
    }
    for program in manifest.programs() {
        let bytes = package.archive().read(source, &program.entry, program.size.into())?;
        if Digest::of(&bytes) != program.sha256 {
            let why = format!("`{}` is not the program that the manifest speaks of", program.entry);
            return Err(Refusal::new(Outcome::Malformed, why).into());
        }
    }
    for delta in &package.deltas().deltas {
        examine_delta(source, &package, &manifest, delta)?;
    }
    Ok(Examined { package, manifest, targets })
}

/// Decodes the image of `component` out of a package whose layout was checked, and
/// gives `take` each chunk, in order, once it is proven.
///
/// # Errors
/// The medium fails, no payload can be decoded, or it is not what the manifest says.
pub fn extract<S: Source + ?Sized>(
    source: &S,
    package: &Package,
    component: &Component,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), ExamineError<S::Error>> {
    let entry = package::chunks_entry(&component.name);
    let list = package.archive().read(source, &entry, component.image.list_size())?;
    let list = ChunkList::check(&component.image, list).map_err(Refusal::from)?;
    let none = || Refusal::new(Outcome::UnknownFormat, "it has no payload that can be decoded");
    let payload = component.payloads.iter().find(|payload| is_known(payload)).ok_or_else(none)?;
    examine_payload(source, package, payload, &list, take)
}

fn is_known(payload: &Payload) -> bool {
    payload.codec == Codec::ZstdFrames && payload.encryption.is_none()
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
    list: &ChunkList,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), ExamineError<S::Error>> {
    let mut rebuilt = is_known(payload).then(|| Ok(Rebuild::new(list)));
    let mut sha256 = Hasher::default();
    read_entry(source, package, &payload.entry, &mut |part| {
        sha256.update(part);
        // A damaged payload is best called damaged, so its digest is looked at before
        // what the decoder says.
        let so_far: Option<Result<Rebuild<'_>, Refusal>> = rebuilt.take();
        rebuilt = so_far.map(|so_far| so_far.and_then(|rebuild| rebuild.take(part, take)));
    })?;
    if sha256.finish() != payload.sha256 {
        let why = format!("`{}` is not the payload that the manifest speaks of", payload.entry);
        return Err(Refusal::new(Outcome::Malformed, why).into());
    }
    let Some(rebuild) = rebuilt else { return Ok(()) };
    let finished = rebuild.and_then(|rebuild| rebuild.finish(list.image()));
    Ok(finished.map_err(|refusal| {
        Refusal::new(refusal.outcome, format!("`{}`: {refusal}", payload.entry))
    })?)
}

/// Reads a delta: its CRC-32 is the archive's, and there is such a component. What it
/// makes of another image only a terminal that has that image can say.
fn examine_delta<S: Source + ?Sized>(
    source: &S,
    package: &Package,
    manifest: &Manifest,
    delta: &Delta,
) -> Result<(), ExamineError<S::Error>> {
    let Delta { component, entry, .. } = delta;
    if !manifest.components.iter().any(|known| known.name == *component) {
        let why = format!("`{entry}` is a delta of `{component}`, which the release has not");
        return Err(Refusal::new(Outcome::Malformed, why).into());
    }
    read_entry(source, package, entry, &mut |_| {})
}

/// Gives `take` all bytes of an entry, and checks their CRC-32.
fn read_entry<S: Source + ?Sized>(
    source: &S,
    package: &Package,
    name: &str,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), ExamineError<S::Error>> {
    let entry = package.archive().entry(name);
    let missing = || archive(&ArchiveError::Missing { name: name.into() });
    let entry = entry.ok_or_else(missing)?;
    let mut crc = package::Crc32::default();
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < entry.size {
        let left = usize::try_from(entry.size - at).unwrap_or(PIECE);
        let part = piece.get_mut(..left.min(PIECE)).unwrap_or_default();
        source.read_at(entry.at + at, part).map_err(ExamineError::Source)?;
        crc.update(part);
        take(part);
        at += u64::try_from(part.len()).unwrap_or(u64::MAX);
    }
    if crc.finish() != entry.crc32 {
        return Err(archive(&ArchiveError::Checksum { name: name.into() }).into());
    }
    Ok(())
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

    /// Decodes `input` and passes complete chunks on.
    fn take(mut self, mut input: &[u8], on: &mut dyn FnMut(&[u8])) -> Result<Self, Refusal> {
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
                on(proven.bytes());
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
