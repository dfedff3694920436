//! A role of TUF: whose signatures count, and how many are needed.

use crate::TrustError;
use crate::key::PublicKey;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The most keys of a role, and of a root: more than any maker's ceremony has.
pub(crate) const KEYS_LIMIT: usize = 64;

/// The keys of one role, and how many different ones must sign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    keyids: Vec<String>,
    threshold: u32,
}

impl Role {
    /// A role of which any one key signs.
    pub(crate) fn any_of<'k>(ids: impl Iterator<Item = &'k String>) -> Self {
        Self { keyids: ids.cloned().collect(), threshold: 1 }
    }

    /// The ids of the role's keys.
    pub fn key_ids(&self) -> &[String] {
        &self.keyids
    }

    /// How many different keys must sign; at least 1.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The key behind `id`, if it is of this role.
    pub(crate) fn key<'a>(
        &self,
        keys: &'a BTreeMap<String, PublicKey>,
        id: &str,
    ) -> Option<&'a PublicKey> {
        if self.keyids.iter().any(|own| own == id) { keys.get(id) } else { None }
    }

    /// Checks that a document of `kind` can have this role, and these keys for it.
    pub(crate) fn check(
        &self,
        kind: &'static str,
        keys: &BTreeMap<String, PublicKey>,
    ) -> Result<(), TrustError> {
        let refuse = |rule| Err(TrustError::BrokenRule { kind, rule });
        if self.threshold == 0 {
            return refuse("a role has threshold 0");
        }
        if self.keyids.len() > KEYS_LIMIT {
            return refuse("a role has more than 64 keys");
        }
        let different: BTreeSet<_> = self.keyids.iter().filter_map(|id| keys.get(id)).collect();
        if u32::try_from(different.len()).unwrap_or(u32::MAX) < self.threshold {
            return refuse("a role has fewer different keys than its threshold asks for");
        }
        Ok(())
    }
}
