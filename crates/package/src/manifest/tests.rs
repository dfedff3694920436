//! Manifests with one thing wrong each, and one that has everything.

use super::*;
use alloc::vec;
use serde_json::{Value, json};

fn digest(byte: u8) -> Value {
    format!("{byte:02x}").repeat(32).into()
}

/// Every field there is.
fn full() -> Value {
    json!({
        "format": 1,
        "product": "acme-r7000",
        "variants": ["telco-x"],
        "regions": ["DE", "AT"],
        "hardware": ["rev-a", "rev-b"],
        "version": "2.4.1",
        "rollback_index": 7,
        "class": "security",
        "components": [
            {
                "name": "rootfs", "kind": "rootfs", "effect": "slot",
                "image": {"size": 5000, "sha256": digest(1), "chunk_size": 4096,
                    "chunks": digest(2)},
                "payloads": [
                    {"codec": "from-2031", "entry": "payload/rootfs.new", "size": 9,
                        "sha256": digest(3)},
                    {"codec": "zstd-frames", "entry": "payload/rootfs.zst", "size": 100,
                        "sha256": digest(4), "encryption": "age"},
                ],
            },
            {
                "name": "modem", "kind": "modem", "effect": "direct", "version": "5.1",
                "image": {"size": 1, "sha256": digest(5), "chunk_size": 1 << 20,
                    "chunks": digest(6)},
                "payloads": [{"codec": "zstd-frames", "entry": "payload/modem.zst", "size": 10,
                    "sha256": digest(7)}],
                "works_with_both": true,
            },
        ],
        "notes": {"en": "Closes a hole.", "de-CH": "Schliesst eine Luecke."},
        "hooks": [{"phase": "before-install", "command": ["/bin/check", "-v"],
            "limit_seconds": 30}],
        "support_until": "2031-12-31T00:00:00Z",
        "release_notes": {"url": "https://acme.example/2.4.1"},
        "sbom": {"url": "https://acme.example/2.4.1.json", "sha256": digest(8)},
    })
}

fn decode(value: &Value) -> Result<Manifest, String> {
    Manifest::decode(value.to_string().as_bytes())
}

#[test]
fn everything_is_read() {
    let manifest = decode(&full()).unwrap();
    assert_eq!(manifest.components[0].payloads[0].codec, Codec::Unknown);
    assert_eq!(manifest.version_of(&manifest.components[0]).as_str(), "2.4.1");
    assert_eq!(manifest.version_of(&manifest.components[1]).as_str(), "5.1");
    let entries: Vec<_> = manifest.entries().collect();
    let expected = [
        ("chunks/rootfs", 64),
        ("chunks/modem", 32),
        ("payload/rootfs.new", 9),
        ("payload/rootfs.zst", 100),
        ("payload/modem.zst", 10),
    ];
    assert_eq!(entries, expected.map(|(name, size)| (name.to_string(), size)));
}

#[test]
fn what_is_written_is_read_again() {
    let mut value = full();
    value["components"][0]["payloads"].as_array_mut().unwrap().remove(0);
    let manifest = decode(&value).unwrap();
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(written, value);
}

/// Replaces what is at `pointer`, and says why the manifest is refused then.
fn check(pointer: &str, value: Value, expected: &str) {
    let mut manifest = full();
    *manifest.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    let said = decode(&manifest).err().unwrap_or_default();
    assert!(said.contains(expected), "{pointer}: {said:?} instead of {expected:?}");
}

#[test]
fn rules_are_kept() {
    check("/format", 2.into(), "manifest has format 2, not 1");
    check("/hardware", json!([]), "names no hardware");
    check("/hardware", json!(vec!["a"; 257]), "a list of over 256");
    check("/variants", json!(vec!["a"; 257]), "a list of over 256");
    check("/regions", json!(vec!["a"; 257]), "a list of over 256");
    check("/regions/0", "D E".into(), "is no name");
    check("/product", "../etc".into(), "is no name");
    check("/components", json!([]), "no component");
    check("/components/1/name", "rootfs".into(), "a component is named twice");
    check("/components/1/name", "a/b".into(), "is no name");
    check("/components/1/works_with_both", false.into(), "must work with old and new");
    check("/components/0/payloads", json!([]), "has not 1 to 8 payloads");
    check("/notes/en", "x".repeat((16 << 10) + 1).into(), "over 16 KiB");
    check("/hooks/0/command", json!([]), "empty or too long");
    check("/hooks/0/command/0", "x".repeat(257).into(), "empty or too long");
    check("/hooks/0/limit_seconds", 0.into(), "not 1 to 3600");
    check("/hooks/0/limit_seconds", 3601.into(), "not 1 to 3600");
    check("/rollback_index", (-1).into(), "invalid value");
    check("/class", "urgent".into(), "unknown variant");
}

