//! Writes an archive, entry by entry.

use crate::error::ArchiveError;
use crate::index::Index;
use crate::record;
use crc32fast::Hasher;

/// CRC-32 (ISO 3309, as zip has it) of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The CRC-32 of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Crc32(Hasher);

impl Crc32 {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC-32 of all pieces.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// Writes an archive forward only, through a function that takes the bytes.
///
/// A header comes before its bytes, so whoever writes says size and CRC-32 first
/// and is held to them.
#[derive(Debug)]
pub struct Writer<W> {
    index: Index,
    open: Option<Open>,
    write: W,
}

/// The entry that is being written.
#[derive(Debug)]
struct Open {
    left: u64,
    crc: Hasher,
}

/// Why an entry could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E: core::error::Error + 'static> {
    /// The medium failed.
    #[error("cannot write the package")]
    Sink(#[source] E),
    /// The entries do not make an archive of this form.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl<W, E> Writer<W>
where
    W: FnMut(&[u8]) -> Result<(), E>,
    E: core::error::Error + 'static,
{
    /// An empty archive that goes out through `write`.
    pub fn new(write: W) -> Self {
        Self { index: Index::default(), open: None, write }
    }

    /// Writes a whole entry.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub fn entry(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError<E>> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.start(name, size, crc32(bytes))?;
        self.data(bytes)
    }

    /// Starts an entry of `size` bytes whose CRC-32 will be `crc32`.
    ///
    /// # Errors
    /// The last entry is not complete, the name or its place is not allowed, or the
    /// medium fails.
    pub fn start(&mut self, name: &str, size: u64, crc32: u32) -> Result<(), WriteError<E>> {
        self.close()?;
        let header = record::local(self.index.add(name, size, crc32)?);
        self.open = Some(Open { left: size, crc: Hasher::new() });
        (self.write)(&header).map_err(WriteError::Sink)
    }

    /// Writes the next bytes of the entry.
    ///
    /// # Errors
    /// More bytes than were announced, or the medium fails.
    pub fn data(&mut self, bytes: &[u8]) -> Result<(), WriteError<E>> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(open) = self.open.as_mut().filter(|open| open.left >= len) else {
            return Err(self.misfit("the bytes").into());
        };
        open.left -= len;
        open.crc.update(bytes);
        (self.write)(bytes).map_err(WriteError::Sink)
    }

    /// Writes the directory.
    ///
    /// # Errors
    /// The last entry is not complete, there is none, or the medium fails.
    pub fn finish(mut self) -> Result<(), WriteError<E>> {
        self.close()?;
        if self.index.entries().is_empty() {
            return Err(self.misfit("an archive without entries").into());
        }
        (self.write)(&self.index.tail()).map_err(WriteError::Sink)
    }

    fn close(&mut self) -> Result<(), WriteError<E>> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let want = self.index.entries().last().map(|entry| entry.crc32);
        if open.left == 0 && Some(open.crc.finalize()) == want {
            return Ok(());
        }
        Err(self.misfit("the bytes").into())
    }

    /// What was announced and what came are not the same.
    fn misfit(&self, what: &'static str) -> ArchiveError {
        match self.index.entries().last() {
            Some(entry) => ArchiveError::Checksum { name: entry.name.clone() },
            None => ArchiveError::Truncated { what },
        }
    }
}
