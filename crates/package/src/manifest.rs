//! The manifest: what a release consists of, signed by its maker.

use crate::names::{MANIFEST, chunks_entry, is_entry_name};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use types::{Digest, Document, Effect, Image, Name, Release, Timestamp, Version, tree};

/// The manifest's format version that this crate writes and reads.
const FORMAT: u32 = 1;
/// The most components of one release: a cursor counts them in a byte.
const COMPONENTS_MAX: usize = 32;
/// The most payloads of one component: a cursor counts them in a byte.
const PAYLOADS_MAX: usize = 8;
/// The most hardware strings, variants, regions, languages and hooks, each.
const LIST_MAX: usize = 256;
/// The most programs that a package brings for its hooks, and their bytes together: a
/// terminal keeps them with the job until the update has ended.
const PROGRAMS_MAX: usize = 32;
/// See [`PROGRAMS_MAX`].
const PROGRAMS_SIZE_MAX: u64 = 1 << 20;
/// Bytes of a list of chunk digests that a small terminal can hold. Only an image
/// of the largest chunks may have a longer one: that is an image over 32 GiB.
const LIST_SIZE_WISHED: u64 = 1 << 20;
/// The longest text of one language, in bytes.
const TEXT_MAX: usize = 16 << 10;

/// What a maker says about one release. JSON, at most 1 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version: 1.
    pub format: u32,
    /// What it is a release of.
    pub product: Name,
    /// Brand or carrier variants it is for; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Name>,
    /// Regions it is for, as ISO 3166 codes or the maker's own words; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Name>,
    /// Hardware compatibility strings (model and board revision) it is for; at least one.
    pub hardware: Vec<Name>,
    /// For people.
    pub version: Version,
    /// For machines: a terminal refuses a release whose index is below its floor.
    pub rollback_index: u64,
    /// Security or feature update.
    pub class: Class,
    /// What is installed, in the order in which it is written.
    pub components: Vec<Component>,
    /// Release notes for people, by language tag (RFC 5646).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "each_once")]
    pub notes: BTreeMap<String, String>,
    /// Programs to run around the update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// The version of the configuration's form that this release works with; absent in
    /// one that leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<u32>,
    /// Until when the maker supplies security updates for this product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_until: Option<Timestamp>,
    /// Where the release notes in full are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_notes: Option<Link>,
    /// Where the software bill of materials is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<Link>,
}

/// Why people get this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Closes holes; may be installed against postponement where the law asks so.
    Security,
    /// Brings something new.
    Feature,
}

/// A document elsewhere, named by its digest so that it cannot be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Absolute URL.
    pub url: String,
    /// SHA-256 of what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// One part of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name on the terminal, unique in the release.
    pub name: Name,
    /// What it is.
    pub kind: ComponentKind,
    /// How it comes into force.
    pub effect: Effect,
    /// The component's own version; the release's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What must stand on the terminal at the end.
    pub image: Image,
    /// Ways to get the image, best first.
    pub payloads: Vec<Payload>,
    /// It works with the old and the new release of the other components. A
    /// `Direct` component must: it is applied when the rest is confirmed already.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub works_with_both: bool,
}

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// First or second stage boot loader.
    Bootloader,
    /// Kernel, device tree, initramfs.
    Kernel,
    /// Root file system.
    Rootfs,
    /// Baseband or DSL/PON firmware.
    Modem,
    /// One application.
    Application,
    /// Configuration of the terminal.
    Configuration,
    /// Any vendor file, for devices that do not run Refit.
    Opaque,
}

/// One way to get an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// How it is encoded.
    pub codec: Codec,
    /// The entry of the package that holds it.
    pub entry: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the payload's bytes.
    pub sha256: Digest,
    /// How its bytes are encrypted; reserved. An agent leaves such a payload out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// The image's chunks, each one independent Zstandard frame (RFC 8878) that
    /// states its content size, one after the other.
    ZstdFrames,
    /// An encoding that a later agent knows. This one leaves the payload out.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A program that runs around the update, without a shell: one of the release that
