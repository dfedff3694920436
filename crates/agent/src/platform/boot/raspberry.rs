//! Raspberry Pi's `tryboot`: `autoboot.txt` says which partition is started, and
//! which one after a restart with the one-shot flag `0 tryboot`.
//!
//! The flag is an argument of the restart itself, kept in a register that a power cut
//! clears. systemd hands on what `/run/systemd/reboot-param` holds, so arming a slot
//! writes that file; it is gone after a boot, as the flag is. The slot that is not
//! in `[all]` is never started unasked.

use super::{Convention, Memory, Standing};
use crate::platform::files;
use std::io;
use std::path::PathBuf;
use types::{Slot, Tries};

/// Where systemd looks for the argument of a restart.
pub const PARAMETER: &str = "/run/systemd/reboot-param";
/// Where the firmware says which partition it started.
pub const PARTITION: &str = "/proc/device-tree/chosen/bootloader/partition";
/// The argument that asks for a trial.
const TRYBOOT: &str = "0 tryboot";
/// The firmware reads no more than this.
const LIMIT: usize = 512;

/// A Raspberry Pi.
#[derive(Debug, Clone)]
pub struct Raspberry {
    /// `autoboot.txt` on the first partition.
    pub autoboot: PathBuf,
    /// The file that holds the argument of the next restart.
    pub parameter: PathBuf,
    /// The file that says which partition was started.
    pub partition: PathBuf,
    /// Boot partition of slot A.
    pub a: u32,
    /// Boot partition of slot B.
    pub b: u32,
}

impl Raspberry {
    fn slot_of(&self, partition: u32) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| self.partition(*slot) == partition)
    }

    fn partition(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    fn text(&self) -> io::Result<Option<String>> {
        let bytes = files::read(&self.autoboot, LIMIT as u64)?;
        bytes.map(String::from_utf8).transpose().map_err(io::Error::other)
    }

    fn is_armed(&self) -> io::Result<bool> {
        let parameter = files::read(&self.parameter, LIMIT as u64)?;
        Ok(parameter.is_some_and(|text| text.trim_ascii() == TRYBOOT.as_bytes()))
    }
}

/// `boot_partition` of a section of `autoboot.txt`.
fn partition_in(text: &str, wanted: &str) -> Option<u32> {
    let mut section = "[all]";
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let (true, Some((key, value))) = (section == wanted, line.split_once('='))
            && key.trim() == "boot_partition"
        {
            found = value.trim().parse().ok();
        }
    }
    found
}

impl Convention for Raspberry {
    fn tries(&self) -> Tries {
        Tries::Single
    }

    fn running(&self) -> io::Result<Option<Slot>> {
        let bytes = match std::fs::read(&self.partition) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let number = bytes.as_slice().try_into().map(u32::from_be_bytes);
        let slot = number.ok().and_then(|number| self.slot_of(number));
        slot.map(Some).ok_or_else(|| io::Error::other("the firmware started neither slot"))
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let Some(text) = self.text()? else { return Ok(None) };
        let first = partition_in(&text, "[all]").and_then(|number| self.slot_of(number));
        let Some(first) = first else {
            let path = self.autoboot.display();
            return Err(io::Error::other(format!("`{path}` starts neither slot")));
        };
        let tried = partition_in(&text, "[tryboot]").and_then(|number| self.slot_of(number));
        let armed = self.is_armed()? && tried == Some(first.other());
        let good = Standing { priority: if armed { 1 } else { 2 }, left: 1, good: true };
        let trial = Standing { priority: 2, left: 1, good: false };
        let other = if armed { trial } else { Standing::UNBOOTABLE };
        Ok(Some(Memory { a: good, b: good }.with(first.other(), other)))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let trusted = memory.order().find(|slot| memory.of(*slot).good);
        let first = trusted
            .or_else(|| memory.order().next())
            .ok_or_else(|| io::Error::other("this firmware always has a partition to start"))?;
        let armed = memory.order().next() == Some(first.other());
        if !armed {
            files::remove(&self.parameter)?;
        }
        let (all, tryboot) = (self.partition(first), self.partition(first.other()));
        let text = format!(
            "[all]\ntryboot_a_b=1\nboot_partition={all}\n[tryboot]\nboot_partition={tryboot}\n"
        );
        if self.text()?.as_deref() != Some(text.as_str()) {
            files::replace(&self.autoboot, text.as_bytes())?;
        }
        if armed { files::replace(&self.parameter, TRYBOOT.as_bytes()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_name_partitions() {
        let text = "[all]\ntryboot_a_b=1\nboot_partition = 2\n[tryboot]\nboot_partition=3\n";
        assert_eq!(partition_in(text, "[all]"), Some(2));
        assert_eq!(partition_in(text, "[tryboot]"), Some(3));
        assert_eq!(partition_in("boot_partition=4\n", "[all]"), Some(4));
        assert_eq!(partition_in("boot_partition=x\n", "[all]"), None);
        assert_eq!(partition_in(text, "[none]"), None);
    }
}
