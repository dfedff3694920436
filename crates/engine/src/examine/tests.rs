//! One small signed package, and everything that can be done to it.

extern crate std;

use super::*;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::convert::Infallible;
use delta::FrameEncoder;
use package::{Class, ComponentKind, Writer, chunks_entry, crc32, payload_entry};
use serde_json::json;
use std::sync::OnceLock;
use trust::{RootDraft, SigningKey, Target, TargetsDraft, sign};
use types::{Digest, Effect, Name};

const CHUNK: u32 = 4096;

fn now() -> Timestamp {
    "2027-06-01T12:00:00Z".parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32]).unwrap()
}

/// A root with keys 1 and 2, of which both must sign.
fn root() -> &'static Root {
    static ROOT: OnceLock<Root> = OnceLock::new();
    ROOT.get_or_init(make_root)
}

fn make_root() -> Root {
    let keys = [key(1), key(2)];
    let expires = "2036-01-01T00:00:00Z".parse().unwrap();
    let root = RootDraft { version: 1, expires, keys: &keys, threshold: 2 };
    Root::open(&root.sign().unwrap()).unwrap()
}

/// What a package is made of; each part can be exchanged.
#[derive(Clone)]
struct Parts {
    manifest: Vec<u8>,
    targets: Option<Vec<u8>>,
    rest: Vec<(String, Vec<u8>)>,
}

fn component(label: &str, image: &[u8]) -> (Component, Vec<u8>, Vec<u8>) {
    let chunks = || image.chunks(CHUNK as usize);
    let list: Vec<u8> = chunks().flat_map(|c| Digest::of(c).0).collect();
    let mut encoder = FrameEncoder::new(3).unwrap();
    let payload: Vec<u8> = chunks().flat_map(|c| encoder.encode(c).unwrap()).collect();
    let described = Component {
        name: name(label),
        kind: ComponentKind::Rootfs,
        effect: Effect::Slot,
        version: None,
        image: Image {
            size: image.len() as u64,
            sha256: Digest::of(image),
            chunk_size: CHUNK,
            chunks: Digest::of(&list),
        },
        payloads: vec![Payload {
            codec: Codec::ZstdFrames,
            entry: payload_entry(&name(label)),
            size: payload.len() as u64,
            sha256: Digest::of(&payload),
            encryption: None,
        }],
        works_with_both: false,
    };
    (described, list, payload)
}

/// A release of two components, filled with `seed`; not signed.
fn release(version: &str, seed: u8, change: impl FnOnce(&mut Manifest)) -> Parts {
    let rootfs: Vec<u8> = (0..9000u32).map(|n| (n / 7) as u8 ^ seed).collect();
    let application: Vec<u8> = (0..300u32).map(|n| n as u8 ^ seed).collect();
    let (rootfs, application) = (component("rootfs", &rootfs), component("app", &application));
    let mut manifest = Manifest {
        format: Manifest::FORMAT,
        product: name("acme-router"),
        variants: vec![],
        regions: vec![],
        hardware: vec![name("rev-a")],
        version: name(version),
        rollback_index: 3,
        class: Class::Security,
        components: vec![rootfs.0, application.0],
        notes: BTreeMap::new(),
        hooks: vec![],
        configuration: None,
        support_until: None,
        release_notes: None,
        sbom: None,
    };
    change(&mut manifest);
    let rest = vec![
        (chunks_entry(&name("rootfs")), rootfs.1),
        (chunks_entry(&name("app")), application.1),
        (payload_entry(&name("rootfs")), rootfs.2),
        (payload_entry(&name("app")), application.2),
    ];
    Parts { manifest: serde_json::to_vec(&manifest).unwrap(), targets: None, rest }
}

impl Parts {
    fn signed(mut self, keys: &[SigningKey]) -> Self {
        let target = Target { name: Manifest::ENTRY, bytes: &self.manifest, custom: json!({}) };
        let expires = "2028-01-01T00:00:00Z".parse().unwrap();
        let draft = TargetsDraft { version: 1, expires, targets: &[target] }.unsigned();
        let sealed = keys.iter().fold(draft, |sealed, key| sign(&sealed, key).unwrap());
        self.targets = Some(sealed.bytes().to_vec());
        self
    }

