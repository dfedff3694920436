//! What the operator says of one device, beside what it says of itself.

use crate::DeviceFacts;
use crate::Zone;
use crate::filter::{Key, Words};
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};
use types::{Name, Text, Version};

/// The most tags, groups and attributes of one device, each.
pub const LABELS_LIMIT: usize = 64;

/// What the operator says of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Labels {
    /// Words without a value.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Name>,
    /// The static groups it is in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Name>,
    /// Values by name: site, network topology (`olt`, `bng`, `cell`), contract.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Name, Text>,
    /// Which stream of releases it follows, as `stable` or `beta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The region that it was sold for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Name>,
    /// Its time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// The only version that it may be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Version>,
}

impl Labels {
    /// Nothing is said.
    pub const NONE: &'static Self = &Self {
        tags: BTreeSet::new(),
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
        channel: None,
        home: None,
        zone: None,
        pin: None,
    };

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self == Self::NONE
    }

    /// Whether somebody who is in `region` is outside of the home region.
    pub fn is_abroad_in(&self, region: Option<&Name>) -> bool {
        self.home.as_ref().zip(region).is_some_and(|(home, region)| home != region)
    }

    /// The list that is too long, if one is.
    pub fn fault(&self) -> Option<&'static str> {
        let lengths = [self.tags.len(), self.groups.len(), self.attributes.len()];
        let crowded = lengths.iter().any(|length| *length > LABELS_LIMIT);
        crowded.then_some("has more than 64 tags, groups or attributes")
    }
}

impl Words for DeviceFacts<'_> {
    fn any(&self, key: &Key, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let labels = self.labels;
        match key {
            Key::Device => test(self.id.as_str()),
            Key::Product => test(self.product.as_str()),
            Key::Hardware => test(self.hardware.as_str()),
            Key::Variant => self.variant.is_some_and(|name| test(name.as_str())),
            Key::Region => self.region.is_some_and(|name| test(name.as_str())),
            Key::Home => labels.home.as_ref().is_some_and(|name| test(name.as_str())),
            Key::Abroad => self.is_abroad() && test(Self::ABROAD),
            Key::Channel => labels.channel.as_ref().is_some_and(|name| test(name.as_str())),
            Key::Tag => labels.tags.iter().any(|name| test(name.as_str())),
            Key::Group => labels.groups.iter().any(|name| test(name.as_str())),
            Key::Version(None) => self.running.values().any(|state| test(state.version.as_str())),
            Key::Version(Some(component)) => {
                self.running.get(component).is_some_and(|state| test(state.version.as_str()))
            }
            Key::Attribute(name) => labels.attributes.get(name).is_some_and(|v| test(v.as_str())),
        }
    }
}
