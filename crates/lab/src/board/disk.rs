//! The board's disk: a boot partition with the script and what it remembers, two slots,
//! and a partition for what survives. Made without loop devices or mounts.

use super::chain::{Chain, put};
use super::layout::{Layout, SLOT_MIB};
use crate::process::{said, system, through};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// MiB before the first partition and after the last one.
const EDGE_MIB: u64 = 1;
/// MiB of the boot partition.
const BOOT_MIB: u64 = 8;
/// MiB of a copy of the bootloader, behind all else.
pub const LOADER_MIB: u64 = 2;
/// Where the first slot is, in MiB.
const SLOT_A_MIB: u64 = EDGE_MIB + BOOT_MIB;

/// The bytes of the boot partition.
pub const BOOT: Range<usize> = (EDGE_MIB as usize) << 20..((EDGE_MIB + BOOT_MIB) as usize) << 20;

/// A disk in a file.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

/// What the factory writes into the slots.
#[derive(Debug, Clone)]
pub struct Images {
    /// Slot A.
    pub system: PathBuf,
    /// Slot B, where that holds a recovery.
    pub recovery: Option<PathBuf>,
    /// Copy A of the bootloader, where there are two.
    pub loader: Option<PathBuf>,
    /// What the slots are for.
    pub layout: Layout,
}

/// The labels of the slots' partitions.
pub const SLOT_A: &str = "system-a";
/// The same of the other one.
pub const SLOT_B: &str = "system-b";
/// Those of a bootloader's copies.
const LOADER_A: &str = "loader-a";
/// The same of the other one.
const LOADER_B: &str = "loader-b";

impl Disk {
    /// Makes a disk in `path` with `images` that machines of `chain` start from;
    /// what the factory wrote for this one terminal is in `factory`.
    ///
    /// # Errors
    /// A program is missing or fails, or the storage is full.
    pub fn make(path: &Path, images: &Images, chain: Chain, factory: &Path) -> Result<Self> {
        let disk = Self { path: path.into() };
        let folder = tempfile::tempdir_in(path.parent().unwrap_or(Path::new(".")))?;
        let data_mib = images.layout.data_mib();
        let loaders_at = SLOT_A_MIB + 2 * SLOT_MIB + data_mib;
        let mib = loaders_at + 2 * LOADER_MIB + EDGE_MIB;
        File::create(path)?.set_len(mib << 20)?;
        let table = format!(
            "label: gpt\nstart={EDGE_MIB}M, size={BOOT_MIB}M, type=U, attrs=LegacyBIOSBootable\n\
             size={SLOT_MIB}M, name={SLOT_A}\nsize={SLOT_MIB}M, name={SLOT_B}\n\
             size={data_mib}M\nsize={LOADER_MIB}M, name={LOADER_A}\n\
             size={LOADER_MIB}M, name={LOADER_B}\n"
        );
        through(system("sfdisk", "fdisk")?.arg("-q").arg(path), table.as_bytes())?;
        let boot = folder.path().join("boot");
        let label = ["-C", "-n", "BOOT"];
        said(system("mkfs.vfat", "dosfstools")?.args(label).arg(&boot).arg(kib(BOOT_MIB)))?;
        chain.fill(&boot, folder.path(), images.layout)?;
        disk.copy_in(&boot, EDGE_MIB << 20)?;
        disk.copy_in(&images.system, SLOT_A_MIB << 20)?;
        if let Some(recovery) = &images.recovery {
            disk.copy_in(recovery, (SLOT_A_MIB + SLOT_MIB) << 20)?;
        }
        if let Some(loader) = &images.loader {
            disk.copy_in(loader, loaders_at << 20)?;
        }
        let data = folder.path().join("data");
        let mut mkfs = system("mkfs.ext4", "e2fsprogs")?;
        mkfs.args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,nodiscard"]);
        said(mkfs.arg("-d").arg(factory).arg(&data).arg(format!("{data_mib}M")))?;
        disk.copy_in(&data, (SLOT_A_MIB + 2 * SLOT_MIB) << 20)?;
        chain.install(path, folder.path())?;
        Ok(disk)
    }

    /// The disk that is in `path` already.
    pub fn at(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a slot, 0 for A and 1 for B.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn slot(&self, number: u64) -> Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start((SLOT_A_MIB + number * SLOT_MIB) << 20))?;
        let mut bytes = Vec::new();
        file.take(SLOT_MIB << 20).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a copy of the bootloader, 0 for A and 1 for B.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn loader(&self, number: u64) -> Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let behind = (((2 - number) * LOADER_MIB + EDGE_MIB) << 20).cast_signed();
        file.seek(SeekFrom::End(-behind))?;
        let mut bytes = Vec::new();
        file.take(LOADER_MIB << 20).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file of the boot partition.
    ///
    /// # Errors
    /// It is not there.
    pub fn read_boot(&self, name: &str) -> Result<Vec<u8>> {
        let output = self.mtools("mtype")?.arg(format!("::{name}")).output()?;
        anyhow::ensure!(output.status.success(), "there is no {name} on the boot partition");
        Ok(output.stdout)
    }

    /// Replaces a file of the boot partition.
    ///
    /// # Errors
    /// The program fails.
    pub fn write_boot(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        let mut copy = self.mtools("mcopy")?;
        said(copy.arg("-o").arg(file.path()).arg(format!("::{name}")))?;
        Ok(())
    }

    fn mtools(&self, program: &str) -> Result<Command> {
        let mut command = system(program, "mtools")?;
        command.arg("-i").arg(format!("{}@@{EDGE_MIB}M", self.path.display()));
        Ok(command)
    }

    fn copy_in(&self, from: &Path, at: u64) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let disk = File::options().write(true).open(&self.path)?;
        Ok(disk.write_all_at(&bytes, at)?)
    }
}

/// Where slot `number` is in a disk's bytes, 0 for A and 1 for B.
pub fn slot_in(bytes: &[u8], number: usize) -> Option<&[u8]> {
    let (first, len) = (SLOT_A_MIB as usize, SLOT_MIB as usize);
    let start = (first + number * len) << 20;
    bytes.get(start..start + (len << 20))
}

/// The boot partition in a disk's bytes.
pub fn boot_in(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(BOOT)
}

/// A file of the boot partition whose bytes are in the file `partition`, where it is there.
///
/// # Errors
/// A program is missing.
pub fn boot_file(partition: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut mtype = system("mtype", "mtools")?;
    let output = mtype.arg("-i").arg(partition).arg(format!("::{name}")).output()?;
    Ok(output.status.success().then_some(output.stdout))
}

/// A memory card with `package` as `update.zip` in its root.
///
/// # Errors
/// A program is missing or fails.
pub fn card(path: &Path, package: &Path) -> Result<()> {
    let room = fs::metadata(package)?.len() / (1 << 20) + 4;
    said(system("mkfs.vfat", "dosfstools")?.args(["-C"]).arg(path).arg(kib(room)))?;
    put(path, package, "update.zip")
}

fn kib(mib: u64) -> String {
    (mib << 10).to_string()
}
