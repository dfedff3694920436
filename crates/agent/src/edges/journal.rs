//! One record that survives everything.

use std::io;

/// The largest record, in bytes: one sector.
pub const RECORD_MAX: usize = 512;

/// What the journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing was ever saved.
    Nothing,
    /// The newest record that is whole.
    Record(Vec<u8>),
    /// Something was saved and no copy of it is whole.
    Damaged,
}

/// The state of the update in progress, in two copies that are written in turn.
pub trait Journal {
    /// The newest whole record.
    ///
    /// # Errors
    /// The medium cannot be read.
    fn load(&mut self) -> io::Result<Loaded>;

    /// Saves `record`, of at most 512 bytes; durable when it returns. After a power
    /// cut in between, `load` gives the old record or the new one.
    ///
    /// # Errors
    /// The medium cannot be written; the old record stands.
    fn save(&mut self, record: &[u8]) -> io::Result<()>;
}
