//! systemd-boot's counting: the tries that are left are in the name of a boot entry.
//!
//! `NAME.conf` is trusted; `NAME+LEFT-DONE.conf` has so many tries left, and the
//! loader renames it before it starts it; with none left it comes last (systemd,
//! automatic boot assessment). Of two entries of one `sort-key` the loader starts the
//! one with the later `version`, so that line is what the agent changes. An entry
//! that is never to be started has a name that the loader does not read. Every change
//! is one rename.

use super::{Convention, Memory, Names, Standing};
use crate::platform::files;
use std::io;
use std::path::{Path, PathBuf};
use types::{Slot, Tries};

/// The end of an entry that the loader reads.
const ENTRY: &str = ".conf";
/// The end of one that it does not.
const OFF: &str = ".refit-off";
/// The largest entry, in bytes.
const LIMIT: u64 = 64 << 10;

/// Boot entries of systemd-boot.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// The directory of the entries: `loader/entries` on the boot partition.
    pub entries: PathBuf,
    /// The entries' names, without tries and `.conf`.
    pub names: Names,
    /// Tries of a slot.
    pub tries: u8,
}

/// One entry as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    left: Left,
}

/// What an entry's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// The loader does not read it.
    Off,
    /// So many tries are left.
    Counted(u8),
    /// It is trusted.
    Good,
}

impl Left {
    /// What the file name `file` says of the entry `name`.
    fn of(file: &str, name: &str) -> Option<Self> {
        let rest = file.strip_prefix(name)?;
        if rest == OFF {
            return Some(Self::Off);
        }
        let counters = rest.strip_suffix(ENTRY)?;
        if counters.is_empty() {
            return Some(Self::Good);
        }
        let counters = counters.strip_prefix('+')?;
        let left = counters.split_once('-').map_or(counters, |(left, _)| left);
        left.parse().ok().map(Self::Counted)
    }
}

impl Systemd {
    /// The entry of `slot`. After a cut there may be two; the newer one, which the
    /// loader may have renamed, is the one that it reads.
    fn entry(&self, slot: Slot) -> io::Result<Entry> {
        let name = self.names.of(slot);
        let mut found: Option<Entry> = None;
        for file in std::fs::read_dir(&self.entries)? {
            let path = file?.path();
            let file = path.file_name().and_then(|file| file.to_str());
            let Some(left) = file.and_then(|file| Left::of(file, name)) else { continue };
            // Of two that are read, the one with fewer rights is what was written last.
            let newer = found.as_ref().is_none_or(|known| match (known.left, left) {
                (Left::Off, _) => true,
                (_, Left::Off) => false,
                (known, left) => left < known,
            });
            if newer {
                found = Some(Entry { path, left });
            }
        }
        found.ok_or_else(|| {
            let path = self.entries.join(name);
            io::Error::other(format!("there is no boot entry `{}{ENTRY}`", path.display()))
        })
    }

    fn path(&self, slot: Slot, left: Left) -> PathBuf {
        let name = self.names.of(slot);
        self.entries.join(match left {
            Left::Off => format!("{name}{OFF}"),
            Left::Counted(left) => format!("{name}+{left}{ENTRY}"),
            Left::Good => format!("{name}{ENTRY}"),
        })
    }

    /// Gives the entry of `slot` its name, and its version where that changes.
    fn put(&self, slot: Slot, left: Left, version: u64) -> io::Result<()> {
        let entry = self.entry(slot)?;
        let text = read(&entry.path)?;
        let new = self.path(slot, left);
        let same_name = entry.left == left;
        if version_of(&text) != version {
            files::replace(&new, with_version(&text, version).as_bytes())?;
        } else if !same_name {
            std::fs::rename(&entry.path, &new)?;
        }
        if entry.path != new {
            files::remove(&entry.path)?;
        }
        files::sync_directory_of(&new)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = files::read(path, LIMIT)?.ok_or(io::ErrorKind::NotFound)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The entry's version, 0 where it has no number.
fn version_of(text: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("version"));
    lines.find_map(|version| version.trim().parse().ok()).unwrap_or(0)
}

fn with_version(text: &str, version: u64) -> String {
    let kept = text.lines().filter(|line| {
        !line.strip_prefix("version").is_some_and(|rest| rest.starts_with([' ', '\t']))
    });
    let mut text: String = kept.map(|line| format!("{line}\n")).collect();
    text.push_str(&format!("version {version}\n"));
    text
}

impl Convention for Systemd {
    fn tries(&self) -> Tries {
        Tries::Counted(self.tries)
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let mut memory = Memory { a: Standing::UNBOOTABLE, b: Standing::UNBOOTABLE };
        let (a, b) = (self.entry(Slot::A)?, self.entry(Slot::B)?);
        let versions = (version_of(&read(&a.path)?), version_of(&read(&b.path)?));
        let first = if versions.1 > versions.0 { Slot::B } else { Slot::A };
        for (slot, entry) in [(Slot::A, &a), (Slot::B, &b)] {
            let priority = if slot == first { 2 } else { 1 };
            let standing = match entry.left {
                Left::Off => continue,
                Left::Counted(left) => Standing { priority, left, good: false },
                Left::Good => Standing { priority, left: self.tries, good: true },
            };
            memory = memory.with(slot, standing);
        }
        // One that is alone is first.
        let mut order = memory.order();
        if let (Some(only), None) = (order.next(), order.next()) {
            memory = memory.with(only, Standing { priority: 2, ..memory.of(only) });
        }
        Ok(Some(memory))
    }

    /// What is to be started first changes last.
    fn save(&self, memory: &Memory) -> io::Result<()> {
        let version = |slot| Ok::<_, io::Error>(version_of(&read(&self.entry(slot)?.path)?));
        let first = memory.order().next();
        let slots = match first {
            Some(first) => [first.other(), first],
            None => Slot::BOTH,
        };
        for slot in slots {
            let left = match memory.of(slot) {
                Standing { priority: 0, .. } => Left::Off,
                Standing { good: true, .. } => Left::Good,
                Standing { left, .. } => Left::Counted(left),
            };
            let (mine, others) = (version(slot)?, version(slot.other())?);
            let mine = if Some(slot) == first && (mine <= others || mine == 0) {
                others.saturating_add(1)
            } else {
                mine
            };
            if self.entry(slot)?.left != left || mine != version(slot)? {
                self.put(slot, left, mine)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, left: Option<Left>) {
        assert_eq!(Left::of(file, "refit-a"), left, "{file}");
    }

    #[test]
    fn names_say_how_many_tries_are_left() {
        check("refit-a.conf", Some(Left::Good));
        check("refit-a+3.conf", Some(Left::Counted(3)));
        check("refit-a+2-1.conf", Some(Left::Counted(2)));
        check("refit-a+0-3.conf", Some(Left::Counted(0)));
        check("refit-a.refit-off", Some(Left::Off));
        for other in ["refit-b.conf", "refit-a.conf.bak", "refit-ab.conf", "refit-a+x.conf", ""] {
            check(other, None);
        }
    }

    #[test]
    fn a_version_is_one_line() {
        let text = "title A\nversion 7\nlinux /a\n";
        assert_eq!(version_of(text), 7);
        assert_eq!(with_version(text, 8), "title A\nlinux /a\nversion 8\n");
        assert_eq!(version_of("title A\nversion 6.1-rc\n"), 0);
        assert_eq!(version_of("versions 4\n"), 0);
    }
}
