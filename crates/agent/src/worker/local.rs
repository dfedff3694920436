//! Reads entries of a package that is a file of this terminal.

use super::message::Fault;
use package::{Archive, Entry, ReadError, Source};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use types::Outcome;

/// An open package.
pub(super) struct LocalPackage {
    file: Package,
    archive: Archive,
}

/// Its file, as the archive's reader wants it.
struct Package {
    file: File,
    size: u64,
}

impl Source for Package {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

impl LocalPackage {
    /// Reads the package's directory.
    pub(super) fn open(file: File) -> Result<Self, Fault> {
        let size = file.metadata().map_err(|e| unreadable(&e))?.len();
        let file = Package { file, size };
        let archive = Archive::open(&file).map_err(fault)?;
        Ok(Self { file, archive })
    }

    /// A whole entry of at most `limit` bytes.
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        self.archive.read(&self.file, name, limit).map_err(fault)
    }

    /// The entry that holds a payload of `size` bytes.
    pub(super) fn payload(&self, name: &str, size: u64) -> Result<&Entry, Fault> {
        let missing = || format!("the package has no `{name}`");
        let entry = self.archive.entry(name);
        let entry = entry.ok_or_else(|| Fault::payload(Outcome::Malformed, missing()))?;
        match entry.size.cmp(&size) {
            core::cmp::Ordering::Equal => Ok(entry),
            order => {
                let outcome = if order.is_lt() { Outcome::Truncated } else { Outcome::Oversized };
                Err(Fault::payload(outcome, format!("`{name}` is not as long as it should be")))
            }
        }
    }

    /// The bytes at `at` of the file, as many as come.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Fault> {
        self.file.file.read_at(into, at).map_err(|e| unreadable(&e))
    }
}

/// A stick that was pulled may be plugged in again.
fn unreadable(e: &io::Error) -> Fault {
    Fault::later(Outcome::Unreachable, format!("cannot read the package: {e}"))
}

fn fault(error: ReadError<io::Error>) -> Fault {
    match error {
        ReadError::Source(e) => unreadable(&e),
        other => Fault::never(Outcome::Malformed, other.to_string()),
    }
}
