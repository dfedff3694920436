//! What a fleet knows of one device, and whether a rule is about it.

use crate::filter::Filter;
use crate::{Labels, Standing};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use types::{
    Abroad, AttemptId, DeviceId, Digest, Elsewhere, Name, Release, Running, Timestamp, Version,
};

/// One device as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct DeviceFacts<'a> {
    /// Who.
    pub id: &'a DeviceId,
    /// Which product it is.
    pub product: &'a Name,
    /// Its hardware compatibility string.
    pub hardware: &'a Name,
    /// Brand or carrier variant.
    pub variant: Option<&'a Name>,
    /// Where it is used.
    pub region: Option<&'a Name>,
    /// What it runs, as its last heartbeat said.
    pub running: &'a Running,
    /// The published release that this is, if it is one.
    pub release: Option<&'a Release>,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// What its operator says of it.
    pub labels: &'a Labels,
    /// What its agent can do beside what every agent can.
    pub abilities: &'a [Name],
    /// Its last attempt in each rollout that ever offered it something.
    pub attempts: &'a [Attempt],
}

impl DeviceFacts<'_> {
    /// The value of the filters' key `abroad`.
    pub const ABROAD: &'static str = "yes";

    /// Its last attempt in `rollout`.
    pub(crate) fn attempt_in(&self, rollout: &Name) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.rollout == *rollout)
    }

    /// It is used elsewhere than in the region that it was sold for.
    pub fn is_abroad(&self) -> bool {
        self.labels.is_abroad_in(self.region)
    }
}

/// A try of a release on a device, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Of which rollout.
    pub rollout: Name,
    /// Which.
    pub id: AttemptId,
    /// The release: digest of its manifest.
    pub manifest: Digest,
    /// Counted from 0; every new order for the same rollout and device adds one.
    pub retry: u32,
    /// Where it stands.
    pub standing: Standing,
}

/// Which devices a rollout is for. Empty lists mean any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Product.
    pub product: Name,
    /// Hardware compatibility strings.
    pub hardware: Vec<Name>,
    /// Regions.
    pub regions: Vec<Name>,
    /// Brand or carrier variants.
    pub variants: Vec<Name>,
    /// Versions that the device runs in one of its components.
    pub running: Vec<Version>,
    /// What else must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// What becomes of devices outside of the region that they were sold for.
    #[serde(default)]
    pub abroad: Abroad,
    /// What becomes of devices in none of the regions that the release is for.
    #[serde(default, skip_serializing_if = "Elsewhere::is_refuse")]
    pub outside: Elsewhere,
}

/// What keeps a device out of an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It is another product.
    Product,
    /// Its hardware is not listed.
    Hardware,
    /// Its region is not listed, or it did not name one.
    Region,
    /// The release is for other regions, or it did not name one.
    Outside,
    /// Its variant is not listed, or it did not name one.
    Variant,
    /// It runs a version that is not listed.
    Running,
    /// It is not in the region that it was sold for.
    Abroad,
    /// The filter does not hold for it.
    Filter,
    /// It joined after the audience was frozen.
    Latecomer,
    /// It does not run what the release needs.
    Needs,
    /// It is pinned to another version.
    Pinned,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Product => "product",
            Self::Hardware => "hardware",
            Self::Region => "region",
            Self::Outside => "region: the release is meant for others",
            Self::Variant => "variant",
            Self::Running => "running version",
            Self::Abroad => "use outside of its home region",
            Self::Filter => "labels: the filter does not hold",
            Self::Latecomer => "enrolment after the start",
            Self::Needs => "running components: they are not what the release needs",
            Self::Pinned => "pin to another version",
        })
    }
}

impl Audience {
    /// Everything of one product.
    pub fn everyone(product: Name) -> Self {
        let none = Vec::new;
        let (filter, abroad, outside) = (None, Abroad::default(), Elsewhere::default());
        let (hardware, regions, variants, running) = (none(), none(), none(), Vec::new());
        Self { product, hardware, regions, variants, running, filter, abroad, outside }
    }

    /// The first rule that keeps `device` out, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let runs =
            |version: &Version| device.running.values().any(|state| state.version == *version);
        let filter = self.filter.as_ref();
        let rules = [
            (Mismatch::Product, self.product == *device.product),
            (Mismatch::Hardware, lists(&self.hardware, Some(device.hardware))),
            (Mismatch::Abroad, self.abroad != Abroad::Nothing || !device.is_abroad()),
            (Mismatch::Region, lists(&self.regions, self.region(device))),
            (Mismatch::Variant, lists(&self.variants, device.variant)),
            (Mismatch::Running, self.running.is_empty() || self.running.iter().any(runs)),
            (Mismatch::Filter, filter.is_none_or(|filter| filter.matches(device))),
        ];
        rules.into_iter().find_map(|(mismatch, holds)| (!holds).then_some(mismatch))
    }

    /// The region that `device` counts to.
    fn region<'d>(&self, device: &DeviceFacts<'d>) -> Option<&'d Name> {
        match self.abroad {
            Abroad::Home => device.labels.home.as_ref().or(device.region),
            Abroad::Used | Abroad::Ask | Abroad::Nothing => device.region,
        }
    }

    /// What the order for `device` says of its region, where the release is for `meant`:
    /// to ask its owner, to install all the same, or nothing ([`Elsewhere::Refuse`]).
    /// Without that, a terminal refuses what is not for where it says it is.
    pub fn place(&self, meant: &[Name], device: &DeviceFacts<'_>) -> Elsewhere {
        let abroad = self.abroad == Abroad::Ask && device.is_abroad();
        let outside = self.outside == Elsewhere::Ask && !lists(meant, self.region(device));
        match (abroad || outside, lists(meant, device.region)) {
            (true, _) => Elsewhere::Ask,
            (false, true) => Elsewhere::Refuse,
            (false, false) => Elsewhere::Allow,
        }
    }

    /// Whether a release for `meant` is kept from `device`, as it is in none of them.
    pub(crate) fn keeps_out(&self, meant: &[Name], device: &DeviceFacts<'_>) -> bool {
        self.outside == Elsewhere::Refuse && !lists(meant, self.region(device))
    }
}

/// Whether `value` is in `list`; an empty list holds everything.
pub(crate) fn lists(list: &[Name], value: Option<&Name>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(value))
}
