//! What the maker of a terminal lets packages do, and what no package may touch.

use super::{Component, Config};
use crate::platform::configuration::OwnStep;
use crate::platform::places::same_place;
use engine::configuration::{Pattern, Step};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use types::{Name, Seconds};

/// The most patterns and steps, each.
const LIST_MAX: usize = 64;

/// Programs of packages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// The user that they become, when the agent is root.
    pub user: String,
    /// MiB of address space of each of their processes.
    pub memory_mib: u32,
    /// What they may read and run besides the system's programs and settings.
    pub read: Vec<PathBuf>,
    /// Where they may write besides their own folder.
    pub write: Vec<PathBuf>,
    /// Whether they may use the network.
    pub network: bool,
    /// Where the kernel cannot contain them.
    pub uncontained: OnUncontained,
}

/// What becomes of hooks where the kernel cannot contain them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUncontained {
    /// Packages that have some are refused.
    Refuse,
    /// They run, kept by their user and limits only.
    Run,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            user: "nobody".into(),
            memory_mib: 64,
            read: Vec::new(),
            write: Vec::new(),
            network: false,
            uncontained: OnUncontained::Refuse,
        }
    }
}

/// The terminal's configuration, which the agent carries over.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The folder with a copy for each slot, `A` and `B`.
    pub folder: PathBuf,
    /// What is carried over; everything where nothing is said.
    #[serde(default)]
    pub keep: Vec<String>,
    /// The version of the form that the factory wrote.
    #[serde(default = "first_form")]
    pub form: u32,
    /// What a factory reset fills it with; it is emptied where nothing is said.
    pub factory: Option<PathBuf>,
    /// Steps that this release itself can take, backwards ones above all.
    #[serde(default)]
    pub migrations: Vec<OwnMigration>,
}

fn first_form() -> u32 {
    1
}

/// A step that the running release itself can take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnMigration {
    /// From which version of the form.
    pub from: u32,
    /// To which.
    pub to: u32,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Seconds after which it is ended.
    #[serde(default = "a_minute")]
    pub limit_seconds: u32,
}

fn a_minute() -> u32 {
    60
}

/// What a factory reset does besides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FactoryReset {
    /// Folders that are emptied.
    pub empty: Vec<PathBuf>,
}

/// A partition with a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Partition or file.
    pub path: PathBuf,
    /// Whether no update may touch it: calibration, serial numbers, keys.
    #[serde(default)]
    pub protected: bool,
}

impl Configuration {
    /// What is carried over, read. A configuration that was loaded has sound patterns.
    pub fn patterns(&self) -> Vec<Pattern> {
        self.keep.iter().filter_map(|text| Pattern::read(text)).collect()
    }

    /// The steps that this release itself can take.
    pub fn own(&self) -> Vec<OwnStep> {
        let own = |step: &OwnMigration| OwnStep {
            step: Step { from: step.from, to: step.to },
            command: step.command.clone(),
            limit: Seconds(step.limit_seconds),
        };
        self.migrations.iter().map(own).collect()
    }

    fn fault(&self) -> Option<String> {
        let bad = |text: &&String| Pattern::read(text).is_none();
        if let Some(text) = self.keep.iter().find(bad) {
            return Some(format!("`configuration.keep` has `{text}`, which is no pattern"));
        }
        if self.keep.len() > LIST_MAX || self.migrations.len() > LIST_MAX {
            return Some("`configuration` has more than 64 patterns or migrations".into());
        }
        let idle = |step: &&OwnMigration| step.from == step.to || step.command.is_empty();
        let idle = self.migrations.iter().find(idle)?;
        Some(format!("the migration from {} to {} does nothing", idle.from, idle.to))
    }
}

impl Config {
    /// Areas that no update touches, by name.
    pub fn protected(&self) -> BTreeSet<Name> {
        let protected = self.partitions.iter().filter(|(_, partition)| partition.protected);
        protected.map(|(name, _)| name.clone()).collect()
    }

    /// Everything that components are written to.
    pub fn places(&self) -> Vec<PathBuf> {
        self.components.values().flat_map(Component::places).collect()
    }

    /// A folder that a reset must not empty: what updates depend on is below it.
    fn reset_fault(&self) -> Option<String> {
        let needed = |folder: &&PathBuf| {
            !folder.is_absolute()
                || self.state_dir.starts_with(folder)
                || same_place(folder, &self.state_dir)
        };
        let needed = self.factory_reset.empty.iter().find(needed)?;
        Some(format!("`factory_reset.empty`: the agent's own records are in {}", needed.display()))
    }

    /// The first rule about all this that is broken.
    pub(super) fn maker_fault(&self) -> Option<String> {
        if !(1..=4096).contains(&self.hooks.memory_mib) {
            return Some("`hooks.memory_mib` is not from 1 to 4096".into());
        }
        let configuration = self.configuration.as_ref().and_then(Configuration::fault);
        configuration.or_else(|| self.protected_fault()).or_else(|| self.reset_fault())
    }

    /// A component that would write to an area of the factory, by whatever name.
    fn protected_fault(&self) -> Option<String> {
        for (area, partition) in self.partitions.iter().filter(|(_, p)| p.protected) {
            if self.components.contains_key(area) {
                return Some(format!("`{area}` is both a component and protected"));
            }
            for (name, component) in &self.components {
                if component.places().iter().any(|place| same_place(place, &partition.path)) {
                    return Some(format!(
                        "`components.{name}` is written to `{area}`, which is protected"
                    ));
                }
            }
        }
        None
    }
}
