//! Packages as their entries, to be put together in ways that no maker would.

use package::{Archive, Writer};
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

/// The entries of a package, in order.
#[derive(Clone)]
pub(crate) struct Entries(Vec<(String, Vec<u8>)>);

/// Names of a package's entries.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const TARGETS: &str = "targets.json";
pub(crate) const CHUNKS: &str = "chunks/rootfs";
pub(crate) const PAYLOAD: &str = "payload/rootfs.zst";
pub(crate) const ALL: [&str; 4] = [MANIFEST, TARGETS, CHUNKS, PAYLOAD];

impl Entries {
    pub(crate) fn of(package: &Path) -> Self {
        let bytes = fs::read(package).unwrap();
        let archive = Archive::open(bytes.as_slice()).unwrap();
        let read = |name: &str| archive.read(bytes.as_slice(), name, u64::MAX).unwrap();
        Self(ALL.into_iter().map(|name| (name.into(), read(name))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        &self.0.iter().find(|(own, _)| own == name).unwrap().1
    }

    /// The same with other bytes of `name`.
    pub(crate) fn with(&self, name: &str, bytes: &[u8]) -> Self {
        let mut entries = self.clone();
        entries.0.iter_mut().find(|(own, _)| own == name).unwrap().1 = bytes.into();
        entries
    }

    /// The same with the bytes that `other` has for `names`.
    pub(crate) fn with_those_of(&self, other: &Self, names: &[&str]) -> Self {
        names.iter().fold(self.clone(), |entries, name| entries.with(name, other.get(name)))
    }

    /// A package of these entries, with correct checksums.
    pub(crate) fn write(&self, path: PathBuf) -> PathBuf {
        let mut out = Vec::new();
        let mut writer = Writer::new(|bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        for (name, bytes) in &self.0 {
            writer.entry(name, bytes).unwrap();
        }
        writer.finish().unwrap();
        fs::write(&path, out).unwrap();
        path
    }

    /// The entries as files of a folder, as a server has them.
    pub(crate) fn unpack(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// `bytes` with one bit of byte `at` changed.
pub(crate) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}
