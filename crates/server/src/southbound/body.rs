//! A response body that reads a file in large pieces, one ahead, and counts.

use crate::clock;
use crate::roster::{Shared, lock};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes read at once. Large enough that reading costs little beside TLS, small
/// enough that little is sent to a terminal that has gone.
const PIECE: u64 = 256 << 10;

/// Some bytes of a file.
pub(super) struct FileBody {
    file: Arc<File>,
    /// Where the piece after the pending one starts.
    at: u64,
    /// Bytes after the pending piece.
    left: u64,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
    served: Arc<AtomicU64>,
    terminal: Shared,
}

/// To whom bytes go, and where they are counted.
pub(super) struct Reader {
    /// The terminal; it is alive as long as it takes bytes.
    pub(super) terminal: Shared,
    /// Bytes sent for its attempt.
    pub(super) served: Arc<AtomicU64>,
}

impl FileBody {
    /// The `len` bytes of `file` from `at` on.
    pub(super) fn new(file: Arc<File>, at: u64, len: u64, reader: Reader) -> Self {
        let Reader { terminal, served } = reader;
        Self { file, at, left: len, pending: None, served, terminal }
    }

    /// Begins to read the next piece, if there is one.
    fn read_ahead(&mut self) {
        if self.left == 0 {
            return;
        }
        let (file, at, len) = (Arc::clone(&self.file), self.at, self.left.min(PIECE));
        self.at += len;
        self.left -= len;
        self.pending = Some(spawn_blocking(move || read(&file, at, len)));
    }
}

fn read(file: &File, at: u64, len: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

impl Body for FileBody {
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
        if let Ok(bytes) = &piece {
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.served.fetch_add(len, Ordering::Relaxed);
            lock(&self.terminal).seen = Some(clock::now());
            self.read_ahead();
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
