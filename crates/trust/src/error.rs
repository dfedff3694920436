//! Why something is not trusted, and the outcome that a terminal reports for it.

use alloc::string::String;
use types::{Outcome, Timestamp, TreeError};

/// Why a document or a chunk is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// More bytes than any such document has: endless data.
    #[error("{kind} has more than {limit} bytes")]
    TooLong {
        /// What the document should be.
        kind: &'static str,
        /// The most bytes it may have.
        limit: u32,
    },
    /// The bytes are no JSON, or name a key twice, or nest too deep.
    #[error("{kind} is no strict JSON")]
    NotJson {
        /// What the document should be.
        kind: &'static str,
        /// Where and why.
        #[source]
        cause: serde_json::Error,
    },
    /// JSON, but not with the fields that this kind of document has.
    #[error("{kind} does not have the fields it should have")]
    WrongFields {
        /// What the document should be.
        kind: &'static str,
        /// Which field.
        #[source]
        cause: TreeError,
    },
    /// A number with a fraction, which canonical JSON does not have.
    #[error("a number is no integer")]
    NotInteger,
    /// A rule is broken that the fields alone do not express.
    #[error("{kind} is refused: {rule}")]
    BrokenRule {
        /// What the document should be.
        kind: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// None of the signatures is by a key of the role.
    #[error("no trusted key signed {kind}")]
    UntrustedKey {
        /// What the document should be.
        kind: &'static str,
    },
    /// Some different keys of the role signed, but not enough.
    #[error("only {got} of the {want} required different keys signed {kind}")]
    TooFewSignatures {
        /// What the document should be.
        kind: &'static str,
        /// Different keys with a good signature.
        got: u32,
        /// The role's threshold.
        want: u32,
    },
    /// A key of the role has a signature here that does not fit: the document changed.
    #[error("a trusted key's signature does not fit {kind}: it was changed after signing")]
    WrongSignature {
        /// What the document should be.
        kind: &'static str,
    },
    /// Its time is over.
    #[error("{kind} expired at {expires}")]
    Expired {
        /// What the document should be.
        kind: &'static str,
        /// Since when.
        expires: Timestamp,
    },
    /// The signed metadata does not speak of this document.
    #[error("the signature does not cover `{name}`")]
    NotCovered {
        /// The document's name.
        name: String,
    },
    /// The document is not the one that was signed.
    #[error("`{name}` is not what was signed: {what} differs")]
    NotTheSigned {
        /// The document's name.
        name: String,
        /// What differs: its length or its digest.
        what: &'static str,
    },
    /// The document is not the one that this device recorded.
    #[error("{kind} is not the one that was recorded")]
    NotTheRecorded {
        /// What the document should be.
        kind: &'static str,
    },
    /// What was signed cannot be understood.
    #[error("{kind} cannot be read: {why}")]
    Unreadable {
        /// What the document should be.
        kind: &'static str,
        /// A sentence by the document's own reader.
        why: String,
    },
    /// The list of chunk digests is not the one that the manifest names.
    #[error("the list of chunk digests is not the signed one: {what} differs")]
    WrongChunkList {
        /// What differs: its length or its digest.
        what: &'static str,
    },
    /// A chunk is not the signed one.
    #[error("chunk {index} is not the signed one: {what} differs")]
    WrongChunk {
        /// Counted from 0.
        index: u32,
        /// What differs: its length or its digest.
        what: &'static str,
    },
}

impl TrustError {
    /// The outcome that a terminal reports.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::UntrustedKey { .. } => Outcome::UntrustedKey,
            Self::TooFewSignatures { .. } => Outcome::TooFewSignatures,
            Self::Expired { .. } => Outcome::Expired,
            Self::NotTheRecorded { .. } => Outcome::JobLost,
            Self::WrongChunk { .. } => Outcome::CorruptPayload,
            _ => Outcome::Malformed,
        }
    }
}
