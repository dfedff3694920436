//! A document that was verified, and the way back to it after a restart.

use crate::TrustError;
use core::ops::Deref;
use types::{Digest, Document};

/// A document whose signatures or recorded digest were checked. Only this crate
/// makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    document: T,
    digest: Digest,
}

impl<T> Verified<T> {
    pub(crate) fn new(document: T, exact: &[u8]) -> Self {
        Self { document, digest: Digest::of(exact) }
    }

    /// SHA-256 of the exact bytes: what [`recall`] wants after a restart.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.document
    }
}

/// Reads a document that this device verified earlier and recorded by digest.
///
/// # Errors
/// `NotTheRecorded` when the bytes are others; `Unreadable` when this version
/// of the agent cannot read them.
pub fn recall<D: Document>(recorded: Digest, bytes: &[u8]) -> Result<Verified<D>, TrustError> {
    within_limit::<D>(bytes)?;
    if Digest::of(bytes) != recorded {
        return Err(TrustError::NotTheRecorded { kind: D::KIND });
    }
    decode(bytes)
}

pub(crate) fn within_limit<D: Document>(bytes: &[u8]) -> Result<(), TrustError> {
    match u32::try_from(bytes.len()) {
        Ok(len) if len <= D::LIMIT => Ok(()),
        _ => Err(TrustError::TooLong { kind: D::KIND, limit: D::LIMIT }),
    }
}

/// Reads bytes that were checked before.
pub(crate) fn decode<D: Document>(bytes: &[u8]) -> Result<Verified<D>, TrustError> {
    let unreadable = |why| TrustError::Unreadable { kind: D::KIND, why };
    let document = D::decode(bytes).map_err(unreadable)?;
    Ok(Verified::new(document, bytes))
}
