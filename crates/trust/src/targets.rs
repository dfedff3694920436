//! What the maker signed: TUF targets metadata, one per package.

use crate::envelope::Envelope;
use crate::{Root, TrustError, Verified};
use alloc::collections::BTreeMap;
use alloc::string::String;
use ring::digest::{Algorithm, SHA256, SHA512};
use serde::Deserialize;
use serde_json::Value;
use types::{Document, Sealed, Timestamp};

/// What this document is called in messages and in its own `_type`.
const KIND: &str = "targets";

/// Which documents the maker signed, by name (TUF 1.0.31, 4.5).
#[derive(Debug, Clone, Deserialize)]
pub struct Targets {
    version: u64,
    expires: Timestamp,
    targets: BTreeMap<String, Listed>,
}

/// One signed document.
#[derive(Debug, Clone, Deserialize)]
struct Listed {
    length: u64,
    hashes: BTreeMap<String, String>,
    #[serde(default)]
    custom: Option<Value>,
}

impl Targets {
    /// The most bytes of a `targets.json`.
    pub const LIMIT: u32 = 64 << 10;

    /// The entry of a package that holds it.
    pub const ENTRY: &'static str = "targets.json";

    /// Counts up with each signing of the same package.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// After this time it no longer vouches for anything.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// What the maker says about `name` for people and servers; a terminal
    /// decides by the document itself.
    pub fn custom(&self, name: &str) -> Option<&Value> {
        self.targets.get(name)?.custom.as_ref()
    }

    fn check(&self, name: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let not_covered = || TrustError::NotCovered { name: name.into() };
        let differs = |what| TrustError::NotTheSigned { name: name.into(), what };
        let listed = self.targets.get(name).ok_or_else(not_covered)?;
        if u64::try_from(bytes.len()).ok() != Some(listed.length) {
            return Err(differs("its length"));
        }
        let mut known = 0;
        for (algorithm, hash) in &listed.hashes {
            let Some(algorithm) = known_algorithm(algorithm) else {
                continue;
            };
            known += 1;
            if !is_hex_of(hash, ring::digest::digest(algorithm, bytes).as_ref()) {
                return Err(differs("its digest"));
            }
        }
        if known == 0 {
            return Err(TrustError::BrokenRule { kind: KIND, rule: "it has no known digest" });
        }
        Ok(())
    }
}

fn known_algorithm(name: &str) -> Option<&'static Algorithm> {
    match name {
        "sha256" => Some(&SHA256),
        "sha512" => Some(&SHA512),
        _ => None,
    }
}

/// Whether `text` is `bytes` in lower-case hex digits.
fn is_hex_of(text: &str, bytes: &[u8]) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied();
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    digits.eq(text.bytes().map(Some))
}

/// Checks that the root's targets role signed `sealed`, and that neither has
/// expired at `now`, the one time that all checks of an update use.
///
/// # Errors
/// See [`TrustError`]; nothing of the document is to be believed then.
pub fn verify_targets(
    root: &Root,
    sealed: &Sealed,
    now: Timestamp,
) -> Result<Verified<Targets>, TrustError> {
    let envelope = Envelope::read(KIND, Targets::LIMIT, sealed.bytes())?;
    envelope.verify(KIND, root.keys(), root.targets_role())?;
    let targets: Targets = envelope.signed(KIND)?;
    not_expired("root", root.expires(), now)?;
    not_expired(KIND, targets.expires, now)?;
    Ok(Verified::new(targets, sealed.bytes()))
}

/// Refuses what expires before `now` is over.
pub(crate) fn not_expired(
    kind: &'static str,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), TrustError> {
    if now >= expires { Err(TrustError::Expired { kind, expires }) } else { Ok(()) }
}

impl Verified<Targets> {
    /// Reads the document `name`, if `bytes` are exactly what was signed.
    ///
    /// # Errors
    /// Too long for its kind, not covered, another length or digest, or unreadable.
    pub fn vouch<D: Document>(&self, name: &str, bytes: &[u8]) -> Result<Verified<D>, TrustError> {
        crate::verified::within_limit::<D>(bytes)?;
        self.check(name, bytes)?;
        crate::verified::decode(bytes)
    }
}
