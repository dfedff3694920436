//! What operators say of terminals: labels, groups, what releases need.

use super::LIST_LIMIT;
use crate::json::Message;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Abroad, DeviceId, Elsewhere, Name, Text, Version};

/// The most terminals that are named in one change of labels.
pub const LABELLED_LIMIT: usize = 10_000;

/// What the operator says of one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelsView {
    /// Words without a value.
    #[serde(default)]
    pub tags: BTreeSet<Name>,
    /// The static groups it is in.
    #[serde(default)]
    pub groups: BTreeSet<Name>,
    /// Values by name: site, network topology, contract.
    #[serde(default)]
    pub attributes: BTreeMap<Name, Text>,
    /// Which stream of releases it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The region that it was sold for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Name>,
    /// Its time zone: a name, or a POSIX rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The only version that it may be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Version>,
}

/// Changes labels of the terminals that are named, or that a filter holds for: exactly
/// one of both. What is not mentioned stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelOrder {
    /// These.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// All for which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Added, or set anew.
    #[serde(default)]
    pub set: LabelsView,
    /// Tags taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_tags: Vec<Name>,
    /// Static groups left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_groups: Vec<Name>,
    /// Attributes taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_attributes: Vec<Name>,
    /// What else is taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<Single>,
}

/// A label of which a terminal has one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Single {
    /// Its channel.
    Channel,
    /// The region that it was sold for.
    Home,
    /// Its time zone.
    Zone,
    /// Its pin.
    Pin,
}

/// How many terminals a change was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// So many.
    pub devices: u32,
    /// So many of them have other labels now.
    pub changed: u32,
}

/// A dynamic group: a filter with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRule {
    /// Its name.
    pub name: Name,
    /// Who is in it; nobody any more, where absent: the group is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// All dynamic groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The groups.
    pub groups: Vec<GroupRule>,
}

/// What becomes of a product's terminals outside of their region, in rollouts that do not
/// say it themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRule {
    /// Which.
    pub product: Name,
    /// Those outside of the region that they were sold for.
    #[serde(default)]
    pub abroad: Abroad,
    /// Those in none of the regions that a release is for.
    #[serde(default)]
    pub outside: Elsewhere,
}

/// All products of which that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductList {
    /// The products.
    pub products: Vec<ProductRule>,
}

/// Says what a terminal must run so that a release works there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsOrder {
    /// A filter; nothing is needed where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Why, for the record.
    #[serde(default)]
    pub why: Text,
}

impl Message for LabelOrder {
    const KIND: &'static str = "change of labels";
    const LIMIT: usize = 1 << 20;
    fn fault(&self) -> Option<&'static str> {
        let lists = [
            self.drop_tags.len(),
            self.drop_groups.len(),
            self.drop_attributes.len(),
            self.set.tags.len(),
            self.set.groups.len(),
            self.set.attributes.len(),
        ];
        if self.devices.is_empty() == self.filter.is_none() {
            return Some("names not exactly one of `devices` and `filter`");
        }
        let crowded = lists.iter().any(|n| *n > LIST_LIMIT) || self.devices.len() > LABELLED_LIMIT;
        crowded.then_some("has a list of more than 256 labels or 10000 terminals")
    }
}

impl Message for Labelled {
    const KIND: &'static str = "count of terminals";
    const LIMIT: usize = 4 << 10;
}

impl Message for LabelsView {
    const KIND: &'static str = "list of labels";
    const LIMIT: usize = 64 << 10;
}

impl Message for GroupRule {
    const KIND: &'static str = "group";
    const LIMIT: usize = 64 << 10;
}

impl Message for GroupList {
    const KIND: &'static str = "list of groups";
    const LIMIT: usize = 4 << 20;
}

impl Message for ProductRule {
    const KIND: &'static str = "rule of a product";
    const LIMIT: usize = 4 << 10;
}

impl Message for ProductList {
    const KIND: &'static str = "list of products";
    const LIMIT: usize = 4 << 20;
}

impl Message for NeedsOrder {
    const KIND: &'static str = "rule of a release";
    const LIMIT: usize = 64 << 10;
}
