//! A response body that reads a package in pieces, one ahead, and counts.

use crate::blobs::Blob;
use crate::clock;
use crate::downloads::Pass;
use crate::roster::{Shared, lock};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

/// Some bytes of a package.
pub(super) struct BlobBody {
    blob: Blob,
    /// Where the piece after the pending one starts.
    at: u64,
    /// Bytes after the pending piece.
    left: u64,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
    /// What was read and has not gone yet.
    ready: Bytes,
    /// Nothing goes before it is over.
    pause: Option<Pin<Box<Sleep>>>,
    reader: Option<Reader>,
}

/// To whom bytes go, and where they are counted.
pub(super) struct Reader {
    /// The terminal; it is alive as long as it takes bytes.
    pub(super) terminal: Shared,
    /// Bytes sent for its attempt.
    pub(super) served: Arc<AtomicU64>,
    /// Its place, where downloads are bounded.
    pub(super) pass: Option<Pass>,
}

impl Reader {
    /// So many bytes go now. Returns how many milliseconds to wait before the next ones.
    fn takes(&self, len: usize) -> io::Result<u64> {
        let now = clock::now();
        let take = |pass: &Pass| pass.take(len, now, clock::passed());
        let wait = self.pass.as_ref().map_or(Ok(0), take)?;
        self.served.fetch_add(u64::try_from(len).unwrap_or(u64::MAX), Ordering::Relaxed);
        lock(&self.terminal).seen = Some(now);
        Ok(wait)
    }
}

impl BlobBody {
    /// The `len` bytes of `blob` from `at` on, to a reader where it is known.
    pub(super) fn new(blob: Blob, at: u64, len: u64, reader: Option<Reader>) -> Self {
        Self { blob, at, left: len, pending: None, ready: Bytes::new(), pause: None, reader }
    }

    /// Reads the first piece. Whoever asks is told at once where that fails, instead of
    /// being promised what then breaks off.
    pub(super) async fn begin(&mut self) -> io::Result<()> {
        let first = poll_fn(|context| self.poll_piece(context)).await;
        self.ready = first.transpose()?.unwrap_or_default();
        Ok(())
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

    /// The next piece as it is read.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.pending.is_none() {
            self.read_ahead();
        }
        let Some(pending) = self.pending.as_mut() else { return Poll::Ready(None) };
        let read = ready!(Pin::new(pending).poll(context));
        self.pending = None;
        let piece = read.map_err(io::Error::other).flatten();
        if piece.is_ok() {
            self.read_ahead();
        }
        Poll::Ready(Some(piece))
    }

    /// What goes now of what is ready, at the reader's rate.
    fn send(&mut self) -> io::Result<Bytes> {
        let Some(reader) = &self.reader else { return Ok(std::mem::take(&mut self.ready)) };
        let most = reader.pass.as_ref().map_or(usize::MAX, Pass::piece);
        let len = most.min(self.ready.len());
        let wait = reader.takes(len).inspect_err(|_| self.left = 0)?;
        if wait > 0 {
            self.pause = Some(Box::pin(sleep(Duration::from_millis(wait))));
        }
        Ok(self.ready.split_to(len))
    }
}

impl Drop for BlobBody {
    fn drop(&mut self) {
        // Nobody wants the piece any more that is being read.
        if let Some(pending) = &self.pending {
            pending.abort();
        }
    }
}

impl Body for BlobBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pause) = self.pause.as_mut() {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.ready.is_empty() {
            match ready!(self.poll_piece(context)) {
                Some(Ok(piece)) => self.ready = piece,
                None => return Poll::Ready(None),
                // The terminal asks for the rest when it has lost the connection.
                Some(Err(error)) => {
                    eprintln!("refit-server: a package cannot be read: {error}");
                    self.left = 0;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(Some(self.send().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.pending.is_none() && self.left == 0 && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
