//! Key files and roots on disk.

use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};
use trust::{Root, SigningKey};
use types::Sealed;

/// Reads signing keys.
///
/// # Errors
/// A file cannot be read or is no key file; two of them hold the same key.
pub(crate) fn read_keys(files: &[PathBuf]) -> anyhow::Result<Vec<SigningKey>> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for file in files {
        let key = read_key(file)?;
        if keys.iter().any(|other| other.public() == key.public()) {
            anyhow::bail!("{} is a key that was given before; use each key once", file.display());
        }
        keys.push(key);
    }
    Ok(keys)
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    let bytes =
        fs::read(file).with_context(|| format!("cannot read the key {}", file.display()))?;
    SigningKey::read(&bytes).with_context(|| format!("cannot use the key {}", file.display()))
}

/// Reads a root of trust.
///
/// # Errors
/// The file cannot be read or is no root that signed itself.
pub(crate) fn read_root(file: &Path) -> anyhow::Result<Root> {
    let bytes =
        fs::read(file).with_context(|| format!("cannot read the root {}", file.display()))?;
    Root::open(&Sealed::from(bytes.as_slice()))
        .with_context(|| format!("cannot use {} as a root of trust", file.display()))
}
