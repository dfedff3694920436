//! The envelope of TUF metadata: what is signed, and signatures beside it.

use crate::key::PublicKey;
use crate::role::Role;
use crate::{TrustError, canonical, strict};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most signatures of one document: each costs a terminal a verification.
const SIGNATURES_LIMIT: usize = 64;

/// Metadata as it comes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) signatures: Vec<Signature>,
    pub(crate) signed: Value,
}

/// One signature. Its key id only says which key to try: it is opaque.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) keyid: String,
    pub(crate) sig: String,
}

/// The fields that every signed part has.
#[derive(Debug, Deserialize)]
struct Header {
    _type: String,
    spec_version: String,
    version: u64,
}

impl Envelope {
    /// Reads the exact bytes of metadata of `kind`.
    pub(crate) fn read(kind: &'static str, limit: u32, bytes: &[u8]) -> Result<Self, TrustError> {
        let value = strict::read(kind, limit, bytes)?;
        let envelope: Self = fields(kind, value)?;
        if envelope.signatures.len() > SIGNATURES_LIMIT {
            return Err(TrustError::BrokenRule { kind, rule: "it has more than 64 signatures" });
        }
        Ok(envelope)
    }

    /// What is signed, as `T`; its type must be `kind` and its TUF version 1.x.
    pub(crate) fn signed<T: DeserializeOwned>(&self, kind: &'static str) -> Result<T, TrustError> {
        let header: Header = fields(kind, self.signed.clone())?;
        let refuse = |rule| Err(TrustError::BrokenRule { kind, rule });
        if header._type != kind {
            return refuse("its type is another");
        }
        if !header.spec_version.starts_with("1.") {
            return refuse("it follows another version of the TUF specification than 1.x");
        }
        if header.version == 0 {
            return refuse("its version is 0");
        }
        fields(kind, self.signed.clone())
    }

    /// Checks that at least the threshold of the role's different keys signed.
    ///
    /// A good signature counts once per public key, whatever key ids it hides
    /// behind; signatures of keys outside the role are passed over.
    pub(crate) fn verify(
        &self,
        kind: &'static str,
        keys: &BTreeMap<String, PublicKey>,
        role: &Role,
    ) -> Result<(), TrustError> {
        let message = canonical(&self.signed)?;
        let mut good = BTreeSet::new();
        let mut wrong = false;
        for signature in &self.signatures {
            let Some(key) = role.key(keys, &signature.keyid) else {
                continue;
            };
            if unhex(&signature.sig).is_some_and(|bytes| key.signed(&message, &bytes)) {
                good.insert(*key);
            } else {
                wrong = true;
            }
        }
        let got = u32::try_from(good.len()).unwrap_or(u32::MAX);
        let want = role.threshold();
        match got {
            _ if got >= want => Ok(()),
            _ if wrong => Err(TrustError::WrongSignature { kind }),
            0 => Err(TrustError::UntrustedKey { kind }),
            _ => Err(TrustError::TooFewSignatures { kind, got, want }),
        }
    }
}

/// Reads `T` out of JSON that was read strictly before.
pub(crate) fn fields<T: DeserializeOwned>(
    kind: &'static str,
    value: Value,
) -> Result<T, TrustError> {
    strict::tree(value).read().map_err(|cause| TrustError::WrongFields { kind, cause })
}

/// The 64 bytes of an Ed25519 signature from its 128 lower-case hex digits.
fn unhex(text: &str) -> Option<[u8; 64]> {
    let (high, low) = text.split_at_checked(64)?;
    let halves = [high.parse::<types::Digest>().ok()?.0, low.parse::<types::Digest>().ok()?.0];
    let mut out = [0; 64];
    out.iter_mut().zip(halves.iter().flatten()).for_each(|(to, from)| *to = *from);
    Some(out)
}
