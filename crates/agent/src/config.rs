//! The configuration file: TOML, unknown keys refused.
//!
//! Deliberately absent: what an owner switches while the agent runs (`switches`),
//! and secrets: the file names the files that hold them.

mod around;
mod boot;
mod component;
mod environment;
mod form;
mod lacking;
mod layout;
#[cfg(feature = "upkeep")]
mod maker;
mod places;
#[cfg(feature = "plan")]
mod plan;
mod policy;

pub use around::{Health, HealthCheck, MovesWord, Power, Watchdog, Worker};
pub use boot::{Boot, BootTries, CountingWord, Running, Single, SlotNames};
pub use component::Component;
#[cfg(feature = "components")]
pub use component::CopySwitch;
pub use environment::{CopyPlace, EnvironmentForm, EnvironmentPlaces};
pub use form::FormError;
pub use layout::{LayoutWord, Stage, StagingWord};
#[cfg(feature = "upkeep")]
pub use maker::{Configuration, FactoryReset, Hooks, OnUncontained, OwnMigration, Partition};
#[cfg(feature = "plan")]
pub use plan::Plan;
pub use policy::{LineWord, Metered, Policy, Senses, WordOrProgram};

use crate::edges::BootControl;
use crate::{Identity, Inventory, Options, ReadBack, SYSTEM};
use engine::policy::rules::Rules;
use serde::Deserialize;
use std::collections::BTreeMap;
#[cfg(feature = "page")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use types::tree::Node;
use types::{ComponentState, DeviceId, Digest, Name, Seconds, Slot, Tree, TreeError, Version};

/// Where the file is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/refit/agent.toml";

/// A commented example that is complete and valid.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// The largest configuration file, in bytes.
const LIMIT: u64 = 1 << 20;

/// What this terminal is and how its updates are done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in the fleet.
    pub device: DeviceId,
    /// What it is.
    pub product: Name,
    /// Its hardware strings, the most precise first.
    pub hardware: OneOrMore,
    /// Its brand or carrier variant.
    pub variant: Option<Name>,
    /// The region it is in.
    pub region: Option<Name>,
    /// MiB of memory that it can spend on applying a delta.
    #[serde(default = "memory_class")]
    pub memory_class_mib: u16,
    /// Where what survives is kept.
    pub state_dir: PathBuf,
    /// Where what need not survive is kept: the wake-up socket, the status.
    pub runtime_dir: Option<PathBuf>,
    /// The pinned root of trust, taken over at the first start.
    pub root: PathBuf,
    /// The operator's server, if there is one.
    pub server: Option<Server>,
    /// Rollouts that are read from files, if they are.
    #[cfg(feature = "plan")]
    pub plan: Option<Plan>,
    /// How packages are fetched.
    #[serde(default)]
    pub network: Network,
    /// How images are written.
    #[serde(default)]
    pub install: Install,
    /// The bootloader.
    pub boot: Boot,
    /// How the agent learns which slot runs, where the bootloader's convention does
    /// not say: `refit.slot=A` on the kernel's command line otherwise.
    pub running: Option<Running>,
    /// What the two slots are for.
    #[serde(default)]
    pub layout: LayoutWord,
    /// Where packages are kept before the only system is given up for them.
    #[serde(default)]
    pub staging: Stage,
    /// Where components are written to.
    pub components: BTreeMap<Name, Component>,
    /// What was installed in the factory.
    #[serde(default)]
    pub installed: BTreeMap<Name, Installed>,
    /// How the release's health is found out.
    #[serde(default)]
    pub health: Health,
    /// How the terminal is restarted.
    #[serde(default)]
    pub power: Power,
    /// The hardware's watchdog, where the agent feeds it.
    pub watchdog: Option<Watchdog>,
    /// The unprivileged worker.
    #[serde(default)]
    pub worker: Worker,
    /// Cards and sticks.
    #[cfg(feature = "cards")]
    #[serde(default)]
    pub media: Media,
    /// The local page; off where there is none.
    #[cfg(feature = "page")]
    pub page: Option<Page>,
    /// The bus on which programs speak for the owner; none where there is none.
    #[cfg(feature = "dbus")]
    pub dbus: Option<Dbus>,
    /// When the terminal may work on an update.
    #[serde(default)]
    pub policy: Policy,
    /// How it finds out what the moment is like.
    #[serde(default)]
    pub senses: Senses,
    /// Programs of packages.
    #[cfg(feature = "upkeep")]
    #[serde(default)]
    pub hooks: Hooks,
    /// The terminal's own configuration, where the agent carries it over.
    #[cfg(feature = "upkeep")]
    pub configuration: Option<Configuration>,
    /// Partitions with a name, for backup and restore.
    #[cfg(feature = "upkeep")]
    #[serde(default)]
    pub partitions: BTreeMap<Name, Partition>,
    /// What a factory reset does.
    #[cfg(feature = "upkeep")]
    #[serde(default)]
    pub factory_reset: FactoryReset,
}

