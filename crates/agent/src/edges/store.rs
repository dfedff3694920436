//! Small documents that survive, and the floors below which nothing is installed.

use std::io;

/// Documents by name, each replaced as a whole: job file, trust metadata, outbox,
/// inventory, switches.
pub trait Store {
    /// The document's bytes, if there is one.
    ///
    /// # Errors
    /// The medium cannot be read.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the document; durable when it returns, old or new after a power cut.
    ///
    /// # Errors
    /// The medium is full or cannot be written; the old document stands.
    fn replace(&mut self, name: &str, exact: &[u8]) -> io::Result<()>;

    /// Removes the document; no document is no error.
    ///
    /// # Errors
    /// The medium cannot be written.
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// The lowest rollback index that may be installed, per component.
pub trait RollbackStore {
    /// The floor of `component`; 0 when it was never raised.
    ///
    /// # Errors
    /// It cannot be read. Nothing may be installed then.
    fn floor(&self, component: &str) -> io::Result<u64>;

    /// Raises the floor to `to`; never lowers it.
    ///
    /// # Errors
    /// It cannot be written; it is as before.
    fn raise(&mut self, component: &str, to: u64) -> io::Result<()>;
}
