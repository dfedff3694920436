//! The database and the store of packages that the demo's server uses, where they are
//! programs of their own.

use super::StoreKind;
use super::show::Show;
use crate::bucket::Bucket;
use crate::postgres::Postgres;
use crate::process::Programs;
use anyhow::Result;

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

    /// The options by which `refit-server serve` uses it.
    pub(super) fn options(&self) -> Vec<String> {
        let Some((postgres, bucket)) = &self.0 else { return Vec::new() };
        let mut options = vec!["--database".to_owned(), postgres.url(postgres.port())];
        options.extend(bucket.options(bucket.port()));
        options
    }
}
