//! Secrets: made from the system's random numbers, kept as digests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use types::{Digest, Name};

/// The system could not give random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandom;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).map_err(|_| NoRandom)?;
    Ok(out)
}

/// A new secret of 256 bits: `prefix`, then 43 characters of base64url. The prefix
/// tells a person, and a scanner for leaked secrets, what it is.
pub(crate) fn token(prefix: &str) -> Result<String, NoRandom> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes::<32>()?)))
}

/// A new id that can stand in a path: `prefix`, then 16 hex digits.
pub(crate) fn id(prefix: &str) -> Result<Name, NoRandom> {
    let number = u64::from_be_bytes(bytes()?);
    format!("{prefix}{number:016x}").parse().map_err(|_| NoRandom)
}

/// What the server keeps of a secret. A secret of 256 random bits needs no salt or
/// slow hash, and comparing digests tells nothing about it by its timing.
pub(crate) fn digest(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}
