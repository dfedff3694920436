//! What is installed where, and which releases failed here.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::{ComponentState, Digest, Name, Running, Slot};

/// The most failed releases that are remembered; the oldest is forgotten.
const FAILED_MAX: usize = 32;

/// What is installed on this terminal. Stored as JSON in the document `inventory`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// What each bank holds.
    #[serde(default)]
    slots: BTreeMap<Slot, Running>,
    /// What the components without banks hold.
    #[serde(default)]
    beside: Running,
    /// Releases that did not boot or were not healthy here, by manifest digest.
    #[serde(default)]
    failed: Vec<Digest>,
}

impl Inventory {
    /// The document's name in the store.
    pub const NAME: &'static str = "inventory";

    /// What runs when `slot` runs.
    pub fn running(&self, slot: Slot) -> Running {
        let mut running = self.beside.clone();
        running.extend(self.slots.get(&slot).cloned().unwrap_or_default());
        running
    }

    /// Bank `slot` holds nothing that could be relied on.
    pub fn forget(&mut self, slot: Slot) {
        self.slots.remove(&slot);
    }

    /// Bank `slot` holds `state` of `component`.
    pub fn put_slot(&mut self, slot: Slot, component: &Name, state: ComponentState) {
        self.slots.entry(slot).or_default().insert(component.clone(), state);
    }

    /// The component without banks holds `state`.
    pub fn put_beside(&mut self, component: &Name, state: ComponentState) {
        self.beside.insert(component.clone(), state);
    }

    /// Whether `release` failed here before.
    pub fn failed(&self, release: Digest) -> bool {
        self.failed.contains(&release)
    }

    /// Remembers that `release` failed here.
    pub fn remember_failure(&mut self, release: Digest) {
        self.failed.retain(|known| *known != release);
        if self.failed.len() >= FAILED_MAX {
            self.failed.remove(0);
        }
        self.failed.push(release);
    }

    /// Forgets that `release` failed here: it runs now.
    pub fn forgive(&mut self, release: Digest) {
        self.failed.retain(|known| *known != release);
    }
}
