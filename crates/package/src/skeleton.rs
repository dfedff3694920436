//! An archive whose entries are known by name and size before their bytes are there:
//! where each will be, and what has to stand around them in the end.

use crate::error::ArchiveError;
use crate::index::Index;
use crate::record::{self, Entry};
use alloc::vec::Vec;

/// The places of an archive's entries.
#[derive(Debug)]
pub struct Skeleton {
    index: Index,
}

impl Skeleton {
    /// The archive of entries with these names and sizes, in order.
    ///
    /// # Errors
    /// No archive has such entries.
    pub fn of<'a>(entries: impl IntoIterator<Item = (&'a str, u64)>) -> Result<Self, ArchiveError> {
        let mut index = Index::default();
        for (name, size) in entries {
            index.add(name, size, 0)?;
        }
        if index.entries().is_empty() {
            return Err(ArchiveError::NotAnArchive);
        }
        Ok(Self { index })
    }

    /// The entries, in order. Their CRC-32 is not known yet.
    pub fn entries(&self) -> &[Entry] {
        self.index.entries()
    }

    /// Bytes of the whole archive.
    pub fn size(&self) -> u64 {
        let tail = u64::try_from(self.index.tail().len()).unwrap_or(u64::MAX);
        self.index.at().saturating_add(tail)
    }

    /// What stands around the entries, once the CRC-32 of each is known: places, and the
    /// bytes that belong there. An entry without a CRC-32 has 0.
    pub fn bones(&self, sums: &[u32]) -> Vec<(u64, Vec<u8>)> {
        let sums = sums.iter().copied().chain(core::iter::repeat(0));
        let named = |(entry, crc32): (&Entry, u32)| Entry { crc32, ..entry.clone() };
        let entries: Vec<Entry> = self.entries().iter().zip(sums).map(named).collect();
        let header = |entry: &Entry| (entry.header_at(), record::local(entry));
        let mut bones: Vec<_> = entries.iter().map(header).collect();
        bones.push((self.index.at(), record::tail(&entries, self.index.at())));
        bones
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Archive, Writer, crc32};
    use alloc::vec;
    use core::convert::Infallible;

    /// Bytes that come to their places in any order make the archive that a writer makes.
    #[test]
    fn what_is_put_together_is_what_is_written_in_one_go() {
        let entries: [(&str, &[u8]); 3] =
            [("manifest.json", b"{}"), ("payload/a.zst", b"abc"), ("payload/b.zst", b"")];
        let mut written = Vec::new();
        let mut writer = Writer::new(|bytes: &[u8]| -> Result<(), Infallible> {
            written.extend_from_slice(bytes);
            Ok(())
        });
        for (name, bytes) in entries {
            writer.entry(name, bytes).unwrap();
        }
        writer.finish().unwrap();

        let sizes = entries.map(|(name, bytes)| (name, bytes.len() as u64));
        let skeleton = Skeleton::of(sizes).unwrap();
        let mut put = vec![0xee; usize::try_from(skeleton.size()).unwrap()];
        let sums = entries.map(|(_, bytes)| crc32(bytes));
        let bones = skeleton.bones(&sums);
        let places = skeleton.entries().iter().map(|entry| entry.at);
        let flesh = places.zip(entries).map(|(at, (_, bytes))| (at, bytes.to_vec()));
        for (at, bytes) in bones.into_iter().rev().chain(flesh) {
            let at = usize::try_from(at).unwrap();
            put[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(put, written);
        let archive = Archive::open(put.as_slice()).unwrap();
        assert_eq!(archive.read(put.as_slice(), "payload/a.zst", 3).unwrap(), b"abc");
    }

    #[test]
    fn what_is_no_archive_has_no_places() {
        for names in [vec![], vec!["payload/a"], vec!["manifest.json", "../x"]] {
            let entries = names.iter().map(|name| (*name, 1));
            assert!(Skeleton::of(entries).is_err(), "{names:?}");
        }
    }
}
