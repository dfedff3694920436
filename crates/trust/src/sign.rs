//! The maker's half: keys, signatures, and the metadata they go under.
//!
//! Randomness is an argument: whoever makes a key brings its seed.

use crate::envelope::{Envelope, Signature};
use crate::key::{StatedKey, StatedValue};
use crate::{PublicKey, TrustError, canonical};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use types::{Digest, Sealed, Statement, Timestamp, TreeError};

/// The TUF version that this crate's metadata follows.
const SPEC_VERSION: &str = "1.0.31";

/// The most bytes of metadata that is to be signed.
const SIGN_LIMIT: u32 = 64 << 10;

/// A key that signs: an Ed25519 seed (RFC 8032) and what belongs to it.
pub struct SigningKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// Why bytes are no key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No JSON with the fields of a key file.
    #[error("it is no key file as `refit keygen` writes it")]
    Form(#[source] serde_json::Error),
    /// Another type of key.
    #[error("it holds no Ed25519 key")]
    Type,
    /// The private half is no seed, or the public half is another key's.
    #[error("its private half does not belong to its public half")]
    Halves,
}

/// The key file: a TUF key with its private half.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    keytype: String,
    scheme: String,
    keyval: KeyHalves,
}

#[derive(Serialize, Deserialize)]
struct KeyHalves {
    public: String,
    private: String,
}

impl SigningKey {
    /// The key that `seed` makes.
    ///
    /// # Errors
    /// `KeyError::Halves` if the seed cannot be used.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Halves)?;
        Ok(Self { seed, pair })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// The bytes are no key file, or its halves do not belong together.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let file: KeyFile = serde_json::from_slice(bytes).map_err(KeyError::Form)?;
        if file.keytype != "ed25519" || file.scheme != "ed25519" {
            return Err(KeyError::Type);
        }
        let Digest(seed) = file.keyval.private.parse().map_err(|_| KeyError::Halves)?;
        let key = Self::from_seed(seed)?;
        if key.public_hex() != file.keyval.public {
            return Err(KeyError::Halves);
        }
        Ok(key)
    }

    /// The key file's text. Whoever reads it can sign.
    pub fn to_file(&self) -> String {
        let halves = json!({"private": Digest(self.seed), "public": self.public_hex()});
        let file = json!({"keytype": "ed25519", "keyval": halves, "scheme": "ed25519"});
        alloc::format!("{file:#}\n")
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey::new(bytes)
    }

    /// The id under which this crate's metadata lists the key.
    pub fn id(&self) -> String {
        self.public().id()
    }

    fn public_hex(&self) -> String {
        self.public().to_string()
    }

    fn stated(&self) -> StatedKey {
        StatedKey {
            keytype: "ed25519".into(),
            scheme: "ed25519".into(),
            keyval: StatedValue { public: self.public_hex() },
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Digest(*self.bytes()))
    }
}

/// A root to be made: the same keys for every role.
#[derive(Debug)]
pub struct RootDraft<'a> {
    /// Counts up with each change of keys; from 1.
    pub version: u64,
    /// After this time it no longer vouches for anything.
    pub expires: Timestamp,
    /// Who may sign.
    pub keys: &'a [SigningKey],
    /// How many different ones must.
    pub threshold: u32,
}

impl RootDraft<'_> {
    /// The root, signed by all its keys.
    ///
    /// # Errors
    /// See [`sign`].
    pub fn sign(&self) -> Result<Sealed, TrustError> {
        let ids: BTreeSet<String> = self.keys.iter().map(SigningKey::id).collect();
        let keys: BTreeMap<_, _> = self.keys.iter().map(|k| (k.id(), k.stated())).collect();
        let role = json!({"keyids": ids, "threshold": self.threshold});
        let signed = json!({
            "_type": "root",
            "consistent_snapshot": false,
            "expires": self.expires,
            "keys": keys,
            "roles": {"root": role, "snapshot": role, "targets": role, "timestamp": role},
            "spec_version": SPEC_VERSION,
            "version": self.version,
        });
        self.keys.iter().try_fold(envelope(signed), |sealed, key| sign(&sealed, key))
    }
}

/// One document to be vouched for.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its name, as `manifest.json`.
    pub name: &'a str,
    /// Its exact bytes.
    pub bytes: &'a [u8],
    /// What to say about it to people and servers; an object.
    pub custom: Value,
}

/// Targets metadata to be made.
#[derive(Debug)]
pub struct TargetsDraft<'a> {
    /// Counts up with each signing; from 1.
    pub version: u64,
    /// After this time it no longer vouches for anything.
    pub expires: Timestamp,
    /// What is signed.
    pub targets: &'a [Target<'a>],
}

impl TargetsDraft<'_> {
    /// The metadata without signatures; [`sign`] adds them.
    pub fn unsigned(&self) -> Sealed {
        let listed = |target: &Target<'_>| {
            let hashes = json!({"sha256": Digest::of(target.bytes)});
            let length = target.bytes.len();
            let entry = json!({"custom": target.custom, "hashes": hashes, "length": length});
            (target.name.to_string(), entry)
        };
        let targets: BTreeMap<_, _> = self.targets.iter().map(listed).collect();
        envelope(json!({
            "_type": "targets",
            "expires": self.expires,
            "spec_version": SPEC_VERSION,
            "targets": targets,
            "version": self.version,
        }))
    }
}

/// Adds `key`'s signature, in place of an older one with the same key id.
///
/// # Errors
/// The bytes are no metadata, or hold a fraction.
pub fn sign(sealed: &Sealed, key: &SigningKey) -> Result<Sealed, TrustError> {
    let mut envelope = Envelope::read("metadata", SIGN_LIMIT, sealed.bytes())?;
    let message = canonical(&envelope.signed)?;
    let keyid = key.id();
    envelope.signatures.retain(|other| other.keyid != keyid);
    let sig = hex(key.pair.sign(&message).as_ref());
    envelope.signatures.push(Signature { keyid, sig });
    Ok(seal(&envelope))
}

/// A statement under `key`'s signature.
///
/// # Errors
/// It has no JSON form, holds a fraction, or is larger than its kind may be.
pub fn seal_statement<S: Statement>(statement: &S, key: &SigningKey) -> Result<Sealed, TrustError> {
    let kind = S::KIND;
    let wrap = |cause| TrustError::WrongFields { kind, cause: TreeError::custom(cause) };
    let mut signed: Map<String, Value> =
        serde_json::to_value(statement).and_then(serde_json::from_value).map_err(wrap)?;
    signed.insert("_type".into(), kind.into());
    signed.insert("spec_version".into(), SPEC_VERSION.into());
    let signed = Value::Object(signed);
    let sig = hex(key.pair.sign(&canonical(&signed)?).as_ref());
    let signatures = alloc::vec![Signature { keyid: key.id(), sig }];
    let sealed = seal(&Envelope { signatures, signed });
    match u32::try_from(sealed.bytes().len()) {
        Ok(len) if len <= S::LIMIT => Ok(sealed),
        _ => Err(TrustError::TooLong { kind, limit: S::LIMIT }),
    }
}

fn envelope(signed: Value) -> Sealed {
    seal(&Envelope { signatures: Vec::new(), signed })
}

fn seal(envelope: &Envelope) -> Sealed {
    let value = json!({"signatures": envelope.signatures, "signed": envelope.signed});
    Sealed(value.to_string().into_bytes().into_boxed_slice())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}
