//! `layout`: what the two slots are for; `staging`: what comes before the only system is
//! given up; `switch`: what chooses a bootloader's copy; and what components keep to.

use super::{Boot, Component, Config};
use crate::platform::copies::Switch;
use crate::{Layout, Staging};
use engine::LOCATOR_MAX;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use types::Name;

/// What the two slots are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutWord {
    /// Each holds a release.
    #[default]
    Banks,
    /// A holds the system, B the recovery, which no update writes.
    Recovery,
}

impl From<LayoutWord> for Layout {
    fn from(word: LayoutWord) -> Self {
        match word {
            LayoutWord::Banks => Self::Banks,
            LayoutWord::Recovery => Self::Recovery,
        }
    }
}

impl LayoutWord {
    /// Why `boot` does not do for it, if it does not: with a recovery, of each slot by
    /// itself it has to be remembered whether it may be started.
    pub(super) fn fault(self, boot: &Boot) -> Option<String> {
        let cannot = match boot {
            Boot::Bootcount { .. } => "bootcount",
            Boot::Mender { .. } => "mender",
            Boot::RaspberryPi { .. } => "raspberry-pi",
            _ => return None,
        };
        (self == Self::Recovery).then(|| {
            format!(
                "`boot.control = \"{cannot}\"` cannot keep a half-written system from being \
                 started, so it does not do for a layout with a recovery"
            )
        })
    }
}

/// Where packages are kept before the only system is given up for them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    /// Whether they are.
    #[serde(rename = "use")]
    pub mode: StagingWord,
    /// The file, on a partition that system and recovery both see; `staged.zip` in the
    /// state directory.
    pub path: Option<PathBuf>,
}

/// Whether packages are kept before the only system is given up for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StagingWord {
    /// What comes over the line, where there is room.
    #[default]
    Auto,
    /// All of them; without room none is taken.
    Always,
    /// None: the recovery fetches while it writes.
    Never,
}

impl From<StagingWord> for Staging {
    fn from(word: StagingWord) -> Self {
        match word {
            StagingWord::Auto => Self::Auto,
            StagingWord::Always => Self::Always,
            StagingWord::Never => Self::Never,
        }
    }
}

impl Stage {
    /// Why a package cannot be kept at `path`, if it cannot.
    pub(super) fn fault(&self, layout: LayoutWord, path: &Path) -> Option<String> {
        let is_used = layout == LayoutWord::Recovery && self.mode != StagingWord::Never;
        let is_found = path.is_absolute() && path.as_os_str().len() <= LOCATOR_MAX;
        let why = || format!("`staging.path` is not absolute, or longer than {LOCATOR_MAX} bytes");
        (is_used && !is_found).then(why)
    }
}

/// What chooses between a bootloader's copies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum CopySwitch {
    /// A file that holds `A` or `B`.
    File(PathBuf),
    /// An eMMC, by its own register: A is its first boot partition, B its second one.
    Emmc(PathBuf),
    /// A program with the verbs `get-primary` and `set-primary A|B`.
    Command(Vec<String>),
}

impl From<&CopySwitch> for Switch {
    fn from(switch: &CopySwitch) -> Self {
        match switch {
            CopySwitch::File(path) => Self::File(path.clone()),
            CopySwitch::Emmc(device) => Self::Emmc(device.clone()),
            CopySwitch::Command(words) => Self::Program(words.clone()),
        }
    }
}

/// What is said of component `name` in raw flash that would not be read back.
pub(super) fn unread(name: &Name) -> String {
    format!(
        "`install.read_back` is off, and `components.{name}` is in raw flash: only reading it \
         back shows which of its blocks did not keep what was written"
    )
}

impl Config {
    /// The first component with a place in raw flash. A volume of UBI verifies itself.
    pub(super) fn raw_component(&self) -> Option<&Name> {
        let is_raw = |place: &&Path| {
            let text = place.to_string_lossy();
            text.starts_with("mtd:") || text.starts_with("/dev/mtd")
        };
        let has_raw = |c: &Component| c.media().iter().any(is_raw);
        self.components.iter().find(|(_, component)| has_raw(component)).map(|(name, _)| name)
    }
}

impl Component {
    /// Where its images lie.
    pub fn media(&self) -> Vec<&Path> {
        match self {
            Self::Slot { a, b, .. } => [a.as_path()].into_iter().chain(b.as_deref()).collect(),
            Self::Copies { a, b, .. } => vec![a.as_path(), b.as_path()],
            Self::Live { directory, .. } => vec![directory.as_path()],
            Self::Direct { place, .. } => vec![place.as_path()],
        }
    }

    /// The first rule that it breaks.
    pub(super) fn fault(&self, name: &Name, layout: LayoutWord) -> Option<String> {
        match self {
            Self::Slot { b, .. } if b.is_none() != (layout == LayoutWord::Recovery) => {
                Some(format!(
                    "`components.{name}`: a slot has `a` and `b`, and `a` alone where `layout` is \
                 `recovery`"
                ))
            }
            Self::Slot { a, b, .. } if Some(a) == b.as_ref() => {
                Some(format!("`components.{name}`: slot A and slot B are the same"))
            }
            Self::Copies { switch: CopySwitch::Command(words), .. } if words.is_empty() => {
                Some(format!("`components.{name}.switch` names no program"))
            }
            Self::Copies { a, b, .. } if a == b => {
                Some(format!("`components.{name}`: copy A and copy B are the same"))
            }
            Self::Live { size: 0, .. } | Self::Direct { size: 0, .. } => {
                Some(format!("`components.{name}`: `size` is 0"))
            }
            Self::Direct { place, staging, .. } if place == staging => {
                Some(format!("`components.{name}`: it cannot be staged in its own place"))
            }
            _ => None,
        }
    }
}
