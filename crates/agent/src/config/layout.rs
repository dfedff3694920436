//! `layout`: what the two slots are for; `switch`: what chooses a bootloader's copy.

use super::Boot;
use crate::Layout;
use crate::platform::copies::Switch;
use serde::Deserialize;
use std::path::PathBuf;

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

/// What chooses between a bootloader's copies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum CopySwitch {
    /// A file that holds `A` or `B`.
    File(PathBuf),
    /// A program with the verbs `get-primary` and `set-primary A|B`.
    Command(Vec<String>),
}

impl From<&CopySwitch> for Switch {
    fn from(switch: &CopySwitch) -> Self {
        match switch {
            CopySwitch::File(path) => Self::File(path.clone()),
            CopySwitch::Command(words) => Self::Program(words.clone()),
        }
    }
}
