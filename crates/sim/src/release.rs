//! The two releases of the fake world: the old one that runs, and the new one.

use crate::chance::Chance;
use crate::scenario::{Image, Layout};
use package::{Class, Codec, Component, ComponentKind, Manifest, Payload};
use std::collections::BTreeMap;
use trust::{RootDraft, SigningKey, Target, TargetsDraft, sign};
use types::{Digest, Effect, Name, Timestamp};

/// Bytes of a chunk: the smallest that the format allows.
pub const CHUNK: u32 = 4 << 10;

/// Chunks of the component in banks.
pub const CHUNKS: u32 = 64;

/// Chunks of a component beside it.
const SMALL_CHUNKS: u32 = 6;

/// The rollback index of the old release; the new one's is one more.
pub const OLD_INDEX: u64 = 4;

/// When all this happens.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A signed release as a feed serves it.
pub struct Release {
    /// Documents by name.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// Payload bytes by entry: the image itself, chunk by chunk.
    pub payloads: BTreeMap<String, Vec<u8>>,
    /// What each component's image should be.
    pub images: BTreeMap<Name, Vec<u8>>,
    /// The old release's images.
    pub old: BTreeMap<Name, Vec<u8>>,
    /// The pinned root.
    pub root: Vec<u8>,
}

/// The name of the component with this effect.
pub fn component_name(effect: Effect) -> Name {
    let name = match effect {
        Effect::Slot => "rootfs",
        Effect::Live => "application",
        Effect::Direct => "modem",
    };
    name.parse().unwrap_or_else(|_| Name::unknown())
}

fn old_image(effect: Effect) -> Vec<u8> {
    Chance::new(11 + effect as u64).bytes(image_len(effect))
}

fn image_len(effect: Effect) -> usize {
    let chunks = if effect == Effect::Slot { CHUNKS } else { SMALL_CHUNKS };
    // The last chunk is not full.
    (chunks * CHUNK - 100) as usize
}

/// The new release.
///
/// # Panics
/// When it cannot be made, which is a bug of the simulator.
#[expect(clippy::expect_used, reason = "a world that cannot be made must not be judged")]
pub fn new_release(layout: Layout, image: Image) -> Release {
    let mut release = Release {
        documents: BTreeMap::new(),
        payloads: BTreeMap::new(),
        images: BTreeMap::new(),
        old: BTreeMap::new(),
        root: Vec::new(),
    };
    let components =
        layout.effects().iter().map(|effect| add_component(&mut release, *effect, image)).collect();
    let manifest = serde_json::to_vec(&manifest(components)).expect("a manifest is JSON");
    let key = SigningKey::from_seed([7; 32]).expect("any seed is a key");
    let expires = Timestamp(NOW.0 + 1_000_000_000);
    let target = Target { name: "manifest.json", bytes: &manifest, custom: serde_json::json!({}) };
    let targets = TargetsDraft { version: 1, expires, targets: &[target] };
    let signed = sign(&targets.unsigned(), &key).expect("targets can be signed");
    release.documents.insert("targets.json".into(), signed.bytes().to_vec());
    release.documents.insert("manifest.json".into(), manifest);
    let root = RootDraft { version: 1, expires, keys: &[key], threshold: 1 };
    release.root = root.sign().expect("a root can be signed").bytes().to_vec();
    release
}

fn add_component(release: &mut Release, effect: Effect, kind: Image) -> Component {
    let name = component_name(effect);
    let image = Chance::new(23 + effect as u64).bytes(image_len(effect));
    let list: Vec<u8> =
        image.chunks(CHUNK as usize).flat_map(|chunk| Digest::of(chunk).0).collect();
    let mut payload = image.clone();
    if kind == Image::Corrupt
        && let Some(byte) = payload.get_mut(image.len() * 2 / 3)
    {
        *byte ^= 1;
    }
    let entry = format!("payload/{name}.zst");
    let described = types::Image {
        size: image.len() as u64,
        sha256: Digest::of(&image),
        chunk_size: CHUNK,
        chunks: Digest::of(&list),
    };
    let stated = Payload {
        codec: Codec::ZstdFrames,
        entry: entry.clone(),
        size: payload.len() as u64,
        sha256: Digest::of(&payload),
        encryption: None,
    };
    release.documents.insert(format!("chunks/{name}"), list);
    release.payloads.insert(entry, payload);
    release.images.insert(name.clone(), image);
    release.old.insert(name.clone(), old_image(effect));
    Component {
        name,
        kind: ComponentKind::Rootfs,
        effect,
        version: None,
        image: described,
        payloads: vec![stated],
        works_with_both: effect == Effect::Direct,
    }
}

fn manifest(components: Vec<Component>) -> Manifest {
    let name = |text: &str| text.parse().unwrap_or_else(|_| Name::unknown());
    Manifest {
        format: Manifest::FORMAT,
        product: name("router"),
        variants: Vec::new(),
        hardware: vec![name("r1")],
        version: name("2.0"),
        rollback_index: OLD_INDEX + 1,
        class: Class::Security,
        components,
        notes: BTreeMap::new(),
        hooks: Vec::new(),
        support_until: None,
        release_notes: None,
        sbom: None,
    }
}
