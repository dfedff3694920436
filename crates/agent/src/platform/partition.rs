//! Partitions by the label that their disk's table gives them, and the lock that keeps
//! some of them from being written.
//!
//! `PARTLABEL=system-a` in place of a path stands for the partition with that label in a
//! GPT, as on the kernel's command line. It is looked for in sysfs, which needs neither
//! udev nor its links. A label that is there twice stands for nothing: which of the two
//! partitions an update would hit is nobody's guess.
//!
//! The boot partitions of an eMMC are read-only until a zero is written to their
//! `force_ro`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel lists block devices.
const CLASS: &str = "/sys/class/block";
/// How a path begins that is a label.
const LABEL: &str = "PARTLABEL=";

/// The device or file that `path` stands for.
///
/// # Errors
/// No partition has the label, or several have.
pub fn locate(path: &Path) -> io::Result<PathBuf> {
    locate_in(Path::new(CLASS), path)
}

/// Whether `path` is a label.
pub(crate) fn is_label(path: &Path) -> bool {
    label(path).is_some()
}

fn label(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(LABEL)
}

fn locate_in(class: &Path, path: &Path) -> io::Result<PathBuf> {
    let Some(label) = label(path) else { return Ok(path.into()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(class)? {
        // One that is pulled meanwhile is not there.
        let facts = fs::read_to_string(entry?.path().join("uevent")).unwrap_or_default();
        let fact = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(device), true) = (fact("DEVNAME="), fact("PARTNAME=") == Some(label)) {
            found.push(Path::new("/dev").join(device));
        }
    }
    match found.as_slice() {
        [device] => Ok(device.clone()),
        [] => {
            let why = format!("no partition has the label `{label}`");
            Err(io::Error::new(io::ErrorKind::NotFound, why))
        }
        _ => Err(io::Error::other(format!("several partitions have the label `{label}`"))),
    }
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

    fn of_in(class: &Path, device: &Path) -> io::Result<Self> {
        // A link as below /dev/disk has another name.
        let device = fs::canonicalize(device).unwrap_or_else(|_| device.into());
        let Some(name) = device.file_name() else { return Ok(Self(None)) };
        let switch = class.join(name).join("force_ro");
        match fs::read_to_string(&switch) {
            Ok(locked) if locked.trim() == "1" => {
                fs::write(&switch, "0")?;
                Ok(Self(Some(switch)))
            }
            // Most devices have no such lock.
            _ => Ok(Self(None)),
        }
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
        let got = locate_in(class.path(), Path::new(path)).map_err(|e| e.to_string());
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
        check("PARTLABEL=twice", Err("several partitions have the label `twice`"));
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
}
