//! Where a package is kept whole before the only system is given up for it.

use std::io;

/// One place for one package. What is written counts only after [`flush`](Self::flush).
pub trait Stage {
    /// Bytes that a package in it may have now.
    ///
    /// # Errors
    /// The medium cannot be asked.
    fn room(&self) -> io::Result<u64>;

    /// Forgets what was in it, and makes it ready for another package.
    ///
    /// # Errors
    /// The medium cannot be written.
    fn prepare(&mut self) -> io::Result<()>;

    /// Writes `bytes` at `at`.
    ///
    /// # Errors
    /// The medium is full (`StorageFull`) or cannot be written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// The medium cannot be written.
    fn flush(&mut self) -> io::Result<()>;

    /// Fills `into` with what was written at `at`.
    ///
    /// # Errors
    /// It cannot be read, or there are not so many bytes.
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Where feeds find the package: the same in the system and in the recovery.
    fn locator(&self) -> &str;

    /// Removes what is in it; nothing is no error.
    ///
    /// # Errors
    /// The medium cannot be written.
    fn remove(&mut self) -> io::Result<()>;
}
