//! U-Boot's boot counter: `bootcount`, `bootlimit`, `upgrade_available`, and a
//! variable that says which slot `bootcmd` starts. Mender's U-Boot integration is
//! this with names of its own.
//!
//! U-Boot counts `bootcount` up in each reset, while `upgrade_available` is 1, and
//! runs `altbootcmd` instead of `bootcmd` when it exceeds `bootlimit`; that command
//! has to return to the other slot and to clear the counter (U-Boot, doc/api/bootcount).

use super::environment::{Environment, Variables};
use super::{Convention, Counting, Memory, Names, Standing};
use std::io;
use types::{Slot, Tries};

const COUNT: &str = "bootcount";
const LIMIT: &str = "bootlimit";
const UPGRADE: &str = "upgrade_available";
/// Says that a slot is on trial, where the counter runs in each boot.
const TRIAL: &str = "refit_trial";

/// A bootloader that counts boots.
#[derive(Debug, Clone)]
pub struct BootCount {
    /// Where the variables are.
    pub environment: Environment,
    /// The variable that says which slot is started.
    pub variable: String,
    /// Another one that says the same, in hexadecimal.
    pub hexadecimal: Option<String>,
    /// The values of `variable`.
    pub values: Names,
    /// How often a slot is tried: the `bootlimit`.
    pub tries: Tries,
    /// Which boots cost a try.
    pub counting: Counting,
}

impl BootCount {
    /// Mender's variables: the slots are partition numbers.
    pub fn mender(environment: Environment, values: Names, tries: Tries) -> Self {
        Self {
            environment,
            variable: "mender_boot_part".into(),
            hexadecimal: Some("mender_boot_part_hex".into()),
            values,
            tries,
            counting: Counting::Trial,
        }
    }

    fn limit(&self) -> u8 {
        match self.tries {
            Tries::Counted(tries) => tries,
            Tries::Single => 1,
        }
    }

    fn on_trial(&self, variables: &Variables) -> bool {
        let says = |name| variables.get(name) == Some("1");
        says(UPGRADE) && (self.counting == Counting::Trial || says(TRIAL))
    }

    fn put(&self, variables: &mut Variables, slot: Slot) -> io::Result<()> {
        let value = self.values.of(slot);
        variables.set(&self.variable, value);
        if let Some(name) = &self.hexadecimal {
            let number: u32 = value.parse().map_err(|_| {
                io::Error::other(format!("`{value}` is no partition number, as `{name}` needs one"))
            })?;
            variables.set(name, &format!("{number:X}"));
        }
        Ok(())
    }
}

impl Convention for BootCount {
    fn tries(&self) -> Tries {
        self.tries
    }

    fn counting(&self) -> Counting {
        self.counting
    }

    /// The slot that is not started first is never started while nothing is on trial;
    /// during a trial it is what `altbootcmd` returns to.
    fn load(&self) -> io::Result<Option<Memory>> {
        let Some(variables) = self.environment.load()? else { return Ok(None) };
        let Some(first) = variables.get(&self.variable) else { return Ok(None) };
        let slot = self.values.slot(first).ok_or_else(|| {
            io::Error::other(format!(
                "the bootloader's `{}={first}` is neither slot",
                self.variable
            ))
        })?;
        let used = variables.get(COUNT).and_then(|count| count.parse().ok()).unwrap_or(0);
        let limit = variables.get(LIMIT).and_then(|limit| limit.parse().ok());
        let left = limit.unwrap_or(self.limit()).saturating_sub(used);
        let full = self.limit();
        let (first, other) = if self.on_trial(&variables) {
            (
                Standing { priority: 2, left, good: false },
                Standing { priority: 1, left: full, good: true },
            )
        } else {
            (Standing { priority: 2, left, good: true }, Standing::UNBOOTABLE)
        };
        Ok(Some(Memory { a: first, b: first }.with(slot.other(), other)))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let mut variables = self.environment.load()?.unwrap_or_default();
        let Some(first) = memory.order().next() else {
            return Err(io::Error::other("this bootloader always has a slot to start"));
        };
        let standing = memory.of(first);
        let limit = if standing.good { self.limit() } else { standing.left };
        self.put(&mut variables, first)?;
        variables.set(COUNT, "0");
        variables.set(LIMIT, &limit.to_string());
        let counts = !standing.good || self.counting == Counting::Always;
        variables.set(UPGRADE, if counts { "1" } else { "0" });
        if self.counting == Counting::Always {
            variables.set(TRIAL, if standing.good { "0" } else { "1" });
        }
        self.environment.save(&variables)
    }
}
