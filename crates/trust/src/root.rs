//! The root of trust that is pinned on a device: which keys may sign what.

use crate::TrustError;
use crate::envelope::Envelope;
use crate::key::{PublicKey, StatedKey};
use crate::role::{KEYS_LIMIT, Role};
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::Deserialize;
use types::{Sealed, Timestamp};

/// What this document is called in messages and in its own `_type`.
const KIND: &str = "root";

/// Who may sign for which role. Made only from a document that its own root
/// role signed.
#[derive(Debug, Clone)]
pub struct Root {
    version: u64,
    expires: Timestamp,
    keys: BTreeMap<String, PublicKey>,
    root: Role,
    targets: Role,
}

/// The signed part of `root.json` (TUF 1.0.31, 4.3). Unknown fields are allowed
/// there, so that later versions can add some.
#[derive(Debug, Deserialize)]
struct Signed {
    version: u64,
    expires: Timestamp,
    keys: BTreeMap<String, StatedKey>,
    roles: Roles,
}

/// The four roles that a root must name; this crate uses two of them so far.
#[derive(Debug, Deserialize)]
struct Roles {
    root: Role,
    targets: Role,
    snapshot: Role,
    timestamp: Role,
}

impl Root {
    /// The most bytes of a `root.json`.
    pub const LIMIT: u32 = 64 << 10;

    /// Opens a pinned root: pinned by being the file it is, so that its own
    /// signatures guard only against damage. Its expiry is checked when it is used.
    ///
    /// # Errors
    /// Any fault of form, a threshold that is 0 or higher than its role's
    /// different keys, or too few signatures of its own root role.
    pub fn open(sealed: &Sealed) -> Result<Self, TrustError> {
        let envelope = Envelope::read(KIND, Self::LIMIT, sealed.bytes())?;
        let signed: Signed = envelope.signed(KIND)?;
        if signed.keys.len() > KEYS_LIMIT {
            return Err(TrustError::BrokenRule { kind: KIND, rule: "it has more than 64 keys" });
        }
        let usable = |(id, key)| Some((id, PublicKey::from_stated(&key)?));
        let keys: BTreeMap<_, _> = signed.keys.into_iter().filter_map(usable).collect();
        let Roles { root, targets, snapshot, timestamp } = signed.roles;
        for role in [&root, &targets, &snapshot, &timestamp] {
            role.check(KIND, &keys)?;
        }
        envelope.verify(KIND, &keys, &root)?;
        Ok(Self { version: signed.version, expires: signed.expires, keys, root, targets })
    }

    /// Opens the root that follows this one: its version is the next, and both this
    /// root's keys and its own signed it (TUF 1.0.31, 5.3). Whether this one has expired
    /// does not matter: its holders vouched for the next before they lost their keys'
    /// trust, and the newest root's own expiry is checked when it is used.
    ///
    /// # Errors
    /// As [`open`](Self::open), or too few of this root's keys signed it, or it is
    /// another version.
    pub fn successor(&self, sealed: &Sealed) -> Result<Self, TrustError> {
        let next = Self::open(sealed)?;
        if self.version.checked_add(1) != Some(next.version) {
            return Err(TrustError::BrokenRule { kind: KIND, rule: "it is not the next version" });
        }
        Envelope::read(KIND, Self::LIMIT, sealed.bytes())?.verify(KIND, &self.keys, &self.root)?;
        Ok(next)
    }

    /// Counts up with each change of keys.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// After this time it no longer vouches for anything.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The role that signs roots.
    pub fn root_role(&self) -> &Role {
        &self.root
    }

    /// The role that signs releases.
    pub fn targets_role(&self) -> &Role {
        &self.targets
    }

    /// The key that an id of a signature speaks of, if it is a known one.
    pub fn key(&self, id: &str) -> Option<&PublicKey> {
        self.keys.get(id)
    }

    /// Its keys by their ids.
    pub(crate) fn keys(&self) -> &BTreeMap<String, PublicKey> {
        &self.keys
    }
}
