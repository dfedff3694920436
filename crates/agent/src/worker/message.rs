//! What parent and worker say to each other: a length of four bytes, then postcard.

use crate::edges::{FeedError, Retry};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use types::{Outcome, Seconds, Text};

/// The longest question, in bytes: roots of a few certificates, and room.
pub(super) const ASK_MAX: usize = 256 << 10;
/// The longest answer, in bytes, without the document that may follow it.
pub(super) const TELL_MAX: usize = 1 << 10;

/// What the parent wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// First of all: where the package is and how to get it.
    Setup(Setup),
    /// A whole document.
    Document { name: String, limit: u64 },
    /// The next chunk shall be this one.
    Seek(Seek),
    /// The shared memory is free for the next chunk.
    Next,
}

/// Where the package is and how to get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) place: Place,
    /// DER.
    pub(super) roots: Vec<Vec<u8>>,
    /// Milliseconds since 1970 that have passed for certain.
    pub(super) floor: i64,
    pub(super) limits: Limits,
}

/// Where a package is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// At this address, which the names of its entries are appended to.
    Https(String),
    /// Behind descriptor 2.
    Archive,
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limits {
    /// Milliseconds to be connected.
    pub(super) connect: u64,
    /// Milliseconds between two pieces that arrive.
    pub(super) read: u64,
    /// Bytes that may be under way.
    pub(super) window: u32,
    /// Bytes per second that a server must keep.
    pub(super) least_rate: u32,
    /// Milliseconds over which that is measured.
    pub(super) least_over: u64,
    /// Bytes per second that are fetched at most; 0 for as fast as it goes.
    pub(super) bandwidth: u32,
}

/// A place in a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seek {
    pub(super) entry: String,
    pub(super) coding: Coding,
    /// Bytes of the entry.
    pub(super) size: u64,
    pub(super) image_size: u64,
    pub(super) chunk_size: u32,
    /// The chunk that is wanted next.
    pub(super) chunk: u32,
    /// Where decoding starts: bytes of the image before it.
    pub(super) out: u64,
    /// Where decoding starts: bytes of the payload before it.
    pub(super) input: u64,
}

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Coding {
    Frames,
    /// None: the bytes are wanted as they are.
    Plain,
    /// A delta that may take so many bytes of memory. Two descriptors follow the
    /// question, both for reading: what it starts from, and where its image goes.
    Delta {
        heap: u64,
    },
}

/// What the worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tell {
    /// Done.
    Ready,
    /// It is still at it.
    Alive,
    /// So many bytes follow.
    Document { len: u64 },
    /// The next chunk is in the shared memory.
    Chunk {
        len: u32,
        /// The last point at or before its end from which decoding can start again:
        /// bytes of the image before it.
        out: u64,
        /// Bytes of the payload before that point.
        input: u64,
        /// Payload bytes fetched since the start.
        fetched: u64,
    },
    /// The image is complete and the payload ended with it.
    End { fetched: u64 },
    /// It did not work.
    Failed { fault: Fault, fetched: u64 },
}

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    outcome: Outcome,
    detail: Text,
    retry: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Again {
    Later,
    Held(u32),
    OtherPayload,
    Never,
}

/// The longest time, in seconds, that a server may have a terminal wait before it asks
/// for bytes again.
const HELD_MAX: u32 = 3600;

impl Fault {
    /// It may work later.
    pub(super) fn later(outcome: Outcome, detail: impl Into<Text>) -> Self {
        Self { outcome, detail: detail.into(), retry: Again::Later }
    }

    /// The server asked to be asked again in so many seconds.
    pub(super) fn held(seconds: u32, detail: impl Into<Text>) -> Self {
        let retry = Again::Held(seconds);
        Self { outcome: Outcome::Unreachable, detail: detail.into(), retry }
    }

    /// Another payload may work.
    pub(super) fn payload(outcome: Outcome, detail: impl Into<Text>) -> Self {
        Self { outcome, detail: detail.into(), retry: Again::OtherPayload }
    }

    /// It will not work.
    pub(super) fn never(outcome: Outcome, detail: impl Into<Text>) -> Self {
        Self { outcome, detail: detail.into(), retry: Again::Never }
    }

    /// A worker can blame the network and the package, not this terminal.
    pub(super) fn believed(self) -> FeedError {
        let outcome = match self.outcome {
            known @ (Outcome::Unreachable
            | Outcome::CorruptPayload
            | Outcome::Truncated
            | Outcome::Oversized
            | Outcome::TooSlow
            | Outcome::BadRedirect
            | Outcome::Malformed) => known,
            _ => Outcome::Unreachable,
        };
        let retry = match self.retry {
            Again::Later => Retry::Later,
            Again::Held(seconds) => Retry::Held(Seconds(seconds.clamp(1, HELD_MAX))),
            Again::OtherPayload => Retry::OtherPayload,
            Again::Never => Retry::Never,
        };
        // Cut again: its bytes came from the other side.
        FeedError { outcome, detail: Text::from(self.detail.as_str()), retry }
    }
}

impl From<Fault> for FeedError {
    fn from(fault: Fault) -> Self {
        fault.believed()
    }
}

/// Sends one message.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    to.write_all(&with_length(bytes)?)
}

fn with_length(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let len = u32::try_from(bytes.len().saturating_sub(4)).map_err(io::Error::other)?;
    if let Some(head) = bytes.first_chunk_mut::<4>() {
        *head = len.to_le_bytes();
    }
    Ok(bytes)
}

/// Receives one message of at most `limit` bytes.
pub(super) fn receive<M: DeserializeOwned>(from: &mut impl Read, limit: usize) -> io::Result<M> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let len = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if len > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    match postcard::take_from_bytes(&bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "bytes that are no message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest() -> Tell {
        let detail = "x".repeat(400);
        Tell::Failed { fault: Fault::never(Outcome::Malformed, detail), fetched: u64::MAX }
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let chunk =
            Tell::Chunk { len: u32::MAX, out: u64::MAX, input: u64::MAX, fetched: u64::MAX };
        for tell in [Tell::Ready, Tell::Alive, chunk, Tell::End { fetched: 0 }, longest()] {
            let mut wire = Vec::new();
            send(&mut wire, &tell).unwrap();
            assert!(wire.len() <= TELL_MAX);
            assert_eq!(receive::<Tell>(&mut wire.as_slice(), TELL_MAX).unwrap(), tell);
            for cut in 0..wire.len() {
                assert!(receive::<Tell>(&mut &wire[..cut], TELL_MAX).is_err());
            }
        }
    }

    #[test]
    fn strange_bytes_are_no_message() {
        let long = 1025_u32.to_le_bytes().to_vec();
        for bytes in [long, vec![1, 0, 0, 0, 99], vec![2, 0, 0, 0, 0, 0], vec![0; 4]] {
            assert!(receive::<Tell>(&mut bytes.as_slice(), TELL_MAX).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_worker_cannot_blame_the_terminal() {
        for outcome in [Outcome::Ok, Outcome::UntrustedKey, Outcome::JobLost, Outcome::NotBack] {
            let error = Fault::later(outcome, "x").believed();
            assert_eq!(error.outcome, Outcome::Unreachable);
        }
        assert_eq!(Fault::later(Outcome::TooSlow, "").believed().outcome, Outcome::TooSlow);
    }
}
