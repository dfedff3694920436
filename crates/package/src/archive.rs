//! Reads an archive whose bytes can be asked for at any place.

use crate::error::{ArchiveError, OutOfRange, ReadError};
use crate::index::Index;
use crate::names::NAME_MAX;
use crate::record::{self, Entry, LOCAL_EXTRA, LOCAL_FIXED, LOCAL_MAGIC};
use crate::writer::crc32;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that can be read at any place: a file, memory, a server that knows ranges.
pub trait Source {
    /// Why reading failed.
    type Error: core::error::Error + 'static;

    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// The medium failed, or there are not so many bytes.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), Self::Error>;
}

impl Source for [u8] {
    type Error = OutOfRange;

    fn size(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfRange> {
        let at = usize::try_from(at).map_err(|_| OutOfRange)?;
        let end = at.checked_add(into.len()).ok_or(OutOfRange)?;
        into.copy_from_slice(self.get(at..end).ok_or(OutOfRange)?);
        Ok(())
    }
}

/// An archive of the one form: its entries follow each other without gaps, and
/// its directory says exactly what its headers say.
#[derive(Debug)]
pub struct Archive {
    index: Index,
}

impl Archive {
    /// Walks the headers from the start, then compares the rest with the directory
    /// that belongs to them. So there is no second directory, nothing between or
    /// behind, and no way to read it as another archive.
    ///
    /// # Errors
    /// The source fails, or the archive is not of this form.
    pub fn open<S: Source + ?Sized>(source: &S) -> Result<Self, ReadError<S::Error>> {
        let mut index = Index::default();
        while starts_entry(source, index.at())? {
            read_header(source, &mut index)?;
            if index.at() > source.size() {
                return Err(ArchiveError::Truncated { what: "an entry" }.into());
            }
        }
        if index.entries().is_empty() {
            return Err(ArchiveError::NotAnArchive.into());
        }
        check_tail(source, &index)?;
        Ok(Self { index })
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        self.index.entries()
    }

    /// The entry of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    /// Reads a whole entry of at most `limit` bytes and checks its CRC-32.
    ///
    /// # Errors
    /// No such entry, too long, damaged, or the source fails.
    pub fn read<S: Source + ?Sized>(
        &self,
        source: &S,
        name: &str,
        limit: u64,
    ) -> Result<Vec<u8>, ReadError<S::Error>> {
        let missing = || ArchiveError::Missing { name: name.into() };
        let entry = self.entry(name).ok_or_else(missing)?;
        let too_long = || ArchiveError::TooLong { name: name.into(), limit };
        if entry.size > limit {
            return Err(too_long().into());
        }
        let mut bytes = vec![0; usize::try_from(entry.size).map_err(|_| too_long())?];
        source.read_at(entry.at, &mut bytes).map_err(ReadError::Source)?;
        if crc32(&bytes) != entry.crc32 {
            return Err(ArchiveError::Checksum { name: name.into() }.into());
        }
        Ok(bytes)
    }
}

/// Whether a local header starts at `at`. The first one must; after it, whatever
/// is no header must be the directory.
fn starts_entry<S: Source + ?Sized>(source: &S, at: u64) -> Result<bool, ReadError<S::Error>> {
    let mut magic = [0; 4];
    read(source, at, &mut magic, "its directory")?;
    Ok(magic == LOCAL_MAGIC)
}

fn read_header<S: Source + ?Sized>(
    source: &S,
    index: &mut Index,
) -> Result<(), ReadError<S::Error>> {
    let at = index.at();
    let mut bytes = [0; LOCAL_FIXED + NAME_MAX + LOCAL_EXTRA];
    let fixed = bytes.first_chunk_mut::<LOCAL_FIXED>().ok_or(ArchiveError::Header { at })?;
    read(source, at, fixed, "a header")?;
    let len = header_len(fixed).ok_or(ArchiveError::Name { at })?;
    let header = bytes.get_mut(..len).ok_or(ArchiveError::Name { at })?;
    read(source, at, header, "a header")?;
    parse_header(index, header)?;
    Ok(())
}

fn check_tail<S: Source + ?Sized>(source: &S, index: &Index) -> Result<(), ReadError<S::Error>> {
    let want = index.tail();
    let rest = source.size() - index.at().min(source.size());
    let len = u64::try_from(want.len()).unwrap_or(u64::MAX);
    if rest < len {
        return Err(ArchiveError::Truncated { what: "its directory" }.into());
    }
    let mut got = vec![0; want.len()];
    source.read_at(index.at(), &mut got).map_err(ReadError::Source)?;
    if got != want {
        return Err(ArchiveError::Directory.into());
    }
    if rest > len { Err(ArchiveError::Trailing.into()) } else { Ok(()) }
}

fn read<S: Source + ?Sized>(
    source: &S,
    at: u64,
    into: &mut [u8],
    what: &'static str,
) -> Result<(), ReadError<S::Error>> {
    let len = u64::try_from(into.len()).unwrap_or(u64::MAX);
    if at.checked_add(len).is_none_or(|end| end > source.size()) {
        return Err(ArchiveError::Truncated { what }.into());
    }
    source.read_at(at, into).map_err(ReadError::Source)
}

/// Bytes of the whole header that starts with `fixed`, unless its name is too long.
pub(crate) fn header_len(fixed: &[u8; LOCAL_FIXED]) -> Option<usize> {
    let name_len = usize::from(u16::from_le_bytes(field(fixed, 26)?));
    (name_len <= NAME_MAX).then_some(LOCAL_FIXED + name_len + LOCAL_EXTRA)
}

/// Takes a whole header into the index: reads the three facts in it, and requires
/// it to be what the writer makes of them.
pub(crate) fn parse_header<'a>(
    index: &'a mut Index,
    header: &[u8],
) -> Result<&'a Entry, ArchiveError> {
    let at = index.at();
    let wrong = || ArchiveError::Header { at };
    let name_end = header.len().checked_sub(LOCAL_EXTRA).ok_or_else(wrong)?;
    let crc32 = field(header, 14).map(u32::from_le_bytes).ok_or_else(wrong)?;
    let size = field(header, name_end + 4).map(u64::from_le_bytes).ok_or_else(wrong)?;
    let name = header.get(LOCAL_FIXED..name_end).ok_or_else(wrong)?;
    let name = core::str::from_utf8(name).map_err(|_| ArchiveError::Name { at })?;
    let entry = index.add(name, size, crc32)?;
    if record::local(entry) == header { Ok(entry) } else { Err(wrong()) }
}

/// `N` bytes of `bytes` from `at` on.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
