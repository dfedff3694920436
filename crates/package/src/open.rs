//! A package: an archive that has what its manifest speaks of, and nothing else.

use crate::archive::{Archive, Source};
use crate::deltas::Deltas;
use crate::error::{ArchiveError, ReadError};
use crate::manifest::Manifest;
use crate::names::{PROOF, ROOTS, TARGETS};
use crate::record::Entry;
use alloc::string::String;
use alloc::vec::Vec;
use types::Document;

/// The most bytes of the signatures.
const TARGETS_LIMIT: u64 = 64 << 10;
/// The most bytes of a proof.
const PROOF_LIMIT: u64 = 64 << 10;

/// An open package: its documents in memory, its payloads still outside.
#[derive(Debug)]
pub struct Package {
    archive: Archive,
    manifest: Vec<u8>,
    targets: Option<Vec<u8>>,
    deltas: Deltas,
}

impl Package {
    /// Opens the archive and reads its documents. Nothing in them is believed yet:
    /// `trust` says whose they are, [`check_layout`](Self::check_layout) whether the
    /// rest is theirs.
    ///
    /// # Errors
    /// The source fails, or it is no archive of the one form, or has no manifest.
    pub fn open<S: Source + ?Sized>(source: &S) -> Result<Self, ReadError<S::Error>> {
        let archive = Archive::open(source)?;
        let manifest = archive.read(source, Manifest::ENTRY, Manifest::LIMIT.into())?;
        let read_targets = |_| archive.read(source, TARGETS, TARGETS_LIMIT);
        let targets = archive.entry(TARGETS).map(read_targets).transpose()?;
        if archive.entry(PROOF).is_some() {
            archive.read(source, PROOF, PROOF_LIMIT)?;
        }
        let deltas = read_deltas(&archive, source)?;
        Ok(Self { archive, manifest, targets, deltas })
    }

    /// The manifest's exact bytes.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The signatures' exact bytes; none in a package that is not signed yet.
    pub fn targets(&self) -> Option<&[u8]> {
        self.targets.as_deref()
    }

    /// The deltas that came with it; none are signed.
    pub fn deltas(&self) -> &Deltas {
        &self.deltas
    }

    /// The archive under it.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Checks that the entries after the documents are exactly those of the manifest
    /// and of the list of deltas, with their sizes, in their order: all lists of
    /// chunks, all payloads, all deltas.
    ///
    /// # Errors
    /// The first entry that is missing, too much, or of another size.
    pub fn check_layout(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let documents = [Manifest::ENTRY, TARGETS, PROOF, Deltas::ENTRY];
        let is_document =
            |e: &&Entry| documents.contains(&e.name.as_str()) || e.name.starts_with(ROOTS);
        let mut entries = self.archive.entries().iter().skip_while(is_document);
        for (name, want) in manifest.entries().chain(self.deltas.entries()) {
            let Some(entry) = entries.next() else { return Err(ArchiveError::Missing { name }) };
            if entry.name != name {
                return Err(self.misplaced(name, entry));
            }
            if entry.size != want {
                return Err(ArchiveError::Size { name, got: entry.size, want });
            }
        }
        match entries.next() {
            None => Ok(()),
            Some(entry) => Err(ArchiveError::Unexpected { name: entry.name.clone() }),
        }
    }

    /// `wanted` should stand where `entry` does.
    fn misplaced(&self, wanted: String, entry: &Entry) -> ArchiveError {
        match self.archive.entry(&wanted) {
            None => ArchiveError::Missing { name: wanted },
            Some(_) => ArchiveError::Order { name: entry.name.clone() },
        }
    }
}

fn read_deltas<S: Source + ?Sized>(
    archive: &Archive,
    source: &S,
) -> Result<Deltas, ReadError<S::Error>> {
    if archive.entry(Deltas::ENTRY).is_none() {
        return Ok(Deltas::default());
    }
    let bytes = archive.read(source, Deltas::ENTRY, Deltas::LIMIT.into())?;
    Ok(Deltas::decode(&bytes).map_err(|why| ArchiveError::Deltas { why })?)
}
