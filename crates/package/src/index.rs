//! The entries of an archive, in order, and the rules they keep.

use crate::error::ArchiveError;
use crate::names::{DELTAS, MANIFEST, PROOF, TARGETS, is_entry_name};
use crate::record::{self, Entry};
use alloc::vec::Vec;

/// The most entries: four documents, 32 components with a list of chunks and 8
/// payloads each, 64 deltas, and room for what later versions add.
const ENTRIES_MAX: usize = 512;

/// Entries as they come, one after the other without gaps.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    at: u64,
}

impl Index {
    /// Where the next header starts.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The entries so far.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the next entry: its header is at [`at`](Self::at).
    pub(crate) fn add(
        &mut self,
        name: &str,
        size: u64,
        crc32: u32,
    ) -> Result<&Entry, ArchiveError> {
        let header_at = self.at;
        if !is_entry_name(name) {
            return Err(ArchiveError::Name { at: header_at });
        }
        if self.entries.iter().any(|other| other.name == name) {
            return Err(ArchiveError::Duplicate { name: name.into() });
        }
        if self.entries.len() >= ENTRIES_MAX {
            return Err(ArchiveError::TooMany { limit: ENTRIES_MAX });
        }
        self.check_order(name)?;
        let at = header_at.checked_add(record::local_len(name));
        let end = at.and_then(|at| at.checked_add(size));
        let (Some(at), Some(end)) = (at, end) else {
            return Err(ArchiveError::Header { at: header_at });
        };
        self.at = end;
        self.entries.push(Entry { name: name.into(), at, size, crc32 });
        self.entries.last().ok_or(ArchiveError::Header { at: header_at })
    }

    /// The bytes after the last entry.
    pub(crate) fn tail(&self) -> Vec<u8> {
        record::tail(&self.entries, self.at)
    }

    /// Manifest, signatures, proof and deltas' list come first, in this order, so that whoever
    /// reads forward can decide before the first payload comes.
    fn check_order(&self, name: &str) -> Result<(), ArchiveError> {
        let last = self.entries.last().map(|entry| entry.name.as_str());
        let fits = match name {
            MANIFEST => last.is_none(),
            TARGETS => last == Some(MANIFEST),
            PROOF => last == Some(TARGETS),
            DELTAS => [MANIFEST, TARGETS, PROOF].map(Some).contains(&last),
            _ => last.is_some(),
        };
        if fits { Ok(()) } else { Err(ArchiveError::Order { name: name.into() }) }
    }
}
