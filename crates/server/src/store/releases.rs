//! Published releases.

use super::rows::{json, parsed, signed, time, to_json, unsigned};
use super::statement::{Row, query};
use super::{StoreError, Stored, Tx};
use crate::catalogue::{Published, Rules};
use fleet::Fit;
use types::{Digest, Release};

const PUT: &str = "INSERT INTO releases (manifest, product, version, rollback_index, package, size, \
     entries, images, published) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const PUT_RULES: &str = "INSERT INTO release_rules (manifest, hardware, variants, regions, versions, \
     needs, withdrawn) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (manifest) DO UPDATE SET \
     needs = excluded.needs, withdrawn = excluded.withdrawn";

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
        self.run(statement).await?;
        self.put_rules(release.manifest, &published.rules).await
    }

    /// Writes what a release needs, and whether it was withdrawn.
    pub(crate) async fn put_rules(&mut self, manifest: Digest, rules: &Rules) -> Stored<()> {
        let statement = query(PUT_RULES)
            .bind(manifest.to_string())
            .bind(to_json(&rules.fit.hardware, "hardware")?)
            .bind(to_json(&rules.fit.variants, "variants")?)
            .bind(to_json(&rules.fit.regions, "regions")?)
            .bind(to_json(&rules.versions, "versions")?)
            .bind(rules.fit.needs.as_ref().map(ToString::to_string))
            .bind(rules.withdrawn.as_ref().map(ToString::to_string));
        self.run(statement).await.map(drop)
    }

    /// Every release, last published first.
    pub(crate) async fn releases(&mut self) -> Stored<Vec<Published>> {
        let text = "SELECT r.manifest, product, version, rollback_index, package, size, entries, \
                    images, published, hardware, variants, regions, versions, needs, withdrawn \
                    FROM releases r LEFT JOIN release_rules u ON u.manifest = r.manifest \
                    ORDER BY published DESC, r.manifest";
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
        rules: rules(row)?,
    })
}

/// The rules of a release; an earlier version wrote none.
fn rules(row: &Row) -> Stored<Rules> {
    let (needs, withdrawn): (Option<&str>, Option<&str>) =
        (row.try_get("needs")?, row.try_get("withdrawn")?);
    if row.try_get::<Option<&str>>("hardware")?.is_none() {
        return Ok(Rules::default());
    }
    let wrong = |_| StoreError::Row { what: "release" };
    let needs = needs.map(|needs| needs.parse().map_err(wrong)).transpose()?;
    let fit = Fit {
        hardware: json(row, "hardware", "release")?,
        variants: json(row, "variants", "release")?,
        regions: json(row, "regions", "release")?,
        needs,
    };
    Ok(Rules {
        fit,
        versions: json(row, "versions", "release")?,
        withdrawn: withdrawn.map(Into::into),
    })
}
