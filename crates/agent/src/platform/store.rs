//! Small documents as files of one directory.

use super::files;
use crate::edges::Store;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use types::tree;

/// The longest name of a document, in bytes.
const NAME_MAX: usize = 128;
/// The largest document: a job file with the chunk list of a 1 TiB image, and room.
const DOCUMENT_MAX: u64 = 64 << 20;

/// A directory that only its owner can enter.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// The store in directory `path`, which is made where it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            // Or all that will be in it goes with its name when the power is cut.
            files::sync_directory_of(path)?;
        }
        Ok(Self(path.into()))
    }

    /// Changes a document of JSON; one that is missing or does not read is as new. Two
    /// processes that change it do so one after the other.
    ///
    /// # Errors
    /// It cannot be locked, read or written.
    pub fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut T)) -> io::Result<()>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let directory = File::open(&self.0)?;
        flock(&directory, FlockOperation::LockExclusive)?;
        let bytes = self.read(name)?;
        let mut value: T = bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default();
        change(&mut value);
        self.replace(name, &serde_json::to_vec(&value).map_err(io::Error::other)?)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'+');
        let starts = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if starts && name.len() <= NAME_MAX && name.bytes().all(allowed) {
            return Ok(self.0.join(name));
        }
        Err(io::Error::new(io::ErrorKind::InvalidFilename, "a document with that name"))
    }
}

impl Store for Directory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        files::read(&self.path(name)?, DOCUMENT_MAX)
    }

    fn replace(&mut self, name: &str, exact: &[u8]) -> io::Result<()> {
        files::replace(&self.path(name)?, exact)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        files::remove(&self.path(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Directory::open(&dir.path().join("store")).unwrap();
        let long = "x".repeat(129);
        for bad in ["", ".", "..", ".new-a", "../a", "a/b", "a\0", "-a", &long] {
            assert!(store.replace(bad, b"x").is_err(), "{bad:?}");
            assert!(store.read(bad).is_err(), "{bad:?}");
            assert!(store.remove(bad).is_err(), "{bad:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("store")).unwrap().count(), 0);
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Directory::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut store = store.clone();
                scope.spawn(move || {
                    for _ in 0..50 {
                        store.change("count", |count: &mut u32| *count += 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.read("count").unwrap().unwrap(), b"200");
    }

    #[test]
    fn nobody_else_reads_a_document() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        Directory::open(&path).unwrap().replace("credential", b"secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("credential")), 0o600);
    }
}