/// runs then, or one that the package brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// When.
    pub phase: Phase,
    /// Program and arguments, as `execve` takes them.
    pub command: Vec<String>,
    /// After how many seconds it is ended and counts as failed.
    pub limit_seconds: u32,
    /// The program's bytes, where the package brings it: the command's first word is
    /// then only what it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// Which step a migration takes; for the phase `migrate` and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// A program in the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The entry that holds it.
    pub entry: String,
    /// Bytes.
    pub size: u32,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// From one version of the configuration's form to another, forwards or backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The version that it begins with.
    pub from: u32,
    /// The version that it makes.
    pub to: u32,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the first byte is written.
    BeforeInstall,
    /// Before the bootloader is told.
    BeforeActivate,
    /// On a copy of the configuration, before the bootloader is told.
    Migrate,
    /// In the new release, before its health checks.
    AfterBoot,
    /// With the health checks of the new release.
    Health,
    /// When the release is confirmed.
    AfterCommit,
    /// In the old release, when it runs again.
    AfterRollback,
}

impl Phase {
    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeInstall => "before-install",
            Self::BeforeActivate => "before-activate",
            Self::Migrate => "migrate",
            Self::AfterBoot => "after-boot",
            Self::Health => "health",
            Self::AfterCommit => "after-commit",
            Self::AfterRollback => "after-rollback",
        }
    }
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

impl Manifest {
    /// The entry's name in the package and the target's name in its signature.
    pub const ENTRY: &'static str = MANIFEST;

    /// The format version written today.
    pub const FORMAT: u32 = FORMAT;

    /// The release this is the manifest of; `exact` are the manifest's bytes.
    pub fn release(&self, exact: &[u8]) -> Release {
        Release {
            product: self.product.clone(),
            version: self.version.clone(),
            rollback_index: self.rollback_index,
            manifest: Digest::of(exact),
        }
    }

    /// The version of `component`: its own, or the release's.
    pub fn version_of<'a>(&'a self, component: &'a Component) -> &'a Version {
        component.version.as_ref().unwrap_or(&self.version)
    }

    /// The entries that a package of this release has after its documents, with
    /// their sizes, in order.
    pub fn entries(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let lists = self.components.iter().map(|c| (chunks_entry(&c.name), c.image.list_size()));
        let programs = self.programs().map(|program| (program.entry.clone(), program.size.into()));
        let payloads = self.components.iter().flat_map(|c| &c.payloads);
        lists.chain(programs).chain(payloads.map(|payload| (payload.entry.clone(), payload.size)))
    }

    /// The programs that the package brings, each once, in the order of the hooks.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let all = || self.hooks.iter().filter_map(|hook| hook.program.as_ref());
        let first = move |(index, program): &(usize, &Program)| {
            all().take(*index).all(|earlier| earlier.entry != program.entry)
        };
        all().enumerate().filter(first).map(|(_, program)| program)
    }

    /// Bytes of all full payloads together.
    pub fn download_size(&self) -> u64 {
        let first = |c: &Component| c.payloads.first().map_or(0, |p| p.size);
        self.components.iter().map(first).fold(0, u64::saturating_add)
    }

    /// Checks every limit and rule that the types alone do not express.
    ///
    /// # Errors
    /// The first rule that is broken, as a sentence.
    pub fn check(&self) -> Result<(), ManifestError> {
        let names = [&self.hardware, &self.variants, &self.regions].map(Vec::len);
        let lists = names.into_iter().chain([self.notes.len(), self.hooks.len()]);
        ensure(self.format == FORMAT, || format!("manifest has format {}, not 1", self.format))?;
        ensure(!self.hardware.is_empty(), || "manifest names no hardware".into())?;
        ensure(lists.into_iter().all(|n| n <= LIST_MAX), || {
            "manifest has a list of over 256".into()
        })?;
        ensure(self.notes.values().all(|n| n.len() <= TEXT_MAX), || {
            "a note is over 16 KiB".into()
        })?;
        ensure(!self.components.is_empty(), || "manifest has no component".into())?;
        ensure(self.components.len() <= COMPONENTS_MAX, || "more than 32 components".into())?;
        let names: BTreeSet<_> = self.components.iter().map(|c| &c.name).collect();
        ensure(names.len() == self.components.len(), || "a component is named twice".into())?;
        let entries: BTreeSet<_> = self.entries().map(|(name, _)| name).collect();
        ensure(entries.len() == self.entries().count(), || "an entry is named twice".into())?;
        self.hooks.iter().try_for_each(check_hook)?;
        self.check_programs()?;
        self.components.iter().try_for_each(check_component)
    }
}