/// The local page.
#[cfg(feature = "page")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Address and port.
    pub listen: SocketAddr,
    /// Names and addresses, with ports where they are not 80, by which browsers call it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The file with this terminal's own password.
    pub password_file: PathBuf,
    /// Where an uploaded package is put; `upload.zip` in the state directory.
    pub upload: Option<PathBuf>,
    /// Its most MiB.
    #[serde(default = "upload_mib")]
    pub upload_mib: u32,
}

fn tell_logs() -> bool {
    true
}

#[cfg(feature = "page")]
fn upload_mib() -> u32 {
    256
}

/// A bus on which programs speak for the owner.
#[cfg(feature = "dbus")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dbus {
    /// `system`, `session`, or an address of the D-Bus specification.
    #[serde(default = "system")]
    pub bus: String,
}

#[cfg(feature = "dbus")]
fn system() -> String {
    "system".into()
}

/// Cards and sticks that packages may come on.
#[cfg(feature = "cards")]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Where they are mounted. `update.zip` in the root of one is an order.
    pub mounts: Vec<PathBuf>,
}

/// One name, or a list of at least one.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Tree")]
pub enum OneOrMore {
    /// One.
    One(Name),
    /// Some.
    More(Vec<Name>),
}

/// The operator's server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its address: `https://host[:port]`.
    pub url: String,
    /// The operator's certificates, PEM. No others are trusted.
    pub ca: PathBuf,
    /// The one-time enrolment token, until the terminal is enrolled.
    pub token_file: Option<PathBuf>,
    /// Whether it is told the logs of attempts where it asks for them.
    #[serde(default = "tell_logs")]
    pub tell_logs: bool,
    /// Seconds between two questions, unless the server says otherwise.
    #[serde(default = "poll_seconds")]
    pub poll_seconds: u32,
}

/// How packages are fetched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Bytes per second at most; 0 for as fast as it goes.
    pub bandwidth: u32,
    /// Seconds to be connected.
    pub connect_seconds: u32,
    /// Seconds between two pieces that arrive.
    pub read_seconds: u32,
    /// Bytes per second that a server must keep.
    pub least_rate: u32,
    /// Seconds of waiting over which the least rate is measured.
    pub least_rate_seconds: u32,
    /// KiB that may be under way without having been taken, 16 to 256.
    pub window_kib: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            bandwidth: 0,
            connect_seconds: 15,
            read_seconds: 30,
            least_rate: 1024,
            least_rate_seconds: 60,
            window_kib: 128,
        }
    }
}

/// How images are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// Whether every byte is read back from the medium before it is trusted.
    pub read_back: bool,
    /// Whether a partition is told that all in it is given up (`BLKDISCARD`) before it is
    /// written.
    pub trim: bool,
    /// KiB of payload that a cut may cost besides what is under way: so often, what was
    /// written is made durable and recorded.
    pub checkpoint_kib: u32,
}

impl Default for Install {
    fn default() -> Self {
        Self { read_back: true, trim: false, checkpoint_kib: 832 }
    }
}

/// What was installed of a component in the factory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its version.
    pub version: Version,
    /// SHA-256 of its image.
    pub sha256: Digest,
    /// In which slot, for a component with two; both when nothing is said.
    pub slot: Option<Slot>,
}

fn memory_class() -> u16 {
    8
}

