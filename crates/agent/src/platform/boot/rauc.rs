//! RAUC's variables in a U-Boot environment: `BOOT_ORDER`, `BOOT_A_LEFT`.
//!
//! The script takes the first slot of `BOOT_ORDER` whose `LEFT`, a hexadecimal
//! number, is more than 0, and counts it down before it starts it (RAUC, integration,
//! U-Boot). RAUC's own variables do not tell a slot on trial from a trusted one, so
//! `BOOT_A_GOOD` does: `1` when the slot is trusted. A script that does not know it
//! keeps it. Where neither slot has one, a slot with tries left is trusted, as RAUC
//! has it.

use super::environment::{Environment, Variables};
use super::{Convention, Counting, Memory, Names, Standing};
use std::io;
use types::{Slot, Tries};

const ORDER: &str = "BOOT_ORDER";

/// A bootloader with RAUC's variables.
#[derive(Debug, Clone)]
pub struct Rauc {
    /// Where the variables are.
    pub environment: Environment,
    /// What the slots are called in them.
    pub names: Names,
    /// Tries of a slot.
    pub tries: u8,
    /// Which boots cost a try.
    pub counting: Counting,
}

impl Rauc {
    fn variable(&self, slot: Slot, what: &str) -> String {
        format!("BOOT_{}_{what}", self.names.of(slot))
    }

    fn standing(&self, variables: &Variables, slot: Slot) -> Standing {
        let order = variables.get(ORDER).unwrap_or_default();
        let mut order = order.split_ascii_whitespace().filter_map(|name| self.names.slot(name));
        let first = order.next();
        let priority = match first {
            Some(first) if first == slot => 2,
            Some(_) if order.any(|other| other == slot) => 1,
            _ => 0,
        };
        let left = variables.get(&self.variable(slot, "LEFT"));
        let left = left.and_then(|left| u8::from_str_radix(left, 16).ok()).unwrap_or(0);
        let good = |slot| variables.get(&self.variable(slot, "GOOD"));
        let unsaid = Slot::BOTH.into_iter().all(|slot| good(slot).is_none());
        let good = if unsaid { left > 0 } else { good(slot) == Some("1") };
        Standing { priority, left, good: good && priority > 0 }
    }

    /// Names in the order that are neither slot (a recovery system) stay behind both.
    fn order(&self, memory: &Memory, before: &str) -> String {
        let slots = memory.order().map(|slot| self.names.of(slot));
        let others = before.split_ascii_whitespace();
        let others = others.filter(|name| self.names.slot(name).is_none());
        slots.chain(others).collect::<Vec<_>>().join(" ")
    }
}

impl Convention for Rauc {
    fn tries(&self) -> Tries {
        Tries::Counted(self.tries)
    }

    fn counting(&self) -> Counting {
        self.counting
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let variables = self.environment.load()?;
        let variables = variables.filter(|variables| variables.get(ORDER).is_some());
        Ok(variables.map(|variables| Memory {
            a: self.standing(&variables, Slot::A),
            b: self.standing(&variables, Slot::B),
        }))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let mut variables = self.environment.load()?.unwrap_or_default();
        let order = self.order(memory, variables.get(ORDER).unwrap_or_default());
        variables.set(ORDER, &order);
        for slot in Slot::BOTH {
            let Standing { left, good, .. } = memory.of(slot);
            variables.set(&self.variable(slot, "LEFT"), &format!("{left:x}"));
            variables.set(&self.variable(slot, "GOOD"), if good { "1" } else { "0" });
        }
        self.environment.save(&variables)
    }
}