/// Rules that no hook keeps by itself.
impl Manifest {
    fn check_programs(&self) -> Result<(), ManifestError> {
        let size: u64 = self.programs().map(|program| u64::from(program.size)).sum();
        ensure(self.programs().count() <= PROGRAMS_MAX && size <= PROGRAMS_SIZE_MAX, || {
            "the hooks' programs are more than 32, or over 1 MiB".into()
        })?;
        let all = self.hooks.iter().filter_map(|hook| hook.program.as_ref());
        let mut other = all.filter(|one| self.programs().all(|first| first != *one));
        ensure(other.next().is_none(), || "an entry is two different programs".into())
    }
}

/// Reads a map in which no key may stand twice: two readers that keep different
/// ones would show two texts under one signature.
fn each_once<'de, D: Deserializer<'de>>(reader: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct EachOnce;
    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("texts by language")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut notes = BTreeMap::new();
            while let Some((language, text)) = map.next_entry::<String, String>()? {
                if let Some(_earlier) = notes.insert(language, text) {
                    return Err(A::Error::custom("a language has two texts"));
                }
            }
            Ok(notes)
        }
    }
    reader.deserialize_map(EachOnce)
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError(why())) }
}

fn check_hook(hook: &Hook) -> Result<(), ManifestError> {
    let bounded = hook.command.len() <= 32 && hook.command.iter().all(|word| word.len() <= 256);
    ensure(!hook.command.is_empty() && bounded, || "a hook's command is empty or too long".into())?;
    ensure((1..=3600).contains(&hook.limit_seconds), || {
        "a hook's limit is not 1 to 3600 s".into()
    })?;
    let steps = hook.step.is_some_and(|step| step.from != step.to);
    ensure(steps == (hook.phase == Phase::Migrate) && steps == hook.step.is_some(), || {
        "a hook takes a step of the configuration exactly when it migrates".into()
    })?;
    let Some(program) = &hook.program else { return Ok(()) };
    let named = program.entry.starts_with("hooks/") && is_entry_name(&program.entry);
    ensure(named && program.size > 0, || {
        "a hook's program is empty, or its entry is not in `hooks/`".into()
    })
}

fn check_component(component: &Component) -> Result<(), ManifestError> {
    let name = &component.name;
    if let Some(fault) = component.image.fault() {
        return Err(ManifestError(format!("component `{name}`: {fault}")));
    }
    let short = component.image.list_size() <= LIST_SIZE_WISHED;
    ensure(short || component.image.chunk_size == Image::CHUNK_MAX, || {
        format!("`{name}` has over 1 MiB of chunk digests; larger chunks make them fewer")
    })?;
    let count = component.payloads.len();
    ensure((1..=PAYLOADS_MAX).contains(&count), || format!("`{name}` has not 1 to 8 payloads"))?;
    component.payloads.iter().try_for_each(|payload| check_payload(name, payload))?;
    ensure(component.effect != Effect::Direct || component.works_with_both, || {
        format!("`{name}` has no second copy, so it must work with old and new releases")
    })
}

fn check_payload(component: &Name, payload: &Payload) -> Result<(), ManifestError> {
    let Payload { entry, size, .. } = payload;
    let named = entry.starts_with("payload/") && is_entry_name(entry);
    ensure(named, || format!("`{component}` has a payload whose entry is not in `payload/`"))?;
    // Twice the largest image bounds every sum of sizes.
    ensure((1..=2 * Image::SIZE_MAX).contains(size), || {
        format!("`{entry}` has a size that no payload has")
    })
}

impl Document for Manifest {
    const KIND: &'static str = "manifest";
    const LIMIT: u32 = 1 << 20;

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = tree::from_json(bytes).map_err(|e| e.to_string())?;
        manifest.check().map_err(|e| e.to_string())?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