fn poll_seconds() -> u32 {
    900
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`; `refit-agent config example` prints one", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// It is no configuration.
    #[error("cannot use the configuration `{}`", .0.display())]
    Form(PathBuf, #[source] FormError),
    /// A rule is broken that its form does not express.
    #[error("cannot use the configuration `{}`: {}", .0.display(), .1)]
    Rule(PathBuf, String),
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It is not there, not of this form, or breaks a rule.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |e| ConfigError::Read(path.into(), e);
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let text = std::io::read_to_string(std::io::Read::take(file, LIMIT)).map_err(unreadable)?;
        let form = |e| ConfigError::Form(path.into(), e);
        let tree = form::tree(&text).map_err(form)?;
        if let Some(lacking) = lacking::first(&tree) {
            return Err(ConfigError::Rule(path.into(), lacking));
        }
        let config: Self = form::meant(tree, &text).map_err(form)?;
        match config.fault() {
            Some(fault) => Err(ConfigError::Rule(path.into(), fault)),
            None => Ok(config),
        }
    }

    /// The first rule that is broken.
    fn fault(&self) -> Option<String> {
        if self.components.is_empty() {
            return Some("`components` is empty: there is nothing to update".into());
        }
        if self.hardware.names().is_empty() {
            return Some("`hardware` names none".into());
        }
        if !(16..=256).contains(&self.network.window_kib) {
            return Some("`network.window_kib` is not from 16 to 256".into());
        }
        if self.watchdog.as_ref().is_some_and(|w| !(2..=86_400).contains(&w.timeout_seconds)) {
            return Some("`watchdog.timeout_seconds` is not from 2 to a day".into());
        }
        let unknown = self.installed.keys().find(|name| !self.components.contains_key(*name));
        if let Some(name) = unknown {
            return Some(format!("`installed.{name}` is no component of this terminal"));
        }
        if let Some(server) = &self.server
            && !(server.url.starts_with("https://") && server.url.len() > 8)
        {
            return Some("`server.url` does not start with https://".into());
        }
        #[cfg(feature = "plan")]
        if let Some(fault) = self.plan.as_ref().and_then(Plan::fault) {
            return Some(fault);
        }
        if let Err(fault) = self.policy.rules() {
            return Some(fault);
        }
        if self.components.values().filter(|component| component.is_agent()).count() > 1 {
            return Some("more than one component is the agent".into());
        }
        #[cfg(feature = "upkeep")]
        if let Some(fault) = self.maker_fault() {
            return Some(fault);
        }
        if let Some(fault) = self.health.fault() {
            return Some(fault);
        }
        let component = |(name, component): (&Name, &Component)| component.fault(name, self.layout);
        if let Some(name) = self.raw_component().filter(|_| !self.install.read_back) {
            return Some(layout::unread(name));
        }
        let boot = self.boot.fault().or_else(|| self.layout.fault(&self.boot));
        let boot = boot.or_else(|| self.staging.fault(self.layout, &self.stage()));
        boot.or_else(|| self.components.iter().find_map(component))
    }

    /// The bootloader.
    pub fn boot_control(&self) -> Box<dyn BootControl> {
        self.boot.control(self.running.as_ref(), &self.state_dir)
    }

    /// What the terminal is.
    pub fn identity(&self) -> Identity {
        Identity {
            device: self.device.clone(),
            product: self.product.clone(),
            hardware: self.hardware.names(),
            variant: self.variant.clone(),
            region: self.region.clone(),
            memory_class_mib: self.memory_class_mib,
        }
    }

    /// How updates are done.
    pub fn options(&self) -> Options {
        let read_back = if self.install.read_back { ReadBack::Full } else { ReadBack::Off };
        let poll = self.server.as_ref().map_or_else(poll_seconds, |server| server.poll_seconds);
        let checkpoint = u64::from(self.install.checkpoint_kib) << 10;
        let (poll, rules) = (Seconds(poll), self.rules());
        #[cfg(feature = "upkeep")]
        let protected = self.protected();
        #[cfg(not(feature = "upkeep"))]
        let protected = std::collections::BTreeSet::new();
        let (layout, staging) = (self.layout.into(), self.staging.mode.into());
        Options { read_back, checkpoint, poll, layout, staging, rules, protected }
    }

    /// When the terminal may work on an update. A configuration that was loaded has
    /// rules that are sound.
    pub fn rules(&self) -> Rules {
        self.policy.rules().unwrap_or_default()
    }

    /// What was installed in the factory.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        for (name, installed) in &self.installed {
            let state =
                ComponentState { version: installed.version.clone(), image: installed.sha256 };
            match (self.components.get(name), installed.slot) {
                (Some(Component::Slot { .. }), Some(slot)) => {
                    inventory.put_slot(slot, name, state);
                }
                (Some(Component::Slot { .. }), None) if self.layout == LayoutWord::Recovery => {
                    inventory.put_slot(SYSTEM, name, state);
                }
                (Some(Component::Slot { .. }), None) => {
                    for slot in Slot::BOTH {
                        inventory.put_slot(slot, name, state.clone());
                    }
                }
                _ => inventory.put_beside(name, state),
            }
        }
        inventory
    }

    /// The file in which a package is kept before the only system is given up for it.
    pub fn stage(&self) -> PathBuf {
        self.staging.path.clone().unwrap_or_else(|| self.state_dir.join("staged.zip"))
    }

    /// The files with the authorities of everybody whom the agent talks to.
    pub fn authorities(&self) -> Vec<&Path> {
        let server = self.server.iter().map(|server| server.ca.as_path());
        #[cfg(feature = "plan")]
        let server = server.chain(self.plan.iter().map(|plan| plan.ca.as_path()));
        server.collect()
    }

    /// Where what need not survive is kept.
    pub fn runtime_dir(&self) -> &Path {
        self.runtime_dir.as_deref().unwrap_or(&self.state_dir)
    }
}

impl TryFrom<Tree> for OneOrMore {
    type Error = TreeError;

    fn try_from(tree: Tree) -> Result<Self, TreeError> {
        match &tree.node {
            Node::List(_) => tree.read().map(Self::More),
            _ => tree.read().map(Self::One),
        }
    }
}

impl OneOrMore {
    fn names(&self) -> Vec<Name> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::More(names) => names.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
