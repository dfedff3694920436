//! A maker with two keys, and small packages.

use delta::FrameEncoder;
use package::{
    Class, Codec, Component, ComponentKind, Manifest, Payload, Writer, chunks_entry, payload_entry,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use trust::{RootDraft, SigningKey, Target, TargetsDraft, sign};
use types::{Digest, Effect, Image, Name, Timestamp};

const CHUNK: usize = 64 << 10;
/// Chunks of an image; sixteen times as many in versions called `big`, of several
/// MiB, so that a cut leaves some unsent.
const CHUNKS: usize = 8;

/// Whose keys the server knows.
pub(crate) struct Maker {
    keys: [SigningKey; 2],
}

impl Default for Maker {
    fn default() -> Self {
        Self::with_seeds([1, 2])
    }
}

/// The image of a version: noise that does not shrink.
pub(crate) fn image(version: &str) -> Vec<u8> {
    let mut state = Digest::of(version.as_bytes()).0;
    let size = CHUNK * CHUNKS * if version.ends_with("big") { 16 } else { 1 };
    let mut out = Vec::with_capacity(size);
    while out.len() < size {
        state = Digest::of(&state).0;
        out.extend(state);
    }
    out
}

/// `image` after a small change: a few bytes here and there are others, and some more.
pub(crate) fn edited(image: &[u8]) -> Vec<u8> {
    let mut out = image.to_vec();
    for at in (0..out.len()).step_by(CHUNK) {
        out[at..at + 16].fill(0x5a);
    }
    out.extend(vec![7; CHUNK]);
    out
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn far() -> Timestamp {
    "2099-01-01T00:00:00Z".parse().unwrap()
}

impl Maker {
    /// A maker with other keys.
    pub(crate) fn with_seeds(seeds: [u8; 2]) -> Self {
        Self { keys: seeds.map(|seed| SigningKey::from_seed([seed; 32]).unwrap()) }
    }

    /// A good package of `version` with the image of another one.
    pub(crate) fn package_with(&self, version: &str, content: &str) -> Vec<u8> {
        self.make(version, &image(content), &self.keys, &[])
    }

    /// A good package of `version` with this image.
    pub(crate) fn package_of(&self, version: &str, image: &[u8]) -> Vec<u8> {
        self.make(version, image, &self.keys, &[])
    }

    /// `root.json`: both keys must sign.
    pub(crate) fn root(&self) -> Vec<u8> {
        let draft = RootDraft { version: 1, expires: far(), keys: &self.keys, threshold: 2 };
        draft.sign().unwrap().bytes().to_vec()
    }

    /// A good package of `version`, whose number is its rollback index.
    pub(crate) fn package(&self, version: &str) -> Vec<u8> {
        self.package_for(version, &[])
    }

    /// A good package of `version` that is for these regions.
    pub(crate) fn package_for(&self, version: &str, regions: &[&str]) -> Vec<u8> {
        self.make(version, &image(version), &self.keys, regions)
    }

    /// A package that one key too few signed.
    pub(crate) fn half_signed(&self, version: &str) -> Vec<u8> {
        self.make(version, &image(version), &self.keys[..1], &[])
    }

    fn make(&self, version: &str, image: &[u8], keys: &[SigningKey], regions: &[&str]) -> Vec<u8> {
        let list: Vec<u8> = image.chunks(CHUNK).flat_map(|chunk| Digest::of(chunk).0).collect();
        let mut encoder = FrameEncoder::new(1).unwrap();
        let payload: Vec<u8> =
            image.chunks(CHUNK).flat_map(|chunk| encoder.encode(chunk).unwrap()).collect();
        let regions = regions.iter().map(|region| name(region)).collect();
        let manifest = Manifest { regions, ..manifest(version, image, &list, &payload) };
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let target = Target { name: Manifest::ENTRY, bytes: &manifest, custom: json!({}) };
        let draft = TargetsDraft { version: 1, expires: far(), targets: &[target] }.unsigned();
        let targets = keys.iter().fold(draft, |sealed, key| sign(&sealed, key).unwrap());
        let rootfs = name("rootfs");
        zip(&[
            (Manifest::ENTRY.into(), &manifest),
            ("targets.json".into(), targets.bytes()),
            (chunks_entry(&rootfs), &list),
            (payload_entry(&rootfs), &payload),
        ])
    }
}

fn manifest(version: &str, image: &[u8], list: &[u8], payload: &[u8]) -> Manifest {
    let component = Component {
        name: name("rootfs"),
        kind: ComponentKind::Rootfs,
        effect: Effect::Slot,
        version: None,
        image: Image {
            size: image.len() as u64,
            sha256: Digest::of(image),
            chunk_size: CHUNK as u32,
            chunks: Digest::of(list),
        },
        payloads: vec![Payload {
            codec: Codec::ZstdFrames,
            entry: payload_entry(&name("rootfs")),
            size: payload.len() as u64,
            sha256: Digest::of(payload),
            encryption: None,
        }],
        works_with_both: false,
    };
    let major = version.split('.').next().unwrap();
    Manifest {
        format: Manifest::FORMAT,
        product: name("router"),
        variants: vec![],
        regions: vec![],
        hardware: vec![name("r1")],
        version: name(version),
        rollback_index: major.parse().unwrap(),
        class: Class::Feature,
        components: vec![component],
        notes: BTreeMap::new(),
        hooks: vec![],
        configuration: None,
        support_until: None,
        release_notes: None,
        sbom: None,
    }
}

fn zip(entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(|bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    for (name, bytes) in entries {
        writer.entry(name, bytes).unwrap();
    }
    writer.finish().unwrap();
    out
}
