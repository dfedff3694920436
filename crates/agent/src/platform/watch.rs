//! Waits until a file is written or replaced (inotify(7)).

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of the notes that are read at once: a name may have 255.
const NOTES: usize = 4096;

/// A file that is watched, by its name: it may be replaced, or not be there yet.
#[derive(Debug)]
pub struct Watch {
    notes: OwnedFd,
    name: OsString,
}

impl Watch {
    /// Watches `file`.
    ///
    /// # Errors
    /// Its folder is not there, or the system has no watch left.
    pub fn on(file: &Path) -> io::Result<Self> {
        let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let notes = init(CreateFlags::CLOEXEC)?;
        add_watch(&notes, folder, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)?;
        Ok(Self { notes, name })
    }

    /// Waits until the file is written to or replaced since the watch began or was last
    /// waited for. Several times can count as one.
    ///
    /// # Errors
    /// The watch is broken.
    pub fn wait(&mut self) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); NOTES];
        let mut notes = Reader::new(&self.notes, &mut room);
        let mut seen = false;
        while !(seen && notes.is_buffer_empty()) {
            let note = notes.next()?;
            seen |= note.file_name().is_some_and(|name| name.to_bytes() == self.name.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_or_replaced_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("status"), dir.path().join("other"));
        let mut watch = Watch::on(&file).unwrap();
        std::fs::write(&other, "no").unwrap();
        std::fs::write(&file, "one").unwrap();
        watch.wait().unwrap();
        std::fs::rename(&other, &file).unwrap();
        watch.wait().unwrap();
        assert!(Watch::on(&dir.path().join("none/status")).is_err());
    }
}
