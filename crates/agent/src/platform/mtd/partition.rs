//! MTD partitions: NAND with bad blocks, and NOR.
//!
//! The kernel corrects what the chip's code can correct. What it cannot, it reads as it
//! is, and the digests find it.

use super::blocks::{Chip, Shape};
use super::{Access, Flags, abi, number};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where UBI's devices are listed.
const UBI: &str = "/sys/class/ubi";

/// One partition.
#[derive(Debug)]
struct Partition {
    file: File,
    shape: Shape,
    nor: bool,
}

/// Opens the partition at `device`, of which `folder` tells.
///
/// # Errors
/// It cannot be opened, or UBI has it.
pub(super) fn open(device: &Path, folder: &Path, access: Access) -> io::Result<Box<dyn Chip>> {
    let write = access == Access::Write;
    if write {
        refuse_attached(folder)?;
    }
    let file = OpenOptions::new().read(true).write(write).open(device)?;
    Ok(Box::new(Partition::new(file)?))
}

/// How copies of an environment are told apart there, as `fw_setenv` does.
///
/// # Errors
/// It cannot be asked.
pub(super) fn flags(device: &Path) -> io::Result<Flags> {
    Ok(if is_nor(abi::info(&File::open(device)?)?.kind) { Flags::Active } else { Flags::Counted })
}

fn is_nor(kind: u8) -> bool {
    matches!(kind, abi::NOR | abi::DATAFLASH)
}

/// Written past UBI, all its volumes would be lost.
fn refuse_attached(folder: &Path) -> io::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = name.trim_start_matches("mtd").trim_end_matches("ro").parse::<u32>().ok();
    for entry in fs::read_dir(UBI).into_iter().flatten().flatten() {
        if own.is_some() && number(&entry.path(), "mtd_num").ok() == own {
            let ubi = entry.file_name().to_string_lossy().into_owned();
            let why = format!("{name} belongs to {ubi}: name one of its volumes");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
    }
    Ok(())
}

impl Partition {
    fn new(file: File) -> io::Result<Self> {
        let info = abi::info(&file)?;
        let size = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        let block = info.block.max(1);
        let count = u32::try_from(size / u64::from(block)).map_err(io::Error::other)?;
        let shape = Shape { block, page: info.page.max(1), count };
        Ok(Self { file, shape, nor: is_nor(info.kind) })
    }

    fn at(&self, block: u32, inside: u32) -> u64 {
        u64::from(block) * u64::from(self.shape.block) + u64::from(inside)
    }

    fn unlock(&self, block: u32) -> io::Result<()> {
        if self.nor {
            return abi::unlock(&self.file, self.at(block, 0), self.shape.block);
        }
        Ok(())
    }
}

impl Chip for Partition {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn is_bad(&self, block: u32) -> io::Result<bool> {
        abi::is_bad(&self.file, self.at(block, 0))
    }

    fn read(&self, block: u32, at: u32, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, self.at(block, at))
    }

    fn erase(&mut self, block: u32) -> io::Result<()> {
        self.unlock(block)?;
        abi::erase(&self.file, self.at(block, 0), self.shape.block.into())
    }

    fn program(&mut self, block: u32, at: u32, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at(block, at))
    }

    /// The block may be locked since the terminal started: unlike others that are written,
    /// it was not erased before.
    fn clear(&mut self, block: u32, at: u32) -> io::Result<()> {
        self.unlock(block)?;
        self.program(block, at, &[0])
    }

    fn condemn(&mut self, block: u32) -> io::Result<()> {
        abi::set_bad(&self.file, self.at(block, 0))
    }

    /// Each block is erased when it is written to.
    fn empty(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Every write is there when it returns.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
