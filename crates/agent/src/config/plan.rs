//! The table `plan`: rollouts that are read from files.

use serde::Deserialize;
use std::path::PathBuf;
use trust::PublicKey;
use types::Name;

/// The most keys: the one in use, and those it may be replaced by.
const KEYS_MAX: usize = 4;

/// Where plans and packages lie, and who signs plans.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Their address: `https://host[:port][/path]`.
    pub url: String,
    /// The certificates of who serves them, PEM. No others are trusted.
    pub ca: PathBuf,
    /// The operator's public keys, 64 hex digits each. One of them signs.
    pub keys: Vec<String>,
    /// The channel that this terminal follows.
    pub channel: Option<Name>,
}

impl Plan {
    /// The operator's keys.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().filter_map(|key| PublicKey::from_hex(key)).collect()
    }

    /// The first rule that is broken.
    pub(super) fn fault(&self) -> Option<String> {
        if !(self.url.starts_with("https://") && (9..=160).contains(&self.url.len())) {
            return Some("`plan.url` is no https:// address of at most 160 bytes".into());
        }
        let count = self.public_keys().len();
        if count != self.keys.len() || !(1..=KEYS_MAX).contains(&count) {
            return Some("`plan.keys` are not 1 to 4 keys of 64 lower-case hex digits".into());
        }
        None
    }
}
