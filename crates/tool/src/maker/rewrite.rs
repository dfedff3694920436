//! A package again, with other signatures.

use super::zip::{ZipFile, copy, replace};
use package::{Manifest, Package};
use std::path::Path;
use trust::Targets;
use types::Sealed;

/// Replaces the package at `output` by one that differs only in its signatures.
///
/// # Errors
/// Reading or writing failed; the old package is still there then.
pub(crate) fn with_targets(
    output: &Path,
    source: &ZipFile,
    package: &Package,
    targets: &Sealed,
) -> anyhow::Result<()> {
    replace(output, |zip| {
        zip.entry(Manifest::ENTRY, package.manifest())?;
        zip.entry(Targets::ENTRY, targets.bytes())?;
        let documents = [Manifest::ENTRY, Targets::ENTRY];
        for entry in package.archive().entries() {
            if !documents.contains(&entry.name.as_str()) {
                zip.start(&entry.name, entry.size, entry.crc32)?;
                copy(source, entry.at, entry.size, zip)?;
            }
        }
        Ok(())
    })
}
