//! Bounded JSON: no message is parsed that is larger than its kind may be.

use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;
use serde::de::{DeserializeOwned, Error};
use types::{TreeError, tree};

/// A message with a limit. Nesting is bounded by the parser (128 levels), sizes
/// by [`Message::LIMIT`], and lists by [`Message::fault`].
pub trait Message: Serialize + DeserializeOwned {
    /// The word people use for it in errors.
    const KIND: &'static str;
    /// The most bytes it may have on the wire.
    const LIMIT: usize;

    /// Which rule the message breaks that its types do not express, if any.
    fn fault(&self) -> Option<&'static str> {
        None
    }
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// More bytes than the kind may have.
    #[error("the {kind} has {got} bytes; at most {limit} are allowed")]
    TooLarge {
        /// What was expected.
        kind: &'static str,
        /// Bytes received.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No JSON, or JSON of another form.
    #[error("the bytes are no {kind}")]
    Form {
        /// What was expected.
        kind: &'static str,
        /// Where the parser stopped.
        #[source]
        cause: TreeError,
    },
    /// A rule of the message is broken.
    #[error("the {kind} {fault}")]
    Rule {
        /// What was expected.
        kind: &'static str,
        /// The broken rule, as the rest of a sentence.
        fault: &'static str,
    },
}

/// Reads one message from its exact bytes.
///
/// # Errors
/// Too many bytes, no JSON of this form, or a broken rule. Unknown fields are no
/// error: a newer peer may send them, as the version rule of the native protocol says.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, MessageError> {
    decode_by(bytes, |bytes| serde_json::from_slice(bytes).map_err(TreeError::custom))
}

/// The same by way of the tree, for a terminal: that takes less code, and more time.
///
/// # Errors
/// As [`decode`].
pub fn decode_small<M: Message>(bytes: &[u8]) -> Result<M, MessageError> {
    decode_by(bytes, tree::from_json)
}

fn decode_by<M: Message>(
    bytes: &[u8],
    read: fn(&[u8]) -> Result<M, TreeError>,
) -> Result<M, MessageError> {
    let kind = M::KIND;
    if bytes.len() > M::LIMIT {
        return Err(MessageError::TooLarge { kind, got: bytes.len(), limit: M::LIMIT });
    }
    let message = read(bytes).map_err(|cause| MessageError::Form { kind, cause })?;
    match message.fault() {
        Some(fault) => Err(MessageError::Rule { kind, fault }),
        None => Ok(message),
    }
}

/// Writes one message.
///
/// # Errors
/// Never for the messages of this crate: all their keys are texts.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, MessageError> {
    let form = |cause| MessageError::Form { kind: M::KIND, cause: TreeError::custom(cause) };
    serde_json::to_vec(message).map_err(form)
}

/// The sentence of `error` and of everything that caused it.
pub fn sentence(error: &dyn core::error::Error) -> String {
    let mut out = alloc::format!("{error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        out.push_str(": ");
        out.push_str(&alloc::format!("{next}"));
        cause = next.source();
    }
    out
}
