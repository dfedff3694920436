//! Publishes a package: examined in full first, then kept, then known.

use crate::blobs::Upload;
use crate::catalogue::{Published, Rules, Span};
use crate::deltas::plan_job;
use crate::server::Server;
use crate::store::StoreError;
use engine::examine::{ExamineError, Examined, examine};
use fleet::Fit;
use package::Source;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use trust::Root;
use types::{Digest, Hasher, Release, Timestamp};

/// Bytes read at once to digest a package.
const PIECE: usize = 256 << 10;

/// Why a package is not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The server does not know whom to believe.
    #[error("the server has no maker's keys to judge the package by")]
    NoRoot,
    /// The package is not as it should be.
    #[error("the package is refused")]
    Refused(#[from] ExamineError<io::Error>),
    /// Another release has the name.
    #[error("version {} of {} is published already, with other content", .0.version, .0.product)]
    Taken(Box<Release>),
    /// The disk fails.
    #[error("the package could not be kept")]
    Io(#[from] io::Error),
    /// The store fails.
    #[error("the release could not be stored")]
    Store(#[from] StoreError),
}

/// A file whose bytes are examined.
struct FileSource<'a> {
    file: &'a File,
    size: u64,
}

impl Source for FileSource<'_> {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

impl Server {
    /// Examines an upload and publishes what it holds. The same package twice is
    /// published once.
    pub(crate) async fn publish(
        &self,
        upload: Upload,
        now: Timestamp,
    ) -> Result<Arc<Published>, PublishError> {
        let root = self.root().ok_or(PublishError::NoRoot)?;
        let examined = tokio::task::spawn_blocking(move || take(upload, &root, now)).await;
        let (upload, published) = examined.map_err(io::Error::other)??;
        let release = published.release.clone();
        if let Some(known) = self.published(&release) {
            return known;
        }
        // Before the transaction, which is short: a bucket may take its time.
        self.blobs.keep(&upload, published.package).await?;
        let mut entry = self.begin(now).await?;
        if entry.tx.is_shared() {
            self.catalogue.replace(entry.tx.releases().await?);
        }
        if let Some(known) = self.published(&release) {
            if known.is_err() {
                self.blobs.remove(published.package);
            }
            return known;
        }
        // After a failure nobody knows whether it is published, so the package stays.
        store(&mut entry.tx, &published).await?;
        self.catalogue.add(published);
        self.recognise();
        self.wake.notify_one();
        self.catalogue.find(release.manifest).ok_or(PublishError::NoRoot)
    }

    /// What publishing `release` comes to, if it or one of its name is published.
    fn published(&self, release: &Release) -> Option<Result<Arc<Published>, PublishError>> {
        if let Some(same) = self.catalogue.find(release.manifest) {
            return Some(Ok(same));
        }
        let named = self.catalogue.named(release.version.as_str(), Some(&release.product));
        (!named.is_empty()).then(|| Err(PublishError::Taken(Box::new(release.clone()))))
    }

    /// Terminals may run the new release already.
    pub(super) fn recognise(&self) {
        for terminal in self.roster.all() {
            let mut locked = crate::roster::lock(&terminal);
            let stored = &locked.stored;
            locked.release = self.catalogue.running(&stored.facts.product, &stored.running);
        }
    }
}

async fn store(tx: &mut crate::store::Tx, published: &Published) -> Result<(), StoreError> {
    tx.put_release(published).await?;
    tx.put_job(&plan_job(published.release.manifest, published.at), published.at).await?;
    tx.raise_generation().await?;
    tx.commit().await
}

/// Examines an upload. Returns it with what is to be known of it.
fn take(upload: Upload, root: &Root, now: Timestamp) -> Result<(Upload, Published), PublishError> {
    let size = upload.file.metadata()?.len();
    let source = FileSource { file: &upload.file, size };
    let examined = examine(&source, Some(root), now)?;
    let package = digest(&source)?;
    let published = describe(&examined, package, size, now);
    Ok((upload, published))
}

fn describe(examined: &Examined, package: Digest, size: u64, at: Timestamp) -> Published {
    let spans = examined.package.archive().entries().iter();
    let spans =
        spans.map(|entry| Span { name: entry.name.clone(), at: entry.at, size: entry.size });
    let components = examined.manifest.components.iter();
    let images = components.map(|c| (c.name.clone(), c.image.sha256)).collect();
    let release = examined.release();
    let entries = spans.collect();
    Published { release, package, size, entries, images, at, rules: rules(examined) }
}

/// What the manifest says about whom the release is for.
fn rules(examined: &Examined) -> Rules {
    let manifest = &examined.manifest;
    let fit = Fit {
        hardware: manifest.hardware.clone(),
        variants: manifest.variants.clone(),
        regions: manifest.regions.clone(),
        needs: None,
    };
    let own = |c: &package::Component| Some((c.name.clone(), c.version.clone()?));
    let versions = manifest.components.iter().filter_map(own).collect();
    Rules { fit, versions, withdrawn: None }
}

fn digest(source: &FileSource<'_>) -> io::Result<Digest> {
    let (mut hasher, mut piece, mut at) = (Hasher::default(), vec![0; PIECE], 0);
    while at < source.size {
        let left = usize::try_from(source.size - at).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..left).unwrap_or_default();
        source.read_at(at, part)?;
        hasher.update(part);
        at += u64::try_from(left).unwrap_or(u64::MAX);
    }
    Ok(hasher.finish())
}