#[test]
fn images_have_bounds() {
    let at = "/components/0/image";
    let image = |size: u64, chunk: u64| json!({"size": size, "sha256": digest(1), "chunk_size": chunk, "chunks": digest(2)});
    check(at, image(0, 4096), "image size is not from 1 byte to 1 TiB");
    check(at, image((1 << 40) + 1, 4096), "image size is not from 1 byte to 1 TiB");
    for chunk in [0, 1, 2048, 4097, 3 << 19, 2 << 20, u64::from(u32::MAX)] {
        check(at, image(5000, chunk), "chunk size is not a power of two");
    }
    let over = "has over 1 MiB of chunk digests";
    check(at, image((4 << 30) + 1, 128 << 10), over);
    let fits = |size, chunk| {
        let mut manifest = full();
        manifest["components"][0]["image"] = image(size, chunk);
        decode(&manifest).is_ok()
    };
    assert!(fits(4 << 30, 128 << 10) && fits(1 << 40, 1 << 20));
    check("/components/0/image/sha256", "AB".repeat(32).into(), "64 lower-case hex digits");
}

#[test]
fn payloads_stay_in_their_folder() {
    let at = "/components/1/payloads/0/entry";
    for bad in ["payload/../manifest.json", "manifest.json", "/payload/a", "payload/", "payload/.a"]
    {
        check(at, bad.into(), "whose entry is not in `payload/`");
    }
    check(at, "payload/rootfs.zst".into(), "an entry is named twice");
    check("/components/1/payloads/0/size", 0.into(), "a size that no payload has");
    check("/components/1/payloads/0/size", u64::MAX.into(), "a size that no payload has");
}

#[test]
fn unknown_and_repeated_fields_are_refused() {
    let text = full().to_string();
    let said = |text: &str| Manifest::decode(text.as_bytes()).unwrap_err();
    assert!(said(&text.replacen('{', "{\"more\":1,", 1)).contains("unknown field"));
    assert!(said(&text.replacen('{', "{\"format\":1,", 1)).contains("duplicate field"));
    let twice = text.replacen("\"en\":", "\"de-CH\":\"\",\"en\":", 1);
    assert!(said(&twice).contains("a language has two texts"), "{}", said(&twice));
    assert!(said(&(text.clone() + "x")).contains("trailing"));
    assert!(said("").contains("EOF"));
}

#[test]
fn counts_fit_the_cursor() {
    let mut manifest = full();
    let component = manifest["components"][1].clone();
    let many: Vec<_> = (0..33)
        .map(|n| {
            let mut one = component.clone();
            one["name"] = format!("c{n}").into();
            one["payloads"][0]["entry"] = format!("payload/c{n}.zst").into();
            one
        })
        .collect();
    manifest["components"] = json!(many[..32]);
    assert!(decode(&manifest).is_ok());
    manifest["components"] = json!(many);
    assert_eq!(decode(&manifest).unwrap_err(), "more than 32 components");
    let nine: Vec<_> = (0..9)
        .map(|n| {
            let mut one = component["payloads"][0].clone();
            one["entry"] = format!("payload/p{n}").into();
            one
        })
        .collect();
    check("/components/1/payloads", json!(nine), "has not 1 to 8 payloads");
}

#[test]
fn hooks_bring_programs_and_take_steps() {
    let program =
        |entry: &str, byte: u8| json!({"entry": entry, "size": 9, "sha256": digest(byte)});
    let hook = |program: Value| json!({"phase": "after-boot", "command": ["a"], "limit_seconds": 1, "program": program});
    let step = |phase: &str, step: Value| json!({"phase": phase, "command": ["a"], "limit_seconds": 1, "step": step});
    let mut manifest = full();
    manifest["configuration"] = 3.into();
    manifest["hooks"] = json!([
        hook(program("hooks/b", 1)),
        hook(program("hooks/a", 2)),
        hook(program("hooks/b", 1)),
        step("migrate", json!({"from": 2, "to": 3})),
    ]);
    let read = decode(&manifest).unwrap();
    let entries: Vec<_> = read.entries().skip(2).take(2).collect();
    assert_eq!(entries, [("hooks/b".to_string(), 9), ("hooks/a".to_string(), 9)]);
    for bad in ["payload/b", "hooks/../b", "b", "hooks/"] {
        check("/hooks/0", hook(program(bad, 1)), "its entry is not in `hooks/`");
    }
    check(
        "/hooks",
        json!([hook(program("hooks/b", 1)), hook(program("hooks/b", 2))]),
        "two different programs",
    );
    let large = json!({"entry": "hooks/b", "size": (1 << 20) + 1, "sha256": digest(1)});
    check("/hooks/0", hook(large), "over 1 MiB");
    let many: Vec<Value> =
        (0..33).map(|n| hook(program(&alloc::format!("hooks/{n}"), 1))).collect();
    check("/hooks", many.into(), "more than 32");
    check("/hooks/0", step("migrate", Value::Null), "exactly when it migrates");
    check("/hooks/0", step("health", json!({"from": 1, "to": 2})), "exactly when it migrates");
    check("/hooks/0", step("migrate", json!({"from": 2, "to": 2})), "exactly when it migrates");
}
