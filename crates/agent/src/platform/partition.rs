//! Partitions by the label that their disk's table gives them, and the lock that keeps
//! some of them from being written.
//!
//! `PARTLABEL=system-a` in place of a path stands for the partition with that label in a
//! GPT, as on the kernel's command line. It is looked for in sysfs, which needs neither
//! udev nor its links. A label that is there twice stands for nothing: which of the two
//! partitions an update would hit is nobody's guess.
//!
//! Raw flash has names, too: see `mtd`.
//!
//! The boot partitions of an eMMC are read-only until a zero is written to their
//! `force_ro`. Where an agent was killed in the midst of writing one, nobody locked it
//! again: the next agent does, before anything else ([`lock`]).

use super::mtd::names;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel lists devices.
const CLASSES: &str = "/sys/class";
/// The same, block devices.
pub(super) const CLASS: &str = "/sys/class/block";
/// How a path begins that is a label.
const LABEL: &str = "PARTLABEL=";

/// The device or file that `path` stands for.
///
/// # Errors
/// No partition has the label or name, or several have.
pub fn locate(path: &Path) -> io::Result<PathBuf> {
    locate_in(Path::new(CLASSES), path)
}

/// Whether `path` is a label, or the name of raw flash.
pub(crate) fn is_label(path: &Path) -> bool {
    label(path).is_some() || names::named(path).is_some()
}

fn label(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(LABEL)
}

fn locate_in(classes: &Path, path: &Path) -> io::Result<PathBuf> {
    let (found, what) = if let Some(label) = label(path) {
        (labelled(&classes.join("block"), label)?, format!("partition has the label `{label}`"))
    } else if let Some(named) = names::named(path) {
        let what = format!("flash is called `{}`", path.display());
        match names::devices(classes, named) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => (Vec::new(), what),
            found => (found?, what),
        }
    } else {
        return Ok(path.into());
    };
    match found.as_slice() {
        [device] => Ok(device.clone()),
        [] => Err(io::Error::new(io::ErrorKind::NotFound, format!("no {what}"))),
        _ => Err(io::Error::other(format!("more than one {what}"))),
    }
}

fn labelled(class: &Path, label: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(class)? {
        // One that is pulled meanwhile is not there.
        let facts = fs::read_to_string(entry?.path().join("uevent")).unwrap_or_default();
        let fact = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(device), true) = (fact("DEVNAME="), fact("PARTNAME=") == Some(label)) {
            found.push(Path::new("/dev").join(device));
        }
    }
    Ok(found)
}

/// A device that can be written as long as this value lives. One that was locked is
/// locked again with its end.
#[derive(Debug)]
pub(crate) struct Unlocked(Option<PathBuf>);

impl Unlocked {
    /// Takes the lock off `device`, where it has one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn of(device: &Path) -> io::Result<Self> {
        Self::of_in(Path::new(CLASS), device)
    }

    /// The same, with the kernel's list of block devices in `class`.
    pub(crate) fn of_in(class: &Path, device: &Path) -> io::Result<Self> {
        match switch_of(class, device) {
            Some((switch, Lock::On)) => {
                fs::write(&switch, "0")?;
                Ok(Self(Some(switch)))
            }
            // Most devices have no such lock.
            _ => Ok(Self(None)),
        }
    }
}

/// How a device's lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    On,
    Off,
}

/// The file that locks `device`, and how it is; `None` where there is no lock.
fn switch_of(class: &Path, device: &Path) -> Option<(PathBuf, Lock)> {
    // A link as below /dev/disk has another name.
    let device = fs::canonicalize(device).unwrap_or_else(|_| device.into());
    let switch = class.join(device.file_name()?).join("force_ro");
    let lock = match fs::read_to_string(&switch).ok()?.trim() {
        "0" => Lock::Off,
        _ => Lock::On,
    };
    Some((switch, lock))
}

/// Whether a lock was found open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is closed now.
    Open,
    /// It was closed, or there is none.
    Closed,
}

/// Locks what is at `path`, where it has a lock that is open.
///
/// # Errors
/// The kernel refuses.
pub fn lock(path: &Path) -> io::Result<Found> {
    match locate(path) {
        Ok(device) => lock_in(Path::new(CLASS), &device),
        // What is not there is not open.
        Err(_) => Ok(Found::Closed),
    }
}

