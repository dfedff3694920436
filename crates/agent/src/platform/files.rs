//! What every file of the agent is written with: replaced as a whole, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How a file's temporary neighbour starts; such names are never documents.
const TEMPORARY: &str = ".new-";

/// Replaces the file at `path`; durable when it returns, old or new after a power
/// cut. Only its owner can read it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path)?;
    let written = write_new(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(e) = written {
        // What is left of it would only take room; that it stays is no further error.
        drop(std::fs::remove_file(&temporary));
        return Err(full_if_quota(e));
    }
    sync_directory_of(path)
}

/// Points the symbolic link at `path` to `target`, at once and durably.
#[cfg(feature = "components")]
pub(crate) fn relink(path: &Path, target: &Path) -> io::Result<()> {
    let temporary = temporary(path)?;
    remove(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary)?;
    std::fs::rename(&temporary, path)?;
    sync_directory_of(path)
}

/// Removes the file at `path`, durably; no file is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_directory_of(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Reads the file at `path`, if there is one, of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let len = file.metadata()?.len();
    if len > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than it may be"));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let got = read_up_to(&file, &mut bytes, 0)?;
    bytes.truncate(got);
    Ok(Some(bytes))
}

/// Reads until `into` is full or the file ends; returns how many bytes came.
pub(crate) fn read_up_to(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = into.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// Makes the directory entry of `path` durable.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut temporary = std::ffi::OsString::from(TEMPORARY);
    temporary.push(name);
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A quota that is used up is a full storage to everyone above.
fn full_if_quota(e: io::Error) -> io::Error {
    if e.kind() == io::ErrorKind::QuotaExceeded {
        return io::Error::new(io::ErrorKind::StorageFull, e);
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_medium_is_called_full() {
        let e = write_new(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(full_if_quota(e).kind(), io::ErrorKind::StorageFull);
        let quota = full_if_quota(io::ErrorKind::QuotaExceeded.into());
        assert_eq!(quota.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x").is_err());
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_more_is_read_than_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().as_deref(), Some(b"12345".as_slice()));
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(&dir.path().join("b"), 4).unwrap(), None);
    }
}
