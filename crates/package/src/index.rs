//! The entries of an archive, in order, and the rules they keep.

use crate::deltas::Deltas;
use crate::error::ArchiveError;
use crate::manifest::Manifest;
use crate::open::{PROOF, TARGETS};
use crate::record;
use alloc::string::String;
use alloc::vec::Vec;

/// The most entries: four documents, 32 components with a list of chunks and 8
/// payloads each, 64 deltas, and room for what later versions add.
const ENTRIES_MAX: usize = 512;

/// The longest name: a folder, a component's name of 64 bytes, and endings.
pub(crate) const NAME_MAX: usize = 96;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// One or two names, separated by a slash.
    pub name: String,
    /// Where its bytes start in the archive.
    pub at: u64,
    /// How many bytes it has.
    pub size: u64,
    /// CRC-32 (ISO 3309) of its bytes.
    pub crc32: u32,
}

impl Entry {
    /// Where its local header starts.
    pub(crate) fn header_at(&self) -> u64 {
        self.at.saturating_sub(record::local_len(&self.name))
    }
}

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
            Manifest::ENTRY => last.is_none(),
            TARGETS => last == Some(Manifest::ENTRY),
            PROOF => last == Some(TARGETS),
            Deltas::ENTRY => [Manifest::ENTRY, TARGETS, PROOF].map(Some).contains(&last),
            _ => last.is_some(),
        };
        if fits { Ok(()) } else { Err(ArchiveError::Order { name: name.into() }) }
    }
}

/// One or two parts, each harmless as a file name.
pub(crate) fn is_entry_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('/').count() <= 2 && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let allowed =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'+' | b':' | b'-');
    part.bytes().all(allowed) && part.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}