fn lock_in(class: &Path, device: &Path) -> io::Result<Found> {
    match switch_of(class, device) {
        Some((switch, Lock::Off)) => fs::write(&switch, "1").map(|()| Found::Open),
        _ => Ok(Found::Closed),
    }
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        if let Some(switch) = &self.0 {
            // The kernel locks it with the next boot, too.
            drop(fs::write(switch, "1"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A class of devices: `name PARTNAME`.
    fn class(devices: &[(&str, &str)]) -> tempfile::TempDir {
        let class = tempfile::tempdir().unwrap();
        for (name, label) in devices {
            let device = class.path().join(name);
            fs::create_dir(&device).unwrap();
            let label =
                if label.is_empty() { String::new() } else { format!("PARTNAME={label}\n") };
            let facts = format!("MAJOR=254\nDEVNAME={name}\nDEVTYPE=partition\n{label}");
            fs::write(device.join("uevent"), facts).unwrap();
        }
        class
    }

    fn check(path: &str, want: Result<&str, &str>) {
        let devices = [("vda", ""), ("vda1", "boot"), ("vda2", "system-a"), ("vda3", "twice")];
        let class = class(&[&devices[..], &[("vdb1", "twice")]].concat());
        let classes = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(class.path(), classes.path().join("block")).unwrap();
        for (device, name) in [
            ("mtd/mtd0", "boot"),
            ("mtd/mtd0ro", "boot"),
            ("mtd/mtd1", "system-a"),
            ("ubi/ubi0_0", "rootfs"),
            ("ubi/ubi1_0", "rootfs"),
            ("ubi/ubi0_1", "data"),
        ] {
            fs::create_dir_all(classes.path().join(device)).unwrap();
            fs::write(classes.path().join(device).join("name"), format!("{name}\n")).unwrap();
        }
        let got = locate_in(classes.path(), Path::new(path)).map_err(|e| e.to_string());
        match want {
            Ok(device) => assert_eq!(got, Ok(device.into()), "{path}"),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{path}: {got:?}"),
        }
    }

    #[test]
    fn a_label_stands_for_one_partition() {
        check("/dev/vda2", Ok("/dev/vda2"));
        check("PARTLABEL=system-a", Ok("/dev/vda2"));
        check("PARTLABEL=boot", Ok("/dev/vda1"));
        check("PARTLABEL=system", Err("no partition has the label `system`"));
        check("PARTLABEL=", Err("no partition"));
        check("PARTLABEL=twice", Err("more than one partition has the label `twice`"));
    }

    #[test]
    fn flash_has_names() {
        check("mtd:system-a", Ok("/dev/mtd1"));
        check("mtd:boot", Ok("/dev/mtd0"));
        check("mtd:data", Err("no flash is called `mtd:data`"));
        check("ubi:data", Ok("/dev/ubi0_1"));
        check("ubi1:rootfs", Ok("/dev/ubi1_0"));
        check("ubi:rootfs", Err("more than one flash is called"));
        check("ubi2:rootfs", Err("no flash"));
        check("ubifs:rootfs", Ok("ubifs:rootfs"));
    }

    #[test]
    fn a_lock_is_taken_off_for_a_while() {
        let class = class(&[("mmcblk0boot0", ""), ("mmcblk0boot1", ""), ("vda", "")]);
        let switch = |name: &str| class.path().join(name).join("force_ro");
        fs::write(switch("mmcblk0boot0"), "1\n").unwrap();
        fs::write(switch("mmcblk0boot1"), "0\n").unwrap();
        let read = |name| fs::read_to_string(switch(name)).unwrap().trim().to_owned();
        for (name, before) in [("mmcblk0boot0", "1"), ("mmcblk0boot1", "0")] {
            let device = Path::new("/dev").join(name);
            let unlocked = Unlocked::of_in(class.path(), &device).unwrap();
            assert_eq!(read(name), "0", "{name}");
            drop(unlocked);
            assert_eq!(read(name), before, "{name}");
        }
        Unlocked::of_in(class.path(), Path::new("/dev/vda")).unwrap();
        assert!(!switch("vda").exists());
    }

    #[test]
    fn what_was_left_open_is_locked() {
        let class = class(&[("mmcblk0boot0", ""), ("mmcblk0boot1", ""), ("vda", "")]);
        let switch = |name: &str| class.path().join(name).join("force_ro");
        fs::write(switch("mmcblk0boot0"), "1\n").unwrap();
        fs::write(switch("mmcblk0boot1"), "0\n").unwrap();
        for (name, found) in [
            ("mmcblk0boot0", Found::Closed),
            ("mmcblk0boot1", Found::Open),
            ("mmcblk0boot1", Found::Closed),
            ("vda", Found::Closed),
            ("none", Found::Closed),
        ] {
            let device = Path::new("/dev").join(name);
            assert_eq!(lock_in(class.path(), &device).unwrap(), found, "{name}");
        }
        assert_eq!(fs::read_to_string(switch("mmcblk0boot1")).unwrap().trim(), "1");
        assert_eq!(fs::read_to_string(switch("mmcblk0boot0")).unwrap().trim(), "1");
        assert!(!switch("vda").exists());
        assert_eq!(lock(Path::new("PARTLABEL=there is no such label")).unwrap(), Found::Closed);
    }
}
