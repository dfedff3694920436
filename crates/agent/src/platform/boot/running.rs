//! How the agent learns which slot runs.

use std::io;
use std::path::{Path, PathBuf};
use types::Slot;

/// What the bootloader calls the two slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Slot A.
    pub a: String,
    /// Slot B.
    pub b: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { a: "A".into(), b: "B".into() }
    }
}

impl Names {
    /// What `slot` is called.
    pub fn of(&self, slot: Slot) -> &str {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    /// The slot that is called `name`.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| self.of(*slot) == name)
    }
}

/// How the agent learns which slot runs.
#[derive(Debug, Clone)]
pub enum RunningFrom {
    /// An argument of the kernel's command line, as a bootloader sets it.
    CommandLine {
        /// What is before the `=`.
        argument: String,
        /// What is behind it.
        names: Names,
    },
    /// A file that holds `A` or `B`, written by whatever plays the bootloader.
    File(PathBuf),
}

impl Default for RunningFrom {
    /// `refit.slot=A`.
    fn default() -> Self {
        Self::CommandLine { argument: "refit.slot".into(), names: Names::default() }
    }
}

impl RunningFrom {
    pub(crate) fn slot(&self) -> io::Result<Slot> {
        match self {
            Self::CommandLine { argument, names } => {
                let line = std::fs::read_to_string("/proc/cmdline")?;
                named_in(&line, argument, names)
            }
            Self::File(path) => file(path),
        }
    }
}

fn file(path: &Path) -> io::Result<Slot> {
    let text = std::fs::read_to_string(path)?;
    let slot = text.split_ascii_whitespace().find_map(|word| word.parse().ok());
    slot.ok_or_else(|| io::Error::other(format!("`{}` holds neither A nor B", path.display())))
}

/// The slot that the last `argument=` of a command line names: a bootloader appends.
fn named_in(line: &str, argument: &str, names: &Names) -> io::Result<Slot> {
    let value = |word: &str| word.strip_prefix(argument)?.strip_prefix('=').map(str::to_owned);
    let found = line.split_ascii_whitespace().rev().find_map(value);
    let slot = found.and_then(|name| names.slot(&name));
    slot.ok_or_else(|| {
        let Names { a, b } = names;
        io::Error::other(format!(
            "the kernel's command line has neither {argument}={a} nor {argument}={b}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, argument: &str, names: (&str, &str), slot: Option<Slot>) {
        let names = Names { a: names.0.into(), b: names.1.into() };
        assert_eq!(named_in(line, argument, &names).ok(), slot, "{line}");
    }

    #[test]
    fn the_command_line_names_the_slot() {
        let plain = ("A", "B");
        check("root=/dev/vda2 refit.slot=A quiet\n", "refit.slot", plain, Some(Slot::A));
        check("refit.slot=B", "refit.slot", plain, Some(Slot::B));
        check("refit.slot=A refit.slot=B", "refit.slot", plain, Some(Slot::B));
        check("refit.slot=C", "refit.slot", plain, None);
        check("xrefit.slot=A refit.slotA", "refit.slot", plain, None);
        check("", "refit.slot", plain, None);
        check("androidboot.slot_suffix=_b", "androidboot.slot_suffix", ("_a", "_b"), Some(Slot::B));
        check(
            "root=PARTUUID=11-02 ro",
            "root",
            ("PARTUUID=11-02", "PARTUUID=11-03"),
            Some(Slot::A),
        );
    }

    #[test]
    fn a_file_names_the_slot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, "B\n").unwrap();
        assert_eq!(RunningFrom::File(path.clone()).slot().unwrap(), Slot::B);
        std::fs::write(&path, "C\n").unwrap();
        assert!(RunningFrom::File(path).slot().is_err());
    }
}
