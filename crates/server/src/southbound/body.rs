//! A response body that reads a package in pieces, one ahead, and counts.

use crate::blobs::Blob;
use crate::clock;
use crate::roster::{Shared, lock};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Some bytes of a package.
pub(super) struct BlobBody {
    blob: Blob,
    /// Where the piece after the pending one starts.
    at: u64,
    /// Bytes after the pending piece.
    left: u64,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
    reader: Option<Reader>,
}

/// To whom bytes go, and where they are counted.
pub(super) struct Reader {
    /// The terminal; it is alive as long as it takes bytes.
    pub(super) terminal: Shared,
    /// Bytes sent for its attempt.
    pub(super) served: Arc<AtomicU64>,
}

impl Reader {
    fn took(&self, len: usize) {
        self.served.fetch_add(u64::try_from(len).unwrap_or(u64::MAX), Ordering::Relaxed);
        lock(&self.terminal).seen = Some(clock::now());
    }
}

impl BlobBody {
    /// The `len` bytes of `blob` from `at` on, to a reader where it is known.
    pub(super) fn new(blob: Blob, at: u64, len: u64, reader: Option<Reader>) -> Self {
        Self { blob, at, left: len, pending: None, reader }
    }

    /// Begins to read the next piece, if there is one.
    fn read_ahead(&mut self) {
        if self.left == 0 {
            return;
        }
        let (at, len) = (self.at, self.left.min(self.blob.piece()));
        self.at += len;
        self.left -= len;
        self.pending = Some(tokio::spawn(self.blob.clone().read(at, len)));
    }
}

impl Body for BlobBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.pending.is_none() {
            self.read_ahead();
        }
        let Some(pending) = self.pending.as_mut() else { return Poll::Ready(None) };
        let read = ready!(Pin::new(pending).poll(context));
        self.pending = None;
        let piece = read.map_err(io::Error::other).flatten();
        match &piece {
            Ok(bytes) => {
                if let Some(reader) = &self.reader {
                    reader.took(bytes.len());
                }
                self.read_ahead();
            }
            // The terminal asks for the rest when it has lost the connection.
            Err(error) => {
                eprintln!("refit-server: a package cannot be read: {error}");
                self.left = 0;
            }
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.pending.is_none() && self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
