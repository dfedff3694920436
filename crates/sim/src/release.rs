//! The two releases of the fake world: the old one that runs, and the new one.

use crate::chance::Chance;
use crate::scenario::{Image, Layout};
use delta::{DiffOptions, diff};
use package::{
    Class, Codec, Component, ComponentKind, Delta, Deltas, Hook, Manifest, Payload, Phase, Step,
};
use std::collections::BTreeMap;
use trust::{RootDraft, SigningKey, Target, TargetsDraft, sign};
use types::{ComponentState, Digest, Effect, Name, Slot, Timestamp};

/// Bytes of a chunk: the smallest that the format allows.
pub const CHUNK: u32 = 4 << 10;

/// Chunks of the component in banks.
pub const CHUNKS: u32 = 64;

/// Chunks of a component beside it.
const SMALL_CHUNKS: u32 = 6;

/// The rollback index of the old release; the new one's is one more.
pub const OLD_INDEX: u64 = 4;

/// The form of the configuration that the old release works with.
pub const OLD_FORM: u32 = 1;

/// The form that the new release works with.
pub const NEW_FORM: u32 = 2;

/// Bytes that old and new image have in common at a time.
const PIECE: usize = 2000;

/// Bytes of a delta that are decoded again after a crash, at most.
const SPAN: usize = 4 << 10;

/// Bytes of memory that a delta may take.
const HEAP: u64 = 4 << 20;

/// Bytes that are fetched again after a crash, at most: two chunks, or the spans in
/// which the last durable chunk ended and the next one began, and the delta's header.
pub fn again(layout: Layout) -> u64 {
    if Layout::DELTAS.contains(&layout) { (2 * SPAN as u64) + 1024 } else { 2 * u64::from(CHUNK) }
}

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

impl Release {
    /// The inventory of a terminal that left the factory with the old release.
    #[expect(clippy::expect_used, reason = "a world that cannot be made must not be judged")]
    pub fn installed(&self) -> Vec<u8> {
        let mut inventory = agent::Inventory::default();
        for (name, image) in &self.old {
            let version = "1.0".parse().unwrap_or_else(|_| Name::unknown());
            let state = ComponentState { version, image: Digest::of(image) };
            if *name == component_name(Effect::Slot) {
                for slot in Slot::BOTH {
                    inventory.put_slot(slot, name, state.clone());
                }
            } else {
                inventory.put_beside(name, state);
            }
        }
        serde_json::to_vec(&inventory).expect("an inventory is JSON")
    }
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

/// Most of it is in the old image, too, at other places: so a delta reads that, and is
/// long enough to have many points from which it can be decoded again.
fn new_image(effect: Effect) -> Vec<u8> {
    let old = old_image(effect);
    let mut new = Chance::new(23 + effect as u64).bytes(old.len());
    let pieces = new.chunks_exact_mut(PIECE).zip(old.chunks_exact(PIECE).rev()).enumerate();
    for (_, (new, old)) in pieces.filter(|(n, _)| n % 8 > 0) {
        new.copy_from_slice(old);
    }
    new
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
        documents: [(Deltas::ENTRY.into(), b"{}".to_vec())].into(),
        payloads: BTreeMap::new(),
        images: BTreeMap::new(),
        old: BTreeMap::new(),
        root: Vec::new(),
    };
    let components =
        layout.effects().iter().map(|effect| add_component(&mut release, *effect, image));
    let components = components
        .map(|component| match component.effect {
            Effect::Direct if layout.has_copies() => {
                Component { kind: ComponentKind::Bootloader, ..component }
            }
            _ => component,
        })
        .collect();
    let components = match layout {
        Layout::Spare => with_spares(&mut release, components),
        _ => components,
    };
    if Layout::DELTAS.contains(&layout) {
        add_delta(&mut release, layout);
    }
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

/// Another payload for each component, behind the first one, which is damaged.
fn with_spares(release: &mut Release, components: Vec<Component>) -> Vec<Component> {
    let spare = |mut component: Component| {
        let first = component.payloads.first().cloned();
        let entry = format!("payload/{}-spare.zst", component.name);
        let bytes = first.as_ref().and_then(|first| release.payloads.get_mut(&first.entry));
        let sound = bytes.as_ref().map_or_else(Vec::new, |bytes| bytes.to_vec());
        let middle = sound.len() / 2;
        if let Some(byte) = bytes.and_then(|bytes| bytes.get_mut(middle)) {
            *byte ^= 1;
        }
        let sha256 = Digest::of(&sound);
        release.payloads.insert(entry.clone(), sound);
        component.payloads.extend(first.map(|first| Payload { entry, sha256, ..first }));
        component
    };
    components.into_iter().map(spare).collect()
}

/// A delta to the component in banks, which makes what the full payload holds; a bad
/// one something else from its middle on.
#[expect(clippy::expect_used, reason = "a world that cannot be made must not be judged")]
fn add_delta(release: &mut Release, layout: Layout) {
    let component = component_name(Effect::Slot);
    let old = release.old.get(&component).cloned().unwrap_or_default();
    let mut new = release.payloads.values().next().cloned().unwrap_or_default();
    let middle = new.len() / 2;
    if let Some(byte) = new.get_mut(middle).filter(|_| layout == Layout::SlotBadDelta) {
        *byte ^= 1;
    }
    let options = DiffOptions { span: SPAN, max_heap: HEAP, ..DiffOptions::default() };
    let patch = diff(&old, &new, &options, &()).expect("a delta can be made").bytes;
    let entry = package::delta_entry(0);
    let delta = Delta {
        component,
        source: Digest::of(&old),
        entry: entry.clone(),
        size: patch.len() as u64,
        heap: HEAP,
    };
    let list = Deltas { deltas: vec![delta] };
    let list = serde_json::to_vec(&list).expect("a list is JSON");
    release.documents.insert(Deltas::ENTRY.into(), list);
    release.payloads.insert(entry, patch);
}

fn add_component(release: &mut Release, effect: Effect, kind: Image) -> Component {
    let name = component_name(effect);
    let image = new_image(effect);
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
        regions: Vec::new(),
        hardware: vec![name("r1")],
        version: name("2.0"),
        rollback_index: OLD_INDEX + 1,
        class: Class::Security,
        components,
        notes: BTreeMap::new(),
        hooks: vec![Hook {
            phase: Phase::Migrate,
            command: vec!["migrate".into()],
            limit_seconds: 1,
            program: None,
            step: Some(Step { from: OLD_FORM, to: NEW_FORM }),
        }],
        configuration: Some(NEW_FORM),
        support_until: None,
        release_notes: None,
        sbom: None,
    }
}
