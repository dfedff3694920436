//! `release.toml`: what a maker writes about a release.

use super::date::Date;
use super::hooks::HookPart;
use anyhow::Context;
use package::{Class, ComponentKind, Link};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use types::{Digest, Effect, Hasher, Name, Version};

/// The file; paths in it are relative to its folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) product: Name,
    pub(crate) version: Version,
    pub(crate) rollback_index: u64,
    pub(crate) class: Class,
    pub(crate) hardware: Vec<Name>,
    #[serde(default)]
    pub(crate) variants: Vec<Name>,
    #[serde(default)]
    pub(crate) regions: Vec<Name>,
    #[serde(default)]
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) support_until: Option<Date>,
    pub(crate) release_notes: Option<Document>,
    pub(crate) sbom: Option<Document>,
    #[serde(default)]
    pub(crate) hooks: Vec<HookPart>,
    /// Roots of trust, oldest first, for terminals whose own is older: `N.root.json`.
    #[serde(default)]
    pub(crate) roots: Vec<PathBuf>,
    /// The version of the configuration's form that the release works with.
    pub(crate) configuration: Option<u32>,
    pub(crate) components: Vec<Part>,
}

/// One component and the file that holds its image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) name: Name,
    pub(crate) kind: ComponentKind,
    pub(crate) effect: Effect,
    pub(crate) file: PathBuf,
    pub(crate) version: Option<Version>,
    #[serde(default = "usual_chunk")]
    pub(crate) chunk_size: Bytes,
    #[serde(default)]
    pub(crate) works_with_both: bool,
}

/// A document elsewhere; with `file`, its digest is taken from there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    url: String,
    sha256: Option<Digest>,
    file: Option<PathBuf>,
}

/// A number of bytes: `65536`, `"64 KiB"` or `64k`, `"1 MiB"` or `1M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Number")]
pub(crate) struct Bytes(pub(crate) u32);

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u32),
    Text(String),
}

/// Packs 2 % worse than the largest, and saves a terminal 2 MiB of memory and most
/// of what is fetched again after a cut.
fn usual_chunk() -> Bytes {
    Bytes(256 << 10)
}

impl TryFrom<Number> for Bytes {
    type Error = &'static str;
    fn try_from(number: Number) -> Result<Self, Self::Error> {
        match number {
            Number::Plain(bytes) => Ok(Self(bytes)),
            Number::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Bytes {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" => Some(1),
            "k" | "kib" => Some(1 << 10),
            "m" | "mib" => Some(1 << 20),
            "g" | "gib" => Some(1 << 30),
            _ => None,
        };
        let count = digits.parse::<u32>().ok();
        let bytes = count.zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
        bytes.map(Self).ok_or("a size looks like 65536, 64KiB or 1M")
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is no release as documented.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| {
            format!("cannot read {}; `refit pack --help` shows what it holds", file.display())
        })?;
        toml::from_str(&text).with_context(|| format!("{} is no release", file.display()))
    }
}

impl Document {
    /// The link for the manifest; `folder` is where the configuration is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn link(&self, folder: &Path) -> anyhow::Result<Link> {
        let from_file = self.file.as_ref().map(|file| digest_of(&folder.join(file))).transpose()?;
        Ok(Link { url: self.url.clone(), sha256: from_file.or(self.sha256) })
    }
}

fn digest_of(file: &Path) -> anyhow::Result<Digest> {
    let mut hasher = HashWriter(Hasher::default());
    File::open(file)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(hasher.0.finish())
}

struct HashWriter(Hasher);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u32>) {
        let bytes = toml::from_str::<BTreeMap<String, Bytes>>(&format!("size = {text}"));
        assert_eq!(bytes.ok().map(|map| map["size"].0), expected, "{text}");
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        check("4096", Some(4096));
        check("\"4096\"", Some(4096));
        check("\"64 KiB\"", Some(65536));
        check("\"1MiB\"", Some(1 << 20));
        check("\"64k\"", Some(65536));
        check("\"8M\"", Some(8 << 20));
        for bad in ["-1", "\"\"", "\"KiB\"", "\"1 MB\"", "\"5000 MiB\"", "\"1.5 MiB\"", "true"] {
            check(bad, None);
        }
    }
}
