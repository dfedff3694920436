//! Published releases.

use super::rows::{json, parsed, signed, time, to_json, unsigned};
use super::statement::{Row, query};
use super::{Stored, Tx};
use crate::catalogue::Published;
use types::Release;

const PUT: &str = "INSERT INTO releases (manifest, product, version, rollback_index, package, size, \
     entries, images, published) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

impl Tx {
    /// Adds a release.
    pub(crate) async fn put_release(&mut self, published: &Published) -> Stored<()> {
        let release = &published.release;
        let statement = query(PUT)
            .bind(release.manifest.to_string())
            .bind(release.product.as_str())
            .bind(release.version.as_str())
            .bind(release.rollback_index.to_string())
            .bind(published.package.to_string())
            .bind(signed(published.size))
            .bind(to_json(&published.entries, "entries")?)
            .bind(to_json(&published.images, "images")?)
            .bind(published.at.0);
        self.run(statement).await.map(drop)
    }

    /// Every release, last published first.
    pub(crate) async fn releases(&mut self) -> Stored<Vec<Published>> {
        let text = "SELECT manifest, product, version, rollback_index, package, size, entries, \
                    images, published FROM releases ORDER BY published DESC, manifest";
        self.all(query(text)).await?.iter().map(published).collect()
    }
}

fn published(row: &Row) -> Stored<Published> {
    let what = "release";
    Ok(Published {
        release: Release {
            product: parsed(row, "product", what)?,
            version: parsed(row, "version", what)?,
            rollback_index: parsed(row, "rollback_index", what)?,
            manifest: parsed(row, "manifest", what)?,
        },
        package: parsed(row, "package", what)?,
        size: unsigned(row, "size", what)?,
        entries: json(row, "entries", what)?,
        images: json(row, "images", what)?,
        at: time(row, "published")?,
    })
}
