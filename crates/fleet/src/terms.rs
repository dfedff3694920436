//! How a release is offered: how urgently, when, how many at one site, how often.

use crate::audience::lists;
use crate::filter::Filter;
use crate::{DeviceFacts, Mismatch, Schedule};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Name, Outcome, Seconds, Text};

/// The most automatic retries of one device: a release that does not get through so
/// often needs a person.
pub const RETRIES_LIMIT: u8 = 10;

/// How a release is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// How urgently.
    #[serde(default)]
    pub mode: Mode,
    /// When.
    #[serde(default)]
    pub schedule: Schedule,
    /// How many at one site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteLimit>,
    /// How often a device that failed by no fault of the release tries anew by itself.
    #[serde(default)]
    pub retries: u8,
    /// How long nobody is offered the release after the start, while deltas to it are
    /// being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_deltas: Option<Seconds>,
    /// Whether devices that join after the start take part.
    #[serde(default)]
    pub latecomers: Latecomers,
}

/// What a device must be and run so that a release works on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fit {
    /// Hardware that the release is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<Name>,
    /// Brand or carrier variants that it is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Name>,
    /// What must run, of the components that it brings and of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Filter>,
}

impl Fit {
    /// The first rule that keeps the release off `device`, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let needs = self.needs.as_ref();
        let rules = [
            (Mismatch::Hardware, lists(&self.hardware, Some(device.hardware))),
            (Mismatch::Variant, lists(&self.variants, device.variant)),
            (Mismatch::Needs, needs.is_none_or(|needs| needs.matches(device))),
        ];
        rules.into_iter().find_map(|(mismatch, holds)| (!holds).then_some(mismatch))
    }
}

/// How urgently a device should install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// When its own policy and its owner agree.
    #[default]
    Soft,
    /// Without asking its owner.
    Forced,
    /// Up to the unused slot, and no further.
    DownloadOnly,
}

impl Mode {
    /// What an agent must be able to do so that it understands the mode: without it, it
    /// would do more than it is told.
    pub fn ability(self) -> Option<&'static str> {
        (self == Self::DownloadOnly).then_some("download-only")
    }
}

/// Who takes part of those that join after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Latecomers {
    /// Everyone: the audience is a rule.
    #[default]
    Included,
    /// Nobody: the audience is frozen at the start.
    LeftOut,
}

/// How many devices of one site may update at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteLimit {
    /// The attribute that names the site, as `olt`.
    pub by: Name,
    /// How many.
    pub in_flight: u32,
}

impl SiteLimit {
    /// The site of `device`; a device without one is not limited.
    pub fn site<'d>(&self, device: &DeviceFacts<'d>) -> Option<&'d Text> {
        device.labels.attributes.get(&self.by)
    }
}

/// Whether an outcome is the network's or the moment's fault, so that the same release
/// may well succeed the next time.
pub fn transient(outcome: Outcome) -> bool {
    use Outcome::{NotBack, TooSlow, Truncated, Unreachable};
    matches!(outcome, Unreachable | Truncated | TooSlow | NotBack)
}
