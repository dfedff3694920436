//! Static plans and the files that go with them.

use crate::json::Message;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Name, Text, Timestamp};

/// Everything that a tree of static files holds. Paths are relative to where it is
/// served: `/v1/static/` of the server, or the address of a CDN.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanList {
    /// The public key that plans are signed with, 64 hex digits; absent where the server
    /// makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long a plan is good for.
    #[serde(default)]
    pub seconds: u32,
    /// The plans.
    pub plans: Vec<PlanView>,
    /// The packages that they offer.
    pub releases: Vec<ReleaseFiles>,
}

/// One plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Its file.
    pub path: String,
    /// For terminals of which product.
    pub product: Name,
    /// That follow which channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// After this time it offers nothing.
    pub expires: Timestamp,
    /// Its rollouts.
    pub rollouts: Vec<Spread>,
}

/// A rollout of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Which.
    pub rollout: Name,
    /// Why terminals must ask a server before they start, if they must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Text>,
}

/// The entries of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFiles {
    /// Their folder, with a slash at its end.
    pub path: String,
    /// The entries.
    pub files: Vec<FileView>,
}

/// One entry of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// Its name below the folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

impl Message for PlanList {
    const KIND: &'static str = "list of static plans";
    const LIMIT: usize = 16 << 20;
}