    fn zip(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(|bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        writer.entry(Manifest::ENTRY, &self.manifest).unwrap();
        if let Some(targets) = &self.targets {
            writer.entry("targets.json", targets).unwrap();
        }
        for (name, bytes) in &self.rest {
            writer.entry(name, bytes).unwrap();
        }
        writer.finish().unwrap();
        out
    }
}

fn good() -> Parts {
    release("1.0", 1, |_| ()).signed(&[key(1), key(2)])
}

/// The verdict of a server, or of `refit verify`, on these bytes.
fn verdict(bytes: &[u8]) -> Result<(), Refusal> {
    match examine(bytes, Some(root()), now()) {
        Ok(_) => Ok(()),
        Err(ExamineError::Refused(refusal)) => Err(refusal),
        Err(ExamineError::Source(error)) => panic!("read outside the source: {error}"),
    }
}

fn check(parts: &Parts, outcome: Outcome, detail: &str) {
    let refusal = verdict(&parts.zip()).expect_err(detail);
    assert_eq!((refusal.outcome, refusal.detail.as_str()), (outcome, detail));
}

#[test]
fn a_good_package_is_found_good() {
    let zip = good().zip();
    let examined = examine(&zip[..], Some(root()), now()).unwrap();
    assert_eq!(examined.release().version, name("1.0"));
    assert_eq!(examined.targets.unwrap().version(), 1);
    assert!(examine(&release("1.0", 1, |_| ()).zip()[..], None, now()).is_ok());
}

/// Every byte of the package, each with several masks: refused each time.
#[test]
fn flipping_any_byte_makes_the_package_refused() {
    let mut zip = good().zip();
    let masks = [0x01, 0x20, 0x80, 0xff];
    for at in 0..zip.len() {
        for mask in masks {
            zip[at] ^= mask;
            assert!(verdict(&zip).is_err(), "byte {at} with mask {mask:#x} is not covered");
            zip[at] ^= mask;
        }
    }
    assert_eq!(verdict(&zip), Ok(()));
    std::println!("flipped {} bytes with {} masks each", zip.len(), masks.len());
}

/// A package with one delta of `component`, whatever it holds.
fn with_delta(component: &str) -> Parts {
    let delta = package::Delta {
        component: name(component),
        source: Digest([9; 32]),
        entry: package::delta_entry(0),
        size: 5,
        heap: 1,
    };
    let list = package::Deltas { deltas: vec![delta] };
    let mut parts = good();
    parts.rest.insert(0, (package::Deltas::ENTRY.into(), serde_json::to_vec(&list).unwrap()));
    parts.rest.push((package::delta_entry(0), b"delta".to_vec()));
    parts
}

#[test]
fn deltas_come_unsigned_and_covered() {
    let mut zip = with_delta("rootfs").zip();
    assert_eq!(examine(&zip[..], Some(root()), now()).unwrap().package.deltas().deltas.len(), 1);
    for at in 0..zip.len() {
        zip[at] ^= 1;
        assert!(verdict(&zip).is_err(), "byte {at} is not covered");
        zip[at] ^= 1;
    }
    check(
        &with_delta("modem"),
        Outcome::Malformed,
        "`delta/0` is a delta of `modem`, which the release has not",
    );
    let mut parts = with_delta("rootfs");
    parts.rest.pop();
    check(&parts, Outcome::Malformed, "the package has no entry `delta/0`");
    let mut parts = with_delta("rootfs");
    parts.rest.push((package::delta_entry(1), b"more".to_vec()));
    check(&parts, Outcome::Malformed, "entry `delta/1` is not in the manifest");
}

#[test]
fn an_image_comes_out_of_its_package() {
    let zip = good().zip();
    let examined = examine(&zip[..], None, now()).unwrap();
    for component in &examined.manifest.components {
        let mut image = Vec::new();
        let mut take = |chunk: &[u8]| image.extend_from_slice(chunk);
        extract(&zip[..], &examined.package, component, &mut take).unwrap();
        assert_eq!(Digest::of(&image), component.image.sha256);
    }
}

/// The same with the checksums repaired, as one does who means it: what is under
/// the signature is covered by more than a CRC-32.
#[test]
fn flipping_any_signed_byte_is_refused_with_right_checksums_too() {
    let parts = good();
    for at in 0..parts.manifest.len() {
        let mut flipped = parts.clone();
        flipped.manifest[at] ^= 1;
        check(
            &flipped,
            Outcome::Malformed,
            "`manifest.json` is not what was signed: its digest differs",
        );
    }
    for part in 0..parts.rest.len() {
        for at in 0..parts.rest[part].1.len() {
            let mut flipped = parts.clone();
            flipped.rest[part].1[at] ^= 1;
            assert_eq!(verdict(&flipped.zip()).unwrap_err().outcome, Outcome::Malformed);
        }
    }
}

#[test]
fn a_cut_package_is_refused_at_every_length() {
    let zip = good().zip();
    for len in 0..zip.len() {
        assert_eq!(verdict(&zip[..len]).unwrap_err().outcome, Outcome::Malformed, "{len} bytes");
    }
}

#[test]
fn signatures_decide() {
    let unsigned = release("1.0", 1, |_| ());
    check(&unsigned, Outcome::UntrustedKey, "the package is not signed");
    check(
        &unsigned.clone().signed(&[key(7), key(8)]),
        Outcome::UntrustedKey,
        "no trusted key signed targets",
    );
    let too_few = "only 1 of the 2 required different keys signed targets";
    check(&unsigned.clone().signed(&[key(1)]), Outcome::TooFewSignatures, too_few);
    check(&unsigned.signed(&[key(1), key(1)]), Outcome::TooFewSignatures, too_few);
}

#[test]
fn an_expired_package_is_refused() {
    let zip = good().zip();
    let later = "2028-01-01T00:00:00Z".parse().unwrap();
    let error = examine(&zip[..], Some(root()), later).unwrap_err();
    assert_eq!(error.to_string(), "targets expired at 2028-01-01T00:00:00Z");
}

#[test]
fn packages_recombined_from_two_valid_ones_are_refused() {
    let (one, two) = (good(), release("2.0", 2, |_| ()).signed(&[key(1), key(2)]));
    assert_eq!(verdict(&two.zip()), Ok(()));
    let mut mixed = one.clone();
    mixed.targets.clone_from(&two.targets);
    check(&mixed, Outcome::Malformed, "`manifest.json` is not what was signed: its digest differs");
    let lists = "the list of chunk digests is not the signed one: its digest differs";
    let expected = [
        (0, lists),
        (1, lists),
        (2, "`payload/rootfs.zst` is not the payload that the manifest speaks of"),
        (3, "`payload/app.zst` is not the payload that the manifest speaks of"),
    ];
    for (part, detail) in expected {
        let mut mixed = one.clone();
        mixed.rest[part].1.clone_from(&two.rest[part].1);
        let refusal = verdict(&mixed.zip()).unwrap_err();
        // Another release's payload may have another size; that is said first.
        let sized = refusal.detail.as_str().contains("the manifest says");
        assert!(sized || refusal.detail.as_str() == detail, "{refusal}");
        assert_eq!(refusal.outcome, Outcome::Malformed);
    }
}

#[test]
fn nothing_may_be_added_left_out_or_moved() {
    let mut added = good();
    added.rest.push(("payload/more.zst".into(), vec![1]));
    check(&added, Outcome::Malformed, "entry `payload/more.zst` is not in the manifest");
    let mut less = good();
    less.rest.pop();
    check(&less, Outcome::Malformed, "the package has no entry `payload/app.zst`");
    let mut moved = good();
    moved.rest.swap(0, 1);
    check(&moved, Outcome::Malformed, "entry `chunks/app` is not where it belongs");
    let mut longer = good();
    longer.rest[3].1.push(0);
    let size = longer.rest[3].1.len();
    let detail =
        alloc::format!("entry `payload/app.zst` has {size} bytes, the manifest says {}", size - 1);
    check(&longer, Outcome::Malformed, &detail);
}

/// A maker's own mistake: everything is signed, but the payload is not the image.
fn check_mistake(payload: Vec<u8>, outcome: Outcome, detail: &str) {
    let described = payload.clone();
    let mut parts = release("1.0", 1, |manifest| {
        manifest.components[0].payloads[0].size = described.len() as u64;
        manifest.components[0].payloads[0].sha256 = Digest::of(&described);
    });
    parts.rest[2].1 = payload;
    check(&parts.signed(&[key(1), key(2)]), outcome, detail);
}

#[test]
fn a_payload_must_decode_to_the_signed_image() {
    let payload = good().rest[2].1.clone();
    let mut more = payload.clone();
    more.extend(&good().rest[3].1);
    let sentence =
        |outcome: Outcome| alloc::format!("`payload/rootfs.zst`: {}", outcome.sentence());
    check_mistake(more, Outcome::Oversized, &sentence(Outcome::Oversized));
    let less = payload[..payload.len() - 1].to_vec();
    check_mistake(less, Outcome::Truncated, &sentence(Outcome::Truncated));
    let other = release("2.0", 2, |_| ()).rest[2].1.clone();
    let detail = "`payload/rootfs.zst`: chunk 0 is not the signed one: its digest differs";
    check_mistake(other, Outcome::CorruptPayload, detail);
    let detail = "`payload/rootfs.zst`: chunk 0: no Zstandard frame starts here";
    check_mistake(vec![0; 100], Outcome::CorruptPayload, detail);
}

#[test]
fn the_whole_images_digest_counts_too() {
    let parts = release("1.0", 1, |manifest| {
        manifest.components[0].image.sha256 = Digest::of(b"another");
    });
    let detail = "`payload/rootfs.zst`: its chunks are as signed, but the whole image's digest \
                  is another";
    check(&parts.signed(&[key(1), key(2)]), Outcome::CorruptPayload, detail);
}

#[test]
fn payloads_of_a_later_format_are_covered_by_their_digest() {
    let encrypted = release("1.0", 1, |manifest| {
        manifest.components[0].payloads[0].encryption = Some("age".into());
    });
    let mut signed = encrypted.signed(&[key(1), key(2)]);
    assert_eq!(verdict(&signed.zip()), Ok(()));
    signed.rest[2].1[5] ^= 1;
    let detail = "`payload/rootfs.zst` is not the payload that the manifest speaks of";
    check(&signed, Outcome::Malformed, detail);
}

#[test]
fn a_proof_is_passed_over_but_not_its_damage() {
    let mut parts = good();
    parts.rest.insert(0, ("proof.tlog".into(), b"c2sp.org/tlog-proof@v1\n".to_vec()));
    let mut zip = parts.zip();
    assert_eq!(verdict(&zip), Ok(()));
    let at = zip.windows(4).position(|w| w == b"c2sp").unwrap();
    zip[at] ^= 1;
    assert!(verdict(&zip).unwrap_err().detail.as_str().contains("checksum"));
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

/// A package in memory that grows with its payload, not with its image: 4 GiB and
/// some of equal chunks are as many equal frames.
#[test]
fn an_image_beyond_4_gib_is_examined_to_its_end() {
    let (chunk, last) = (vec![7; 1 << 20], vec![7; 10]);
    let count = 4097;
    let mut encoder = FrameEncoder::new(1).unwrap();
    let frame = encoder.encode(&chunk).unwrap();
    let mut payload = frame.repeat(count);
    payload.extend(encoder.encode(&last).unwrap());
    let mut list = Digest::of(&chunk).0.repeat(count);
    list.extend(Digest::of(&last).0);
    let mut whole = Hasher::default();
    (0..count).for_each(|_| whole.update(&chunk));
    whole.update(&last);
    let image = Image {
        size: ((count as u64) << 20) + 10,
        sha256: whole.finish(),
        chunk_size: 1 << 20,
        chunks: Digest::of(&list),
    };
    let mut parts = release("1.0", 1, |manifest| {
        manifest.components[0].image = image;
        manifest.components[0].payloads[0].size = payload.len() as u64;
        manifest.components[0].payloads[0].sha256 = Digest::of(&payload);
    });
    parts.rest[0].1 = list;
    parts.rest[2].1 = payload;
    let parts = parts.signed(&[key(1), key(2)]);
    assert_eq!(verdict(&parts.zip()), Ok(()));
    // The very last chunk counts as much as the first.
    let mut cut = parts.clone();
    cut.rest[0].1.truncate(count * 32);
    assert!(verdict(&cut.zip()).is_err());
}

/// A signed package whose hook brings `program`, of which `signed` is signed.
fn hooked(signed: &[u8], program: &[u8]) -> Vec<u8> {
    let (size, sha256) = (signed.len() as u32, Digest::of(signed));
    let hook = package::Hook {
        phase: package::Phase::BeforeInstall,
        command: vec!["check".to_string()],
        limit_seconds: 1,
        program: Some(package::Program { entry: "hooks/check".to_string(), size, sha256 }),
        step: None,
    };
    let mut parts = release("1.0", 1, |manifest| manifest.hooks = vec![hook.clone(), hook]);
    parts.rest.insert(2, ("hooks/check".to_string(), program.to_vec()));
    parts.signed(&[key(1), key(2)]).zip()
}

#[test]
fn programs_of_hooks_are_those_that_were_signed() {
    assert_eq!(verdict(&hooked(b"#!/bin/sh", b"#!/bin/sh")), Ok(()));
    for other in [&b"#!/bin/sx"[..], b"#!/bin/s", b"#!/bin/sh "] {
        let refused = verdict(&hooked(b"#!/bin/sh", other)).unwrap_err();
        assert_eq!(refused.outcome, Outcome::Malformed, "{refused}");
    }
}
