//! Reads an archive that comes forward only, in pieces of any size.

use crate::archive::{header_len, parse_header};
use crate::error::ArchiveError;
use crate::index::Index;
use crate::record::{Entry, LOCAL_FIXED, LOCAL_MAGIC};
use alloc::vec::Vec;
use crc32fast::Hasher;

/// A reader without a source: bytes go in, events come out.
///
/// It accepts exactly what [`Archive::open`](crate::Archive::open) accepts, and
/// checks the CRC-32 of every entry on the way.
#[derive(Debug, Default)]
pub struct Stream {
    index: Index,
    stage: Stage,
}

/// Where in the archive the reader is.
#[derive(Debug)]
enum Stage {
    /// Collects a header, or sees that the directory starts.
    Header(Vec<u8>),
    /// Passes an entry's bytes on: so many are left.
    Data { left: u64, crc: Hasher },
    /// Compares the directory with what it must be: so many bytes fitted.
    Tail { want: Vec<u8>, fitted: usize },
    /// All of it came.
    End,
}

/// What a reader meets.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An entry starts.
    Entry(Entry),
    /// The next bytes of the entry.
    Data(&'a [u8]),
    /// The entry is complete and its CRC-32 fits.
    Complete,
    /// The archive is complete and its directory fits.
    End,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

impl Stream {
    /// A reader at the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` up to the next event; `None` when
    /// all of it was used and more is needed.
    ///
    /// # Errors
    /// The archive is not of the one form. The reader is of no more use then.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, ArchiveError> {
        match &mut self.stage {
            Stage::Header(_) => self.header(input),
            Stage::Data { left: 0, .. } => self.complete(),
            Stage::Data { left, crc } => Ok(pass(input, left, crc)),
            Stage::Tail { want, fitted } => {
                let ended = compare(input, want, fitted)?;
                self.stage = if ended { Stage::End } else { return Ok(None) };
                Ok(Some(Event::End))
            }
            Stage::End if input.is_empty() => Ok(None),
            Stage::End => Err(ArchiveError::Trailing),
        }
    }

    /// The entries, once the archive is complete.
    ///
    /// # Errors
    /// `Truncated` when bytes are missing.
    pub fn finish(self) -> Result<Vec<Entry>, ArchiveError> {
        let what = match self.stage {
            Stage::Header(_) => "a header",
            Stage::Data { .. } => "an entry",
            Stage::Tail { .. } => "its directory",
            Stage::End => return Ok(self.index.entries().to_vec()),
        };
        Err(ArchiveError::Truncated { what })
    }

    fn header<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, ArchiveError> {
        let Stage::Header(bytes) = &mut self.stage else { return Ok(None) };
        loop {
            if bytes.len() == LOCAL_MAGIC.len() && *bytes != LOCAL_MAGIC {
                let fitted = core::mem::take(bytes);
                self.stage = self.tail(&fitted)?;
                return self.next(input);
            }
            let want = match bytes.first_chunk::<LOCAL_FIXED>() {
                None if bytes.len() < LOCAL_MAGIC.len() => LOCAL_MAGIC.len(),
                None => LOCAL_FIXED,
                Some(fixed) => {
                    header_len(fixed).ok_or(ArchiveError::Name { at: self.index.at() })?
                }
            };
            if want == bytes.len() {
                break;
            }
            let Some(part) = input.split_off(..input.len().min(want - bytes.len())) else { break };
            bytes.extend_from_slice(part);
            if bytes.len() < want {
                return Ok(None);
            }
        }
        let entry = parse_header(&mut self.index, bytes)?.clone();
        self.stage = Stage::Data { left: entry.size, crc: Hasher::new() };
        Ok(Some(Event::Entry(entry)))
    }

    fn complete<'a>(&mut self) -> Result<Option<Event<'a>>, ArchiveError> {
        let Stage::Data { crc, .. } = core::mem::take(&mut self.stage) else { return Ok(None) };
        let Some(entry) = self.index.entries().last() else { return Ok(None) };
        if crc.finalize() != entry.crc32 {
            return Err(ArchiveError::Checksum { name: entry.name.clone() });
        }
        Ok(Some(Event::Complete))
    }

    /// The directory starts with `first`.
    fn tail(&self, first: &[u8]) -> Result<Stage, ArchiveError> {
        if self.index.entries().is_empty() {
            return Err(ArchiveError::NotAnArchive);
        }
        let want = self.index.tail();
        if !want.starts_with(first) {
            return Err(ArchiveError::Directory);
        }
        Ok(Stage::Tail { want, fitted: first.len() })
    }
}

/// Passes on what `input` has of the entry.
fn pass<'a>(input: &mut &'a [u8], left: &mut u64, crc: &mut Hasher) -> Option<Event<'a>> {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let data = input.split_off(..len).filter(|data| !data.is_empty())?;
    crc.update(data);
    *left = left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
    Some(Event::Data(data))
}

/// Compares what `input` has of the directory; true when all of it fitted.
fn compare(input: &mut &[u8], want: &[u8], fitted: &mut usize) -> Result<bool, ArchiveError> {
    let rest = want.get(*fitted..).unwrap_or_default();
    let got = input.split_off(..input.len().min(rest.len())).unwrap_or_default();
    if !rest.starts_with(got) {
        return Err(ArchiveError::Directory);
    }
    *fitted += got.len();
    Ok(*fitted == want.len())
}
