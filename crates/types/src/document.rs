//! Signed documents: the exact bytes, and what they decode to.

use crate::Timestamp;
use alloc::boxed::Box;
use alloc::string::String;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The exact bytes of a signed document as they were received. They are stored
/// and passed on unchanged: re-serialised metadata is no longer what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Box<[u8]>);

impl Sealed {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Sealed {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

/// What can be read from bytes whose digest or signature was checked before.
pub trait Document: Sized {
    /// The word people use for it in messages, as `manifest`.
    const KIND: &'static str;
    /// The most bytes such a document may have; more is never fetched or parsed.
    const LIMIT: u32;

    /// Decodes the exact bytes. The error is a sentence without a full stop.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// What is signed as a whole: a statement with its number and its end inside.
pub trait Statement: Serialize + DeserializeOwned {
    /// The word people use for it in messages, and its `_type`.
    const KIND: &'static str;
    /// The most bytes it may have with its signatures.
    const LIMIT: u32;

    /// Grows with every statement of the kind; never 0.
    fn version(&self) -> u64;

    /// After this time it no longer holds.
    fn expires(&self) -> Timestamp;

    /// Which rule it breaks that its types do not express, as the rest of a sentence.
    fn fault(&self) -> Option<&'static str>;
}
