//! A package from anybody: whoever reads it forward and whoever reads it anywhere see
//! the same entries, or refuse it.

use package::{Archive, Manifest, Package, Stream, Writer};
use std::convert::Infallible;

/// The most bytes of an entry that are read.
const MOST: u64 = 1 << 20;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let manifest = crate::documents::MANIFEST.as_bytes();
    let entries = [(Manifest::ENTRY, manifest), ("targets.json", b"{}"), ("chunks/0", b"01")];
    let made = |count: usize| written(entries.get(..count).unwrap_or_default());
    [made(1), made(2), made(3)].into_iter().flatten().collect()
}

fn written(entries: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = Writer::new(|bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    for (name, bytes) in entries {
        writer.entry(name, bytes).ok()?;
    }
    writer.finish().ok()?;
    Some(out)
}

pub(crate) fn run(data: &[u8]) {
    let archive = Archive::open(data);
    let forward = forward(data);
    if let Ok(archive) = &archive {
        let sound = |entry: &package::Entry| archive.read(data, &entry.name, MOST).is_ok();
        let all = archive.entries().iter().all(sound);
        assert!(!all || forward.is_some(), "only who reads it forward refuses it");
    }
    if let Some(entries) = forward {
        let same = archive.is_ok_and(|archive| archive.entries() == entries);
        assert!(same, "only who reads it forward takes it");
    }
    if let Ok(package) = Package::open(data) {
        let manifest = types::tree::from_json::<Manifest>(package.manifest());
        let _ = manifest.map(|manifest| package.check_layout(&manifest));
    }
}

/// The entries, as one sees them who gets a byte at a time.
fn forward(data: &[u8]) -> Option<Vec<package::Entry>> {
    let mut stream = Stream::new();
    for byte in data.chunks(1) {
        let mut input = byte;
        while stream.next(&mut input).ok()?.is_some() {}
    }
    stream.finish().ok()
}
