//! Packages in a bucket of an S3-compatible store.
//!
//! Each piece is a request of its own with its own time limit, repeated by itself when
//! the store fails: a slow terminal holds nothing open there, and a broken connection
//! costs one piece. A store that does not answer costs this server as many connections
//! and pieces in memory as it may read at once, and nothing else waits for it.

use super::address::{Access, Bucket as Address};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig, WriteMultipart};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use types::Digest;

/// Bytes that are asked for at once.
pub(super) const PIECE: u64 = 1 << 20;
/// Bytes of a part of an upload; stores take no smaller ones and at most 10 000.
const PART: usize = 8 << 20;
/// Parts on their way at once.
const PARTS: usize = 4;
/// How long a part of an upload may take, and all repetitions of it together.
const WRITING: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(60)];
/// How long it may take to read a piece once, and with its turn and all repetitions: less
/// than terminals wait for bytes, so that they are told and need not guess.
const READING: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(8)];
/// The most pieces that are read at once, in all: a bound on memory and connections.
const READS: usize = 256;

/// A part of a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    readable: Arc<AmazonS3>,
    reads: Arc<Semaphore>,
    prefix: Path,
    extension: &'static str,
}

/// A package in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    store: Arc<AmazonS3>,
    reads: Arc<Semaphore>,
    path: Path,
}

impl Bucket {
    /// The bucket at `address`. Nothing is asked of it yet.
    pub(super) fn open(address: &Address, extension: &'static str) -> io::Result<Self> {
        let store = |limits| client(address, limits).build().map(Arc::new);
        let writable = store(WRITING).map_err(io::Error::other)?;
        let readable = store(READING).map_err(io::Error::other)?;
        let prefix = Path::parse(&address.prefix).map_err(io::Error::other)?;
        let reads = Arc::new(Semaphore::new(READS));
        Ok(Self { store: writable, readable, reads, prefix, extension })
    }

    fn path(&self, package: Digest) -> Path {
        self.prefix.clone().join(format!("{package}.{}", self.extension))
    }

    /// The object of a package.
    pub(super) fn object(&self, package: Digest) -> Object {
        let (store, reads) = (Arc::clone(&self.readable), Arc::clone(&self.reads));
        Object { store, reads, path: self.path(package) }
    }

    /// Copies `file` there. It appears whole or not at all.
    pub(super) async fn keep(&self, file: &File, package: Digest) -> io::Result<()> {
        let (file, path) = (Arc::new(file.try_clone()?), self.path(package));
        let size = file.metadata()?.len();
        let upload = self.store.put_multipart(&path).await.map_err(io::Error::other)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut at = 0;
        while at < size {
            let len = (size - at).min(PIECE);
            let piece = super::Blob::File(Arc::clone(&file)).read(at, len).await?;
            upload.wait_for_capacity(PARTS).await.map_err(io::Error::other)?;
            upload.put(piece);
            at += len;
        }
        upload.finish().await.map(drop).map_err(io::Error::other)
    }

    /// Removes a package; nobody waits for it.
    pub(super) fn remove(&self, package: Digest) {
        let (store, path) = (Arc::clone(&self.store), self.path(package));
        tokio::spawn(async move {
            // What cannot be removed costs room and nothing else.
            let _left_there = store.delete(&path).await;
        });
    }
}

impl Object {
    /// The `len` bytes from `at` on.
    pub(super) async fn read(self, at: u64, len: u64) -> io::Result<Bytes> {
        let read = async {
            let _turn = self.reads.acquire().await.map_err(io::Error::other)?;
            self.store.get_range(&self.path, at..at + len).await.map_err(io::Error::from)
        };
        let [_, limit] = READING;
        let late = |_| {
            let text = format!("the bucket gave no piece within {} s", limit.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let bytes = timeout(limit, read).await.map_err(late)??;
        let whole = u64::try_from(bytes.len()).is_ok_and(|got| got == len);
        if whole { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn client(address: &Address, [once, in_all]: [Duration; 2]) -> AmazonS3Builder {
    let Access { endpoint, region, key_id, key } = &address.access;
    // Without TLS only to this machine: whoever listens could exchange nothing that is
    // signed, but would learn the key's signatures and what is installed where.
    let local = endpoint.as_deref().is_some_and(is_local);
    let limits = ClientOptions::new().with_timeout(once).with_allow_http(local);
    let retry = RetryConfig { retry_timeout: in_all, ..RetryConfig::default() };
    let builder = AmazonS3Builder::from_env()
        .with_bucket_name(&address.name)
        .with_client_options(limits)
        .with_retry(retry);
    let builder = endpoint.iter().fold(builder, AmazonS3Builder::with_endpoint);
    let builder = region.iter().fold(builder, AmazonS3Builder::with_region);
    let builder = key_id.iter().fold(builder, AmazonS3Builder::with_access_key_id);
    key.iter().fold(builder, AmazonS3Builder::with_secret_access_key)
}

fn is_local(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("http://").split(['/', ':']).next();
    matches!(host, Some("127.0.0.1" | "localhost"))
}
