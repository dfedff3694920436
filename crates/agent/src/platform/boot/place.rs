//! A place of fixed size on a medium: in a file, at an offset of a partition, or in raw
//! flash, where it has whole blocks to itself and bad ones are skipped.

use crate::platform::files;
use crate::platform::mtd::{self, Access, Flags};
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
    #[cfg(feature = "bootloaders")]
    pub(crate) fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        self.read_within(len, len as u64)
    }

    /// The same; in flash, with bad blocks, it is somewhere in `range` bytes.
    pub(crate) fn read_within(&self, len: usize, range: u64) -> io::Result<Vec<u8>> {
        let flash = mtd::region(&self.path, self.offset, range, Access::Read);
        if let Some((blocks, at)) = flash.map_err(|e| self.named(&e))? {
            let mut bytes = vec![0; len];
            blocks.read(at, &mut bytes).map_err(|e| self.named(&e))?;
            return Ok(bytes);
        }
        let opened = partition::locate(&self.path).and_then(File::open);
        let file = opened.map_err(|e| self.named(&e))?;
        let mut bytes = vec![0; len];
        let got = files::read_up_to(&file, &mut bytes, self.offset)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Writes in place; durable when it returns. The file must be there.
    #[cfg(feature = "bootloaders")]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_within(bytes, bytes.len() as u64)
    }

    /// The same; in flash, with bad blocks, it may go anywhere in `range` bytes.
    pub(crate) fn write_within(&self, bytes: &[u8], range: u64) -> io::Result<()> {
        let flash = mtd::region(&self.path, self.offset, range, Access::Write);
        if let Some((mut blocks, at)) = flash.map_err(|e| self.named(&e))? {
            let written = blocks.write(at, bytes).and_then(|()| blocks.flush());
            return written.map_err(|e| self.named(&e));
        }
        let path = partition::locate(&self.path).map_err(|e| self.named(&e))?;
        let _unlocked = Unlocked::of(&path)?;
        let file = OpenOptions::new().write(true).open(path).map_err(|e| self.named(&e))?;
        file.write_all_at(bytes, self.offset)?;
        file.sync_all()
    }

    /// Where copies of an environment are told apart by clearing a byte, clears the one
    /// at `at`.
    pub(crate) fn clear(&self, at: u64, range: u64) -> io::Result<()> {
        match mtd::region(&self.path, self.offset, range, Access::Write)? {
            Some((mut blocks, inside)) => blocks.clear_byte(inside + at),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether it begins with a block of its own, so that writing to it leaves what is
    /// before it alone. All of what is no raw flash does.
    pub(crate) fn begins_block(&self) -> io::Result<bool> {
        let flash = mtd::open(&self.path, Access::Read)?;
        Ok(flash.is_none_or(|blocks| blocks.begins(self.offset)))
    }

    /// How copies of an environment are told apart there.
    pub(crate) fn flags(&self) -> io::Result<Flags> {
        mtd::flags(&self.path)
    }

    /// The same error, with the name of the place.
    fn named(&self, e: &io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("`{}`: {e}", self.path.display()))
    }
}
