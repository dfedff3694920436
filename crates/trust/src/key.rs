//! Public keys, and signatures by them.

use crate::canonical;
use alloc::string::{String, ToString};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::Digest;

/// An Ed25519 public key (RFC 8032), 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// A key as TUF metadata states it. Types and schemes that this crate does not
/// know are kept out of the way: such a key just never verifies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatedKey {
    pub(crate) keytype: String,
    pub(crate) scheme: String,
    pub(crate) keyval: StatedValue,
}

/// The public half as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatedValue {
    pub(crate) public: String,
}

impl PublicKey {
    /// The key with these bytes. Whether they are a point is seen when verifying.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that these 64 lower-case hex digits spell.
    pub fn from_hex(text: &str) -> Option<Self> {
        // A digest has the same text form.
        text.parse().ok().map(|Digest(bytes)| Self(bytes))
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id under which this crate's metadata lists the key: the SHA-256 of its
    /// canonical form, as securesystemslib makes it. Readers treat ids as opaque.
    pub fn id(&self) -> String {
        let stated = json!({
            "keytype": "ed25519",
            "keyval": {"public": Digest(self.0)},
            "scheme": "ed25519",
        });
        Digest::of(&canonical(&stated).unwrap_or_default()).to_string()
    }

    /// Whether `signature` is this key's under `message`.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// The key that metadata states, unless it is of a kind not known here.
    pub(crate) fn from_stated(stated: &StatedKey) -> Option<Self> {
        let known = stated.keytype == "ed25519" && stated.scheme == "ed25519";
        // A digest has the same text form: 64 lower-case hex digits.
        let Digest(bytes) = stated.keyval.public.parse().ok()?;
        known.then_some(Self(bytes))
    }
}
