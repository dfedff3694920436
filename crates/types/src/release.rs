//! Releases, and what a terminal runs.

use crate::{Digest, Name};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// A release's version for people. Machines never compare it: they compare the
/// rollback index.
pub type Version = Name;

/// One release of one product.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Release {
    /// What it is a release of.
    pub product: Name,
    /// For people.
    pub version: Version,
    /// For machines: never goes down on a terminal.
    pub rollback_index: u64,
    /// SHA-256 of the manifest's exact bytes: the release's identity.
    pub manifest: Digest,
}

/// What is installed of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentState {
    /// The version that people know.
    pub version: Version,
    /// SHA-256 of the installed image.
    pub image: Digest,
}

/// What a terminal runs, component by component.
pub type Running = BTreeMap<Name, ComponentState>;
