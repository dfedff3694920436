//! Is this package signed by whom it must be, and does it fit this terminal?
//!
//! `open` makes a `Verified<Manifest>`; `fit` holds it against the terminal. Both
//! are pure: bytes, root and facts are arguments.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use package::{Codec, Component, ComponentKind, Manifest};
use trust::{Root, TrustError, Verified, verify_targets};
use types::{Effect, Elsewhere, Name, Outcome, Running, Sealed, Text, Timestamp};

/// Why a terminal does not take a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The numbered outcome.
    pub outcome: Outcome,
    /// What was wrong with which part, for people.
    pub detail: Text,
}

impl Refusal {
    /// A refusal with this outcome and sentence.
    pub fn new(outcome: Outcome, detail: impl Into<Text>) -> Self {
        Self { outcome, detail: detail.into() }
    }
}

impl From<TrustError> for Refusal {
    fn from(error: TrustError) -> Self {
        Self::new(error.outcome(), error.to_string())
    }
}

/// Where a terminal can put a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How a component comes into force there.
    pub effect: Effect,
    /// Bytes that fit.
    pub capacity: u64,
    /// What starts when a component there does not.
    pub fallback: Fallback,
}

/// What starts when what was written does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// A second copy.
    Copy,
    /// Nothing.
    None,
}

/// What a package is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What the terminal is.
    pub product: Name,
    /// Its hardware strings; a package has to name one of them.
    pub hardware: Vec<Name>,
    /// Its brand or carrier variant.
    pub variant: Option<Name>,
    /// The region that it is in.
    pub region: Option<Name>,
    /// What its operator decided about packages for other regions; for a package that no
    /// operator ordered, nothing.
    pub elsewhere: Elsewhere,
    /// Where it can put what.
    pub places: BTreeMap<Name, Place>,
    /// The lowest rollback index per component; 0 where there is none.
    pub floors: BTreeMap<Name, u64>,
    /// What it runs.
    pub running: Running,
    /// Whether it runs hooks.
    pub hooks: HookRule,
    /// Areas that no update touches, by name.
    pub protected: BTreeSet<Name>,
}

/// Whether a terminal runs the hooks of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookRule {
    /// It does.
    Run,
    /// It does not, because of this.
    Refuse(Text),
}

/// Verifies a package's documents: `manifest` and `targets` are exact bytes.
///
/// # Errors
/// With the outcome that names what is wrong: key, threshold, expiry or damage.
pub fn open(
    manifest: &[u8],
    targets: &[u8],
    root: &Root,
    now: Timestamp,
) -> Result<Verified<Manifest>, Refusal> {
    let targets = verify_targets(root, &Sealed::from(targets), now)?;
    Ok(targets.vouch(Manifest::ENTRY, manifest)?)
}

/// Holds a verified manifest against a terminal.
///
/// # Errors
/// With the outcome that names the first rule that is broken.
pub fn fit(manifest: &Manifest, device: &DeviceFacts) -> Result<(), Refusal> {
    fit_model(manifest, device)?;
    if let (HookRule::Refuse(why), false) = (&device.hooks, manifest.hooks.is_empty()) {
        return Err(Refusal::new(Outcome::NoSandbox, why.clone()));
    }
    manifest.components.iter().try_for_each(|c| fit_component(manifest, c, device))?;
    if choose(manifest, &device.running).is_empty() {
        return Err(Refusal::new(Outcome::AlreadyRunning, Outcome::AlreadyRunning.sentence()));
    }
    Ok(())
}

/// The components that have to be installed: those whose image does not run yet,
/// and all that live in banks as soon as one of them is to be installed, because the
/// other bank holds some older release of them.
pub fn choose<'a>(manifest: &'a Manifest, running: &Running) -> Vec<(u8, &'a Component)> {
    let runs = |c: &Component| running.get(&c.name).is_some_and(|r| r.image == c.image.sha256);
    let banked = |c: &Component| c.effect == Effect::Slot;
    let bank_changes = manifest.components.iter().any(|c| banked(c) && !runs(c));
    let chosen = |c: &Component| if banked(c) { bank_changes } else { !runs(c) };
    (0..).zip(&manifest.components).filter(|(_, component)| chosen(component)).collect()
}

fn fit_model(manifest: &Manifest, device: &DeviceFacts) -> Result<(), Refusal> {
    if manifest.product != device.product {
        let why = format!("package is for {}, this is {}", manifest.product, device.product);
        return Err(Refusal::new(Outcome::WrongProduct, why));
    }
    if !manifest.hardware.iter().any(|name| device.hardware.contains(name)) {
        let why = format!(
            "package is for {}, this is {}",
            list(&manifest.hardware),
            list(&device.hardware)
        );
        return Err(Refusal::new(Outcome::WrongHardware, why));
    }
    let variant_fits = device.variant.as_ref().is_some_and(|own| manifest.variants.contains(own));
    if !manifest.variants.is_empty() && !variant_fits {
        let own = device.variant.as_ref().map_or("none", Name::as_str);
        let why = format!("package is for variant {}, this is {own}", list(&manifest.variants));
        return Err(Refusal::new(Outcome::WrongVariant, why));
    }
    let region_fits = device.region.as_ref().is_some_and(|own| manifest.regions.contains(own));
    if !manifest.regions.is_empty() && !region_fits && device.elsewhere == Elsewhere::Refuse {
        let own = device.region.as_ref().map_or("of no region", Name::as_str);
        let why = format!("package is for region {}, this is {own}", list(&manifest.regions));
        return Err(Refusal::new(Outcome::WrongRegion, why));
    }
    Ok(())
}

fn fit_component(
    manifest: &Manifest,
    component: &Component,
    device: &DeviceFacts,
) -> Result<(), Refusal> {
    let name = &component.name;
    let floor = device.floors.get(name).copied().unwrap_or(0);
    if manifest.rollback_index < floor {
        let why =
            format!("rollback index {} of `{name}` is below {floor}", manifest.rollback_index);
        return Err(Refusal::new(Outcome::Downgrade, why));
    }
    if device.protected.contains(name) {
        let why = format!("`{name}` is an area of the factory, which no update touches");
        return Err(Refusal::new(Outcome::UnknownComponent, why));
    }
    let Some(place) = device.places.get(name) else {
        let why = format!("this terminal has no component `{name}`");
        return Err(Refusal::new(Outcome::UnknownComponent, why));
    };
    if place.effect != component.effect {
        let why = format!("`{name}` comes into force in another way on this terminal");
        return Err(Refusal::new(Outcome::UnknownComponent, why));
    }
    if component.kind == ComponentKind::Bootloader && place.fallback == Fallback::None {
        let why = format!("`{name}` has no second copy that starts when the new one does not");
        return Err(Refusal::new(Outcome::NoFallback, why));
    }
    if component.image.size > place.capacity {
        let why =
            format!("`{name}` has {} bytes, its place {}", component.image.size, place.capacity);
        return Err(Refusal::new(Outcome::SlotTooSmall, why));
    }
    let known = |p: &package::Payload| p.codec != Codec::Unknown && p.encryption.is_none();
    if !component.payloads.iter().any(known) {
        let why = format!("`{name}` has no payload that this agent can decode");
        return Err(Refusal::new(Outcome::UnknownFormat, why));
    }
    Ok(())
}

fn list(names: &[Name]) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
