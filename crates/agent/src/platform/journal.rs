//! The journal: one small file or partition with two copies of the record.

use super::pair::{Held, Pair, RECORD};
use crate::edges::{Journal, Loaded, RECORD_MAX};
use std::io;
use std::path::Path;

const _: () = assert!(RECORD >= RECORD_MAX, "a copy holds every record");

/// First bytes of both copies.
const MAGIC: [u8; 4] = *b"RfJ1";

/// The record of the update in progress, in a file of 8 KiB.
#[derive(Debug)]
pub struct JournalFile(Pair);

impl JournalFile {
    /// The journal at `path`, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self(Pair::new(path, MAGIC))
    }
}

impl Journal for JournalFile {
    fn load(&mut self) -> io::Result<Loaded> {
        Ok(match self.0.load()? {
            Held::Nothing => Loaded::Nothing,
            Held::Record(record) => Loaded::Record(record),
            Held::Damaged => Loaded::Damaged,
        })
    }

    fn save(&mut self, record: &[u8]) -> io::Result<()> {
        self.0.save(record)
    }
}
