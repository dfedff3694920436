//! The words in which an operator says for whom a release is, and how urgently.

use serde::{Deserialize, Serialize};

/// How urgently a terminal should install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// When its own policy and its owner agree.
    #[default]
    Soft,
    /// Without asking its owner.
    Forced,
    /// Up to the unused slot, and no further.
    DownloadOnly,
}

/// Who takes part of those that join after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Latecomers {
    /// Everyone: the audience is a rule.
    #[default]
    Included,
    /// Nobody: the audience is frozen at the start.
    LeftOut,
}

/// What becomes of a terminal that is used outside of the region it was sold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abroad {
    /// It counts to the region where it is used.
    #[default]
    Used,
    /// It counts to the region that it was sold for.
    Home,
    /// It counts to the region where it is used, and its owner is asked first.
    Ask,
    /// It gets nothing while it is abroad.
    Nothing,
}

/// What becomes of a terminal in a region that a release is not for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Elsewhere {
    /// It is kept from the release.
    #[default]
    Refuse,
    /// It may install it when its owner agrees to that.
    Ask,
    /// It may install it.
    Allow,
}

impl Elsewhere {
    /// Whether nothing needs to be said.
    pub fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}
