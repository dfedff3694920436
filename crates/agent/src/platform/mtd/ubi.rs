//! Volumes of UBI, which looks after bad blocks and wear by itself.
//!
//! A volume is emptied by an update of no bytes, which also makes one usable whose update
//! another program did not finish. After that it is written page by page, and a block
//! that holds something already is changed atomically: so an update goes on after a cut
//! where it was, and loses nothing that was flushed. Only where somebody else has the
//! volume open (the worker does, for a delta) a block is emptied and written again.
//!
//! Deliberately absent: static volumes. UBI takes them as a whole only, and what a cut
//! leaves of one cannot be gone on with.

use super::blocks::{Chip, Shape};
use super::{Access, abi, number};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One dynamic volume.
#[derive(Debug)]
struct Volume {
    file: File,
    shape: Shape,
}

/// Opens the volume at `device`, of which `folder` tells.
///
/// # Errors
/// It cannot be opened, or is static.
pub(super) fn open(device: &Path, folder: &Path, access: Access) -> io::Result<Box<dyn Chip>> {
    let kind = fs::read_to_string(folder.join("type"))?;
    if kind.trim() != "dynamic" {
        let why = format!("a {} UBI volume cannot be resumed: make a dynamic one", kind.trim());
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    let above = folder.parent().unwrap_or(folder);
    let shape = Shape {
        block: number(folder, "usable_eb_size")?,
        page: number(above, "min_io_size")?,
        count: number(folder, "reserved_ebs")?,
    };
    let write = access == Access::Write;
    let file = OpenOptions::new().read(true).write(write).open(device)?;
    if write {
        abi::write_directly(&file)?;
    }
    Ok(Box::new(Volume { file, shape }))
}

impl Volume {
    fn at(&self, block: u32, inside: u32) -> u64 {
        u64::from(block) * u64::from(self.shape.block) + u64::from(inside)
    }
}

fn whole(number: u32) -> io::Result<i32> {
    i32::try_from(number).map_err(io::Error::other)
}

fn is(e: &io::Error, errno: Errno) -> bool {
    e.raw_os_error() == Some(errno.raw_os_error())
}

impl Chip for Volume {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn is_bad(&self, _: u32) -> io::Result<bool> {
        Ok(false)
    }

    fn read(&self, block: u32, at: u32, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, self.at(block, at))
    }

    fn erase(&mut self, block: u32) -> io::Result<()> {
        abi::unmap(&self.file, whole(block)?)
    }

    fn program(&mut self, block: u32, at: u32, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at(block, at))
    }

    fn replace(&mut self, block: u32, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return self.erase(block);
        }
        let len = i32::try_from(bytes.len()).map_err(io::Error::other)?;
        match abi::begin_change(&self.file, whole(block)?, len) {
            Ok(()) => self.file.write_all(bytes),
            Err(e) if is(&e, Errno::BUSY) => {
                self.erase(block)?;
                self.program(block, 0, bytes)
            }
            Err(e) => Err(e),
        }
    }

    /// UBI does that.
    fn condemn(&mut self, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn empty(&mut self) -> io::Result<()> {
        match abi::begin_update(&self.file, 0) {
            Err(e) if is(&e, Errno::BUSY) => {
                (0..self.shape.count).try_for_each(|block| self.erase(block))
            }
            done => done,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
