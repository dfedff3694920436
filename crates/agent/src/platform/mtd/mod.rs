//! Raw flash: MTD partitions and the volumes of UBI.
//!
//! `mtd:NAME` in place of a path is the MTD partition with that name, `ubi:NAME` the UBI
//! volume with that name, on any UBI device, and `ubi1:NAME` on that one. They are looked
//! for in sysfs, as labels of partitions are. `/dev/mtd3` and `/dev/ubi0_1` work as well.
//!
//! Deliberately absent: attaching UBI to a partition, making volumes, and formatting.
//! That is the factory's work.

pub(super) mod abi;
mod blocks;
pub(super) mod names;
mod partition;
mod reader;
#[cfg(feature = "upkeep")]
mod stream;
mod ubi;

pub(crate) use blocks::Blocks;
pub(crate) use reader::Reader;
#[cfg(feature = "upkeep")]
pub(crate) use stream::Stream;

use super::partition::locate;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What something is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
}

/// How two copies of an environment are told apart where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flags {
    /// By numbers that go up.
    Counted,
    /// By 1 for the copy that counts and 0 for the other one: in NOR, one bit can be
    /// cleared without an erasure.
    Active,
}

/// The flash that `path` names, if it is one.
///
/// # Errors
/// It is one, and cannot be used.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<Option<Blocks>> {
    let Some((device, facts)) = facts(path)? else { return Ok(None) };
    let blocks = match facts.kind {
        Kind::Partition => Blocks::new(partition::open(&device, &facts.folder, access)?)?,
        Kind::Volume => Blocks::new(ubi::open(&device, &facts.folder, access)?)?,
    };
    Ok(Some(blocks))
}

/// The blocks of the flash at `path` from the one that holds byte `offset`, as many as
/// `room` bytes from there touch; and the place of that byte in them.
///
/// # Errors
/// As [`open`].
pub(crate) fn region(
    path: &Path,
    offset: u64,
    room: u64,
    access: Access,
) -> io::Result<Option<(Blocks, u64)>> {
    let Some(mut blocks) = open(path, access)? else { return Ok(None) };
    let inside = blocks.keep(offset, room);
    Ok(Some((blocks, inside)))
}

/// How copies of an environment at `path` are told apart.
///
/// # Errors
/// The flash cannot be asked.
pub(crate) fn flags(path: &Path) -> io::Result<Flags> {
    match facts(path)? {
        Some((device, Facts { kind: Kind::Partition, .. })) => partition::flags(&device),
        _ => Ok(Flags::Counted),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Partition,
    Volume,
}

/// What sysfs says of a character device.
struct Facts {
    kind: Kind,
    folder: PathBuf,
}

fn facts(path: &Path) -> io::Result<Option<(PathBuf, Facts)>> {
    let device = locate(path)?;
    match fs::metadata(&device) {
        Ok(of) if of.file_type().is_char_device() => Ok(facts_of(&of).map(|facts| (device, facts))),
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn facts_of(device: &Metadata) -> Option<Facts> {
    let number = device.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let folder = fs::canonicalize(format!("/sys/dev/char/{major}:{minor}")).ok()?;
    let class = fs::read_link(folder.join("subsystem")).ok()?;
    let kind = match class.file_name()?.to_str()? {
        "mtd" => Kind::Partition,
        "ubi" if folder.join("reserved_ebs").exists() => Kind::Volume,
        _ => return None,
    };
    Some(Facts { kind, folder })
}

/// A number from a file of sysfs.
fn number(folder: &Path, name: &str) -> io::Result<u32> {
    let text = fs::read_to_string(folder.join(name))?;
    text.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
