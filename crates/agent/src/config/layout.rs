//! `layout`: what the two slots are for.

use super::Boot;
use crate::Layout;
use serde::Deserialize;

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
