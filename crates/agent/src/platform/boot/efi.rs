//! UEFI firmware: `BootOrder` is what it starts, `BootNext` what it starts once.
//!
//! A slot on trial is `BootNext` and not in `BootOrder`; the firmware deletes
//! `BootNext` before it starts it (UEFI 3.3). A trusted slot is in `BootOrder`. The
//! entries themselves (`Boot0001`) are made in the factory. A variable in efivarfs is
//! a file of four bytes of attributes and the value, written by one `write`.

use super::{Convention, Memory, Standing};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use types::{Slot, Tries};

/// Where Linux shows the variables.
pub const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// The vendor of the boot variables.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, for boot services and run time.
const ATTRIBUTES: u32 = 7;

/// A firmware that starts one of two entries.
#[derive(Debug, Clone)]
pub struct Efi {
    /// The directory of the variables.
    pub variables: PathBuf,
    /// Number of slot A's entry.
    pub a: u16,
    /// Number of slot B's entry.
    pub b: u16,
}

impl Efi {
    fn entry(&self, slot: Slot) -> u16 {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.variables.join(format!("{name}-{GLOBAL}"))
    }

    /// The numbers that a variable holds; none where it is not there.
    fn read(&self, name: &str) -> io::Result<Vec<u16>> {
        let bytes = match std::fs::read(self.path(name)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let value = bytes.get(4..).unwrap_or_default();
        let (numbers, rest) = value.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(io::Error::other(format!("the variable {name} holds half a number")));
        }
        Ok(numbers.iter().map(|number| u16::from_le_bytes(*number)).collect())
    }

    fn write(&self, name: &str, numbers: &[u16]) -> io::Result<()> {
        if self.read(name)? == numbers {
            return Ok(());
        }
        let path = self.path(name);
        if numbers.is_empty() {
            return std::fs::remove_file(&path);
        }
        let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        put(&path, &bytes)
    }
}

/// Writes a variable at once. A plain file, as in a test, is cut to its length.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let written = file.write(bytes)?;
    if written != bytes.len() {
        return Err(io::Error::other("the firmware took half a variable"));
    }
    if file.metadata()?.len() != bytes.len() as u64 {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

impl Convention for Efi {
    fn tries(&self) -> Tries {
        Tries::Single
    }

    fn running(&self) -> io::Result<Option<Slot>> {
        let current = self.read("BootCurrent")?;
        let Some(current) = current.first() else { return Ok(None) };
        let slot = Slot::BOTH.into_iter().find(|slot| self.entry(*slot) == *current);
        slot.map(Some).ok_or_else(|| {
            io::Error::other(format!("the firmware started entry {current:04X}, which is no slot"))
        })
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let order = self.read("BootOrder")?;
        if order.is_empty() {
            let path = self.variables.display();
            return Err(io::Error::other(format!(
                "there is no BootOrder in `{path}`; is efivarfs mounted there?"
            )));
        }
        let next = self.read("BootNext")?.first().copied();
        let at = |slot| order.iter().position(|entry| *entry == self.entry(slot));
        let of = |slot: Slot| {
            let behind = match (at(slot), at(slot.other())) {
                _ if next == Some(self.entry(slot)) => {
                    return Standing { priority: 2, left: 1, good: false };
                }
                (None, _) => return Standing::UNBOOTABLE,
                (Some(mine), other) => other.is_some_and(|other| other < mine),
            };
            let behind = behind || next == Some(self.entry(slot.other()));
            Standing { priority: if behind { 1 } else { 2 }, left: 1, good: true }
        };
        Ok(Some(Memory { a: of(Slot::A), b: of(Slot::B) }))
    }

    /// `BootNext` is deleted first and set last, so that what it names is right at
    /// any moment.
    fn save(&self, memory: &Memory) -> io::Result<()> {
        let trial = memory.order().find(|slot| !memory.of(*slot).good && memory.of(*slot).left > 0);
        let next: Vec<u16> = trial.map(|slot| self.entry(slot)).into_iter().collect();
        let before = self.read("BootOrder")?;
        let ours = |entry: &u16| [self.a, self.b].contains(entry);
        let good = memory.order().filter(|slot| memory.of(*slot).good);
        let mut order: Vec<u16> = good.map(|slot| self.entry(slot)).collect();
        order.extend(before.iter().filter(|entry| !ours(entry)));
        if next.is_empty() {
            self.write("BootNext", &next)?;
        }
        if order.is_empty() {
            return Err(io::Error::other("the firmware would have nothing to start"));
        }
        self.write("BootOrder", &order)?;
        self.write("BootNext", &next)
    }
}
