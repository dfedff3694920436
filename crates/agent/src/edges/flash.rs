//! A medium that images are written to.

use std::io;
use trust::Proven;

/// What a medium is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes that it can hold.
    pub size: u64,
    /// Bytes of its smallest write.
    pub block: u32,
}

/// A bank, partition or staging area. Only what matched its signed hash can be
/// written: the argument of `write` proves it.
pub trait Flash {
    /// Size and block of the medium.
    ///
    /// # Errors
    /// The medium cannot be asked.
    fn geometry(&self) -> io::Result<Geometry>;

    /// Makes the medium ready for a new image; its content is void from now on.
    ///
    /// # Errors
    /// The medium cannot be opened or erased.
    fn prepare(&mut self) -> io::Result<()>;

    /// Writes one proven chunk at its place. Durable only after `flush`.
    ///
    /// # Errors
    /// The medium refused or is full; the chunk's range is then void.
    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// Nothing written since the last flush is certain.
    fn flush(&mut self) -> io::Result<()>;

    /// Reads from the medium itself, not from a cache; `into` is filled.
    ///
    /// # Errors
    /// The medium cannot be read there.
    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()>;
}
