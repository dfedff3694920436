//! A place of fixed size on a medium: in a file or at an offset of a partition.

use crate::platform::files;
use crate::platform::partition::{self, Unlocked};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File or device.
    pub path: PathBuf,
    /// Bytes before it.
    pub offset: u64,
}

impl Place {
    /// Reads up to `len` bytes.
    pub(crate) fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        let opened = partition::locate(&self.path).and_then(File::open);
        let file = opened.map_err(|e| self.named(&e))?;
        let mut bytes = vec![0; len];
        let got = files::read_up_to(&file, &mut bytes, self.offset)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Writes in place; durable when it returns. The file must be there.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let path = partition::locate(&self.path).map_err(|e| self.named(&e))?;
        let _unlocked = Unlocked::of(&path)?;
        let file = OpenOptions::new().write(true).open(path).map_err(|e| self.named(&e))?;
        file.write_all_at(bytes, self.offset)?;
        file.sync_all()
    }

    /// The same error, with the name of the place.
    fn named(&self, e: &io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("`{}`: {e}", self.path.display()))
    }
}
