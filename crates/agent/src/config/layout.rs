//! `layout`: what the two slots are for; `staging`: what comes before the only system is
//! given up.

use super::{Boot, Component, Config};
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
            #[cfg(feature = "bootloaders")]
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
