//! A bootloader in two copies: two places, how the terminal says which one started, and
//! the switch that the hardware looks at.

use super::boot::custom::Custom;
use super::boot::{Counting, Names, RunningFrom};
use super::files;
use super::flash::SlotMedium;
use super::mmc;
use crate::edges::{Copies, Flash, Geometry};
use std::io;
use std::path::PathBuf;
use trust::Proven;
use types::{Slot, Tries};

/// Bytes that a switch in a file may have.
const SWITCH: u64 = 16;

/// What the hardware, or what comes before the bootloader, looks at.
#[derive(Debug, Clone)]
pub enum Switch {
    /// A file that holds `A` or `B`; A where there is none.
    File(PathBuf),
    /// The register of an eMMC, of which A is `boot0` and B `boot1`: the whole device.
    Emmc(PathBuf),
    /// A program that knows `get-primary` and `set-primary A|B`.
    Program(Vec<String>),
}

/// Two copies and their switch.
#[derive(Debug)]
pub struct TwoCopies {
    copies: [SlotMedium; 2],
    running: RunningFrom,
    switch: Switch,
}

impl Switch {
    fn program(command: &[String]) -> Custom {
        Custom {
            command: command.to_vec(),
            names: Names::default(),
            tries: Tries::Single,
            counting: Counting::Trial,
            note: PathBuf::new(),
            within: 10_000,
        }
    }

    fn get(&self) -> io::Result<Slot> {
        match self {
            Self::File(path) => {
                let Some(bytes) = files::read(path, SWITCH)? else { return Ok(Slot::A) };
                let text = String::from_utf8_lossy(&bytes);
                text.trim().parse().map_err(io::Error::other)
            }
            Self::Emmc(device) => mmc::chosen(device),
            Self::Program(command) => Self::program(command).named("get-primary"),
        }
    }

    fn set(&self, copy: Slot) -> io::Result<()> {
        match self {
            Self::File(path) => files::replace(path, format!("{copy}\n").as_bytes()),
            Self::Emmc(device) => mmc::choose(device, copy),
            Self::Program(command) => {
                Self::program(command).ask(&["set-primary", &copy.to_string()]).map(drop)
            }
        }
    }
}

impl TwoCopies {
    /// The copies in `a` and `b`.
    pub fn new(a: SlotMedium, b: SlotMedium, running: RunningFrom, switch: Switch) -> Self {
        Self { copies: [a, b], running, switch }
    }

    fn idle(&self) -> io::Result<&SlotMedium> {
        let [a, b] = &self.copies;
        Ok(if self.running.slot()? == Slot::A { b } else { a })
    }

    fn idle_mut(&mut self) -> io::Result<&mut SlotMedium> {
        let running = self.running.slot()?;
        let [a, b] = &mut self.copies;
        Ok(if running == Slot::A { b } else { a })
    }
}

impl Flash for TwoCopies {
    fn geometry(&self) -> io::Result<Geometry> {
        self.idle()?.geometry()
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.idle_mut()?.prepare()
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.idle_mut()?.write(chunk)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.idle_mut()?.flush()
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.idle_mut()?.read_back(at, into)
    }
}

impl Copies for TwoCopies {
    fn running(&self) -> io::Result<Slot> {
        self.running.slot()
    }

    fn chosen(&self) -> io::Result<Slot> {
        self.switch.get()
    }

    fn choose(&mut self, copy: Slot) -> io::Result<()> {
        if self.switch.get()? == copy { Ok(()) } else { self.switch.set(copy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::conformance;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn copies(folder: &Path, switch: Switch) -> TwoCopies {
        let medium = |name| SlotMedium::new(&folder.join(name), 128 << 10);
        TwoCopies::new(medium("a"), medium("b"), RunningFrom::File(folder.join("ran")), switch)
    }

    #[test]
    fn the_copy_that_did_not_start_is_the_medium() {
        let dir = tempfile::tempdir().unwrap();
        for (ran, written, kept) in [("A", "b", "a"), ("B", "a", "b")] {
            std::fs::write(dir.path().join("ran"), ran).unwrap();
            std::fs::write(dir.path().join(kept), vec![7; 128 << 10]).unwrap();
            let switch = || Switch::File(dir.path().join("switch"));
            conformance::flash(|| Box::new(copies(dir.path(), switch())));
            assert_eq!(std::fs::read(dir.path().join(kept)).unwrap(), vec![7; 128 << 10]);
            assert_ne!(std::fs::read(dir.path().join(written)).unwrap(), vec![7; 128 << 10]);
        }
    }

    fn check(folder: &Path, switch: &Switch) {
        std::fs::write(folder.join("ran"), "A").unwrap();
        let mut two = copies(folder, switch.clone());
        assert_eq!((two.running().unwrap(), two.chosen().unwrap()), (Slot::A, Slot::A));
        for copy in [Slot::B, Slot::B, Slot::A] {
            two.choose(copy).unwrap();
            assert_eq!(copies(folder, switch.clone()).chosen().unwrap(), copy);
        }
    }

    #[test]
    fn a_switch_is_a_file_or_a_program() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path(), &Switch::File(dir.path().join("switch")));
        let (program, kept) = (dir.path().join("program"), dir.path().join("kept"));
        let text = format!(
            "#!/bin/sh\ncase $1 in\nget-primary) cat {0} || echo A ;;\n\
             set-primary) echo $2 >{0} ;;\nesac\n",
            kept.display()
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        check(dir.path(), &Switch::Program(vec![program.display().to_string()]));
    }

    #[test]
    fn a_strange_switch_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ran"), "A").unwrap();
        std::fs::write(dir.path().join("switch"), "C").unwrap();
        let switch = Switch::File(dir.path().join("switch"));
        assert!(copies(dir.path(), switch.clone()).chosen().is_err());
        assert!(copies(dir.path(), switch).choose(Slot::B).is_err());
    }
}
