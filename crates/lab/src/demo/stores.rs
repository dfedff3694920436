//! The database and the store of packages that the demo's server uses, where they are
//! programs of their own.

use super::StoreKind;
use super::show::Show;
use crate::bucket::Bucket;
use crate::postgres::Postgres;
use crate::process::Programs;
use anyhow::{Result, ensure};
use std::fs::DirEntry;
use std::path::Path;

/// What the server uses besides its folder.
pub(super) struct Stores(Option<(Postgres, Bucket)>);

impl Stores {
    /// Starts what `kind` needs.
    pub(super) fn start(kind: StoreKind, programs: &Programs, show: &Show) -> Result<Self> {
        if kind == StoreKind::Folder {
            return Ok(Self(None));
        }
        let (postgres, bucket) = (Postgres::start()?, Bucket::start(programs)?);
        show.say(&format!("PostgreSQL listens on port {}", postgres.port()));
        show.say(&format!("the S3-compatible store listens on port {}", bucket.port()));
        Ok(Self(Some((postgres, bucket))))
    }

    /// Looks where the packages and the deltas are that terminals were served: where there
    /// is a bucket, in it, and nowhere in the server's `data` folder.
    pub(super) fn check(&self, data: &Path, show: &Show) -> Result<()> {
        let Some((_, bucket)) = &self.0 else { return Ok(()) };
        let all = bucket.names("packages/")?;
        let (deltas, packages): (Vec<_>, Vec<_>) =
            all.iter().partition(|name| name.starts_with("packages/deltas/"));
        ensure!(!packages.is_empty(), "no package is in the bucket: {all:?}");
        ensure!(!deltas.is_empty(), "no delta is in the bucket: {all:?}");
        for folder in ["blobs", "deltas"] {
            let files = std::fs::read_dir(data.join(folder))?.filter_map(Result::ok);
            // A killed server leaves what it was about to send.
            let done = |file: &DirEntry| file.path().extension().is_none_or(|e| e != "upload");
            let left = files.filter(done).count();
            ensure!(left == 0, "{left} files are in the server's own folder `{folder}`");
        }
        let (packages, deltas) = (packages.len(), deltas.len());
        show.say(&format!(
            "the bucket holds {packages} packages and {deltas} deltas; the server's folder none"
        ));
        Ok(())
    }

    /// The options by which `refit-server serve` uses it.
    pub(super) fn options(&self) -> Vec<String> {
        let Some((postgres, bucket)) = &self.0 else { return Vec::new() };
        let mut options = vec!["--database".to_owned(), postgres.url(postgres.port())];
        options.extend(bucket.options(bucket.port()));
        options
    }
}
