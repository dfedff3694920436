//! `components`: where each is written to, and what they keep to.

use super::LayoutWord;
#[cfg(feature = "components")]
use super::Running;
#[cfg(feature = "components")]
use crate::platform::copies::Switch;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use types::Name;

/// Where a component is written to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename = "effect", rename_all = "kebab-case")]
pub enum Component {
    /// Two banks, or the system's one.
    Slot {
        /// Partition or file of slot A.
        a: PathBuf,
        /// Partition or file of slot B; none in a layout with a recovery.
        b: Option<PathBuf>,
        /// Bytes of a file that is not there yet.
        #[serde(default)]
        size: u64,
    },
    /// A directory that is switched without a boot.
    #[cfg(feature = "components")]
    Live {
        /// The directory.
        directory: PathBuf,
        /// Bytes of the largest image.
        size: u64,
        /// Run after each switch: program and arguments.
        #[serde(default)]
        reload: Vec<String>,
        /// Whether its images are programs, which are made executable.
        #[serde(default)]
        program: bool,
        /// Whether it is the agent's own program.
        #[serde(default)]
        agent: bool,
    },
    /// A bootloader in two copies, of which the hardware starts the other when one does
    /// not start.
    #[cfg(feature = "components")]
    Copies {
        /// Partition or file of copy A.
        a: PathBuf,
        /// Partition or file of copy B.
        b: PathBuf,
        /// Bytes of a file that is not there yet.
        #[serde(default)]
        size: u64,
        /// How it is known which copy started.
        running: Running,
        /// What chooses between them.
        switch: CopySwitch,
    },
    /// One place only.
    #[cfg(feature = "components")]
    Direct {
        /// Partition or file.
        place: PathBuf,
        /// The file that an image is staged in.
        staging: PathBuf,
        /// Bytes of the largest image.
        size: u64,
    },
}

/// What chooses between a bootloader's copies.
#[cfg(feature = "components")]
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

#[cfg(feature = "components")]
impl From<&CopySwitch> for Switch {
    fn from(switch: &CopySwitch) -> Self {
        match switch {
            CopySwitch::File(path) => Self::File(path.clone()),
            CopySwitch::Emmc(device) => Self::Emmc(device.clone()),
            CopySwitch::Command(words) => Self::Program(words.clone()),
        }
    }
}

impl Component {
    /// Where its images lie.
    pub fn media(&self) -> Vec<&Path> {
        match self {
            Self::Slot { a, b, .. } => [a.as_path()].into_iter().chain(b.as_deref()).collect(),
            #[cfg(feature = "components")]
            Self::Copies { a, b, .. } => vec![a.as_path(), b.as_path()],
            #[cfg(feature = "components")]
            Self::Live { directory, .. } => vec![directory.as_path()],
            #[cfg(feature = "components")]
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
            #[cfg(feature = "components")]
            Self::Copies { switch: CopySwitch::Command(words), .. } if words.is_empty() => {
                Some(format!("`components.{name}.switch` names no program"))
            }
            #[cfg(feature = "components")]
            Self::Copies { a, b, .. } if a == b => {
                Some(format!("`components.{name}`: copy A and copy B are the same"))
            }
            #[cfg(feature = "components")]
            Self::Live { size: 0, .. } | Self::Direct { size: 0, .. } => {
                Some(format!("`components.{name}`: `size` is 0"))
            }
            #[cfg(feature = "components")]
            Self::Direct { place, staging, .. } if place == staging => {
                Some(format!("`components.{name}`: it cannot be staged in its own place"))
            }
            _ => None,
        }
    }

    /// Everything that it is written to.
    #[cfg(feature = "upkeep")]
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        match self {
            Self::Slot { a, b, .. } => [a.clone()].into_iter().chain(b.clone()).collect(),
            #[cfg(feature = "components")]
            Self::Copies { a, b, .. } => vec![a.clone(), b.clone()],
            #[cfg(feature = "components")]
            Self::Live { directory, .. } => vec![directory.clone()],
            #[cfg(feature = "components")]
            Self::Direct { place, staging, .. } => vec![place.clone(), staging.clone()],
        }
    }

    /// Whether it is the agent's own program.
    pub(super) fn is_agent(&self) -> bool {
        match self {
            #[cfg(feature = "components")]
            Self::Live { agent, .. } => *agent,
            _ => false,
        }
    }
}
