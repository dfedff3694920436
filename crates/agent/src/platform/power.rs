//! Boots: which one this is, and how to start the next.

use crate::edges::Power;
use engine::BootId;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Linux names the boot.
const KERNEL: &str = "/proc/sys/kernel/random/boot_id";

/// The exit status by which the agent asks whoever started it to restart the device.
pub const EXIT_RESTART: u8 = 100;

/// How the device is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restart {
    /// By a program with these arguments, without a shell.
    Command(Vec<String>),
    /// By whoever started the agent, which exits with [`EXIT_RESTART`].
    Exit,
}

/// The power of a device that runs Linux.
#[derive(Debug)]
pub struct LinuxPower {
    boot_id: PathBuf,
    restart: Restart,
}

impl LinuxPower {
    /// The boot is named by the kernel, or by the file `boot_id` where one plays the
    /// bootloader: 32 hex digits, with dashes or without.
    pub fn new(boot_id: Option<&Path>, restart: Restart) -> Self {
        Self { boot_id: boot_id.unwrap_or(Path::new(KERNEL)).into(), restart }
    }
}

impl Power for LinuxPower {
    fn boot_id(&self) -> io::Result<BootId> {
        let text = std::fs::read_to_string(&self.boot_id)?;
        let unnamed = || io::Error::new(io::ErrorKind::InvalidData, "not a boot id");
        let text: String = text.trim().chars().filter(|c| *c != '-').collect();
        if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(unnamed());
        }
        let number = u128::from_str_radix(&text, 16).map_err(|_| unnamed())?;
        Ok(BootId(number.to_be_bytes()))
    }

    fn restart(&mut self) -> io::Result<Infallible> {
        let Restart::Command(words) = &self.restart else {
            std::process::exit(EXIT_RESTART.into());
        };
        let (program, arguments) =
            words.split_first().ok_or_else(|| io::Error::other("no restart command"))?;
        let status = Command::new(program).args(arguments).stdin(Stdio::null()).status()?;
        if status.success() {
            // The system goes down by itself; it is also to end this process.
            std::process::exit(EXIT_RESTART.into());
        }
        Err(io::Error::other(format!("`{program}` ended with {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, first: Option<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot_id");
        std::fs::write(&path, text).unwrap();
        let id = LinuxPower::new(Some(&path), Restart::Exit).boot_id();
        assert_eq!(id.ok().map(|id| id.0[0]), first, "{text:?}");
    }

    #[test]
    fn boot_ids_are_read() {
        check("0a1b2c3d-0000-4000-8000-0123456789ab\n", Some(0x0a));
        check("ff1b2c3d0000400080000123456789ab", Some(0xff));
        check("", None);
        check("0a1b2c3d-0000-4000-8000-0123456789a", None);
        check("+a1b2c3d-0000-4000-8000-0123456789ab", None);
    }

    #[test]
    fn the_kernel_names_one_boot() {
        let power = LinuxPower::new(None, Restart::Exit);
        assert_eq!(power.boot_id().unwrap(), power.boot_id().unwrap());
    }

    #[test]
    fn a_restart_that_fails_is_told() {
        for words in [&["/bin/false"][..], &["/there/is/no/such/program"], &[]] {
            let words = words.iter().map(ToString::to_string).collect();
            assert!(LinuxPower::new(None, Restart::Command(words)).restart().is_err());
        }
    }
}
