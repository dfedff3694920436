//! What a fleet knows of one device, and whether a rule is about it.

use crate::{Labels, Standing};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use types::{AttemptId, DeviceId, Digest, Name, Release, Running, Version};

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
    /// What its operator says of it.
    pub labels: &'a Labels,
    /// Its last attempt in each rollout that ever offered it something.
    pub attempts: &'a [Attempt],
}

impl DeviceFacts<'_> {
    /// Its last attempt in `rollout`.
    pub(crate) fn attempt_in(&self, rollout: &Name) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.rollout == *rollout)
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
    /// Its variant is not listed, or it did not name one.
    Variant,
    /// It runs a version that is not listed.
    Running,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Product => "product",
            Self::Hardware => "hardware",
            Self::Region => "region",
            Self::Variant => "variant",
            Self::Running => "running version",
        })
    }
}

impl Audience {
    /// Everything of one product.
    pub fn everyone(product: Name) -> Self {
        let none = Vec::new;
        Self { product, hardware: none(), regions: none(), variants: none(), running: none() }
    }

    /// The first rule that keeps `device` out, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let runs =
            |version: &Version| device.running.values().any(|state| state.version == *version);
        let rules = [
            (Mismatch::Product, self.product == *device.product),
            (Mismatch::Hardware, lists(&self.hardware, Some(device.hardware))),
            (Mismatch::Region, lists(&self.regions, device.region)),
            (Mismatch::Variant, lists(&self.variants, device.variant)),
            (Mismatch::Running, self.running.is_empty() || self.running.iter().any(runs)),
        ];
        rules.into_iter().find_map(|(mismatch, holds)| (!holds).then_some(mismatch))
    }
}

/// Whether `value` is in `list`; an empty list holds everything.
fn lists(list: &[Name], value: Option<&Name>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(value))
}
