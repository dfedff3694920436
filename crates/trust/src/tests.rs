//! Signatures, thresholds, expiry and limits, one `check` per family.

extern crate std;

use crate::{ChunkList, Root, Targets, TrustError, Verified, canonical, recall, verify_targets};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use types::{Digest, Document, Image, Outcome, Sealed, Timestamp};

const NOW: &str = "2027-06-01T12:00:00Z";

/// A document of the tests: any bytes.
#[derive(Debug, PartialEq, Eq)]
struct Note(Vec<u8>);

impl Document for Note {
    const KIND: &'static str = "note";
    const LIMIT: u32 = 16;
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes == b"unreadable" { Err("it is".into()) } else { Ok(Self(bytes.into())) }
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Key number `n`.
fn pair(n: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn stated(n: u8) -> Value {
    let public = hex(pair(n).public_key().as_ref());
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

/// `signed`, with signatures of `(key id, key number)`.
fn seal(signed: &Value, by: &[(&str, u8)]) -> Sealed {
    let message = canonical(signed).unwrap();
    let sign = |(id, n): &(&str, u8)| {
        let sig = hex(pair(*n).sign(&message).as_ref());
        json!({"keyid": id, "sig": sig})
    };
    let signatures: Vec<_> = by.iter().map(sign).collect();
    bytes(&json!({"signatures": signatures, "signed": signed}))
}

fn bytes(value: &Value) -> Sealed {
    value.to_string().as_bytes().into()
}

/// A root whose key ids are opaque words: `one`, `two` and `three` hold keys 1, 2
/// and 3, `again` holds key 1 once more, `new` is of a type unknown here.
fn root_signed(threshold: u32) -> Value {
    let mut new = stated(9);
    new["keytype"] = "ml-dsa-65".into();
    let role = json!({"keyids": ["one", "two", "three", "again", "new"], "threshold": threshold});
    json!({
        "_type": "root", "spec_version": "1.0.31", "version": 1,
        "expires": "2036-01-01T00:00:00Z", "consistent_snapshot": false,
        "keys": {"one": stated(1), "two": stated(2), "three": stated(3), "again": stated(1),
            "new": new, "outsider": stated(4)},
        "roles": {"root": role, "targets": role, "snapshot": role, "timestamp": role},
    })
}

fn root(threshold: u32) -> Root {
    Root::open(&seal(&root_signed(threshold), &[("one", 1), ("two", 2), ("three", 3)])).unwrap()
}

fn targets_signed() -> Value {
    json!({
        "_type": "targets", "spec_version": "1.0.31", "version": 1,
        "expires": "2028-01-01T00:00:00Z",
        "targets": {
            "note": {"length": 5, "hashes": {"sha256": Digest::of(b"hello").to_string()}},
            "unreadable": {"length": 10,
                "hashes": {"sha256": Digest::of(b"unreadable").to_string(), "crc32": "00"}},
            "unknown": {"length": 5, "hashes": {"crc32": "00000000"}},
        },
    })
}

fn targets() -> Verified<Targets> {
    let sealed = seal(&targets_signed(), &[("one", 1), ("two", 2)]);
    verify_targets(&root(2), &sealed, time(NOW)).unwrap()
}

/// What a terminal with a threshold of 2 says about signatures `by`.
fn check_signers(by: &[(&str, u8)], expected: Option<Outcome>) {
    let verdict = verify_targets(&root(2), &seal(&targets_signed(), by), time(NOW));
    assert_eq!(verdict.err().map(|e| e.outcome()), expected, "{by:?}");
}

#[test]
fn enough_different_keys_are_trusted() {
    check_signers(&[("one", 1), ("two", 2)], None);
    check_signers(&[("three", 3), ("one", 1)], None);
    check_signers(&[("stranger", 7), ("one", 1), ("two", 2)], None);
    check_signers(&[("one", 1), ("two", 7), ("three", 3)], None);
}

#[test]
fn too_few_different_keys_are_refused() {
    check_signers(&[("one", 1)], Some(Outcome::TooFewSignatures));
    check_signers(&[("one", 1), ("one", 1)], Some(Outcome::TooFewSignatures));
    check_signers(&[("one", 1), ("again", 1)], Some(Outcome::TooFewSignatures));
    check_signers(&[("one", 1), ("stranger", 7)], Some(Outcome::TooFewSignatures));
    check_signers(&[("one", 1), ("outsider", 4)], Some(Outcome::TooFewSignatures));
    check_signers(&[("one", 1), ("new", 9)], Some(Outcome::TooFewSignatures));
}

#[test]
fn unknown_keys_are_no_keys() {
    check_signers(&[], Some(Outcome::UntrustedKey));
    check_signers(&[("stranger", 7), ("stranger2", 8)], Some(Outcome::UntrustedKey));
    check_signers(&[("outsider", 4)], Some(Outcome::UntrustedKey));
    check_signers(&[("new", 9)], Some(Outcome::UntrustedKey));
}

#[test]
fn a_trusted_key_that_signed_something_else_means_damage() {
    check_signers(&[("one", 1), ("two", 7)], Some(Outcome::Malformed));
    check_signers(&[("one", 2), ("two", 1)], Some(Outcome::Malformed));
}

/// What a terminal says about `sealed` at `now`.
fn check_targets(sealed: &Sealed, now: &str, expected: &str) {
    let text = match verify_targets(&root(2), sealed, time(now)) {
        Ok(_) => "fine".to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(text, expected);
}

#[test]
fn expiry_is_checked_for_targets_and_root() {
    let sealed = seal(&targets_signed(), &[("one", 1), ("two", 2)]);
    check_targets(&sealed, "1970-01-01T00:00:00Z", "fine");
    check_targets(&sealed, "2027-12-31T23:59:59Z", "fine");
    check_targets(&sealed, "2028-01-01T00:00:00Z", "targets expired at 2028-01-01T00:00:00Z");
    check_targets(&sealed, "2036-01-01T00:00:00Z", "root expired at 2036-01-01T00:00:00Z");
}

#[test]
fn every_change_of_what_is_signed_is_seen() {
    let sealed = seal(&targets_signed(), &[("one", 1), ("two", 2)]);
    let text = core::str::from_utf8(sealed.bytes()).unwrap();
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("2028-", "2029-"),
        ("\"length\":5", "\"length\":6"),
        ("\"spec_version\":\"1.0.31\"", "\"spec_version\":\"1.0.31\",\"more\":1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let expected =
            "a trusted key's signature does not fit targets: it was changed after signing";
        check_targets(&changed.as_bytes().into(), NOW, expected);
    }
}

/// Signs `targets` after one field was changed.
fn check_field(field: &str, value: Value, expected: &str) {
    let mut signed = targets_signed();
    signed[field] = value;
    check_targets(&seal(&signed, &[("one", 1), ("two", 2)]), NOW, expected);
}

#[test]
fn the_header_must_be_that_of_targets() {
    check_field("_type", "root".into(), "targets is refused: its type is another");
    check_field("version", 0.into(), "targets is refused: its version is 0");
    check_field(
        "spec_version",
        "2.0.0".into(),
        "targets is refused: it follows another version of the TUF specification than 1.x",
    );
    check_field("expires", 7.into(), "targets does not have the fields it should have");
    check_field("later", json!({"is": "allowed"}), "fine");
}

#[test]
fn json_must_be_strict() {
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    let long = format!("{{\"signatures\":[],\"signed\":{{}}}}{}", " ".repeat(1 << 16));
    for bad in [
        "",
        "{",
        "[]x",
        "{\"signatures\":[],\"signatures\":[],\"signed\":{}}",
        "{\"signatures\":[],\"signed\":{\"a\":{\"b\":1,\"b\":1}}}",
        "{\"signatures\":[],\"signed\":{\"a\":1.5}}",
        "{\"signatures\":[],\"signed\":{\"a\":1e3}}",
        "{\"signatures\":[],\"signed\":{}} {}",
        &deep,
    ] {
        check_targets(&bad.as_bytes().into(), NOW, "targets is no strict JSON");
    }
    check_targets(&long.as_bytes().into(), NOW, "targets has more than 65536 bytes");
}

#[test]
fn endless_signatures_are_not_tried() {
    let one = json!({"keyid": "one", "sig": "00"});
    let sealed = bytes(&json!({"signatures": vec![one; 65], "signed": targets_signed()}));
    check_targets(&sealed, NOW, "targets is refused: it has more than 64 signatures");
}

#[test]
fn signatures_have_one_text_form() {
    let sealed = seal(&targets_signed(), &[("one", 1), ("two", 2)]);
    let mut value: Value = serde_json::from_slice(sealed.bytes()).unwrap();
    let upper = value["signatures"][0]["sig"].as_str().unwrap().to_uppercase();
    value["signatures"][0]["sig"] = upper.into();
    let expected = "a trusted key's signature does not fit targets: it was changed after signing";
    check_targets(&bytes(&value), NOW, expected);
}

/// What is said about a pinned root signed by keys 1, 2 and 3.
fn check_root(signed: &Value, expected: &str) {
    let text = match Root::open(&seal(signed, &[("one", 1), ("two", 2), ("three", 3)])) {
        Ok(_) => "fine".to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(text, expected);
}

#[test]
fn thresholds_must_make_sense() {
    check_root(&root_signed(1), "fine");
    check_root(&root_signed(3), "fine");
    check_root(&root_signed(0), "root is refused: a role has threshold 0");
    // Five key ids, but three different keys that can verify.
    let expected = "root is refused: a role has fewer different keys than its threshold asks for";
    check_root(&root_signed(4), expected);
    let mut other_role = root_signed(2);
    other_role["roles"]["timestamp"]["threshold"] = 0.into();
    check_root(&other_role, "root is refused: a role has threshold 0");
}

#[test]
fn a_root_must_sign_itself() {
    let signed = root_signed(2);
    let open = |by: &[(&str, u8)]| Root::open(&seal(&signed, by)).map_err(|e| e.outcome());
    assert!(open(&[("one", 1), ("three", 3)]).is_ok());
    assert_eq!(open(&[]).unwrap_err(), Outcome::UntrustedKey);
    assert_eq!(open(&[("one", 1), ("again", 1)]).unwrap_err(), Outcome::TooFewSignatures);
    assert_eq!(open(&[("one", 1), ("two", 3)]).unwrap_err(), Outcome::Malformed);
}

#[test]
fn a_root_has_a_limit() {
    let mut signed = root_signed(1);
    for n in 0..64 {
        signed["keys"][format!("more{n}")] = stated(5);
    }
    check_root(&signed, "root is refused: it has more than 64 keys");
}

/// What the signed targets say about document `name` with `bytes`.
fn check_vouch(name: &str, bytes: &[u8], expected: &str) {
    let text = match targets().vouch::<Note>(name, bytes) {
        Ok(note) => format!("{:?}", core::str::from_utf8(&note.0).unwrap()),
        Err(error) => error.to_string(),
    };
    assert_eq!(text, expected);
}

#[test]
fn only_exactly_what_was_signed_is_vouched_for() {
    check_vouch("note", b"hello", "\"hello\"");
    check_vouch("note", b"hallo", "`note` is not what was signed: its digest differs");
    check_vouch("note", b"hello ", "`note` is not what was signed: its length differs");
    check_vouch("note", b"", "`note` is not what was signed: its length differs");
    check_vouch("other", b"hello", "the signature does not cover `other`");
    check_vouch("unknown", b"hello", "targets is refused: it has no known digest");
    check_vouch("unreadable", b"unreadable", "note cannot be read: it is");
    check_vouch("note", &[0; 17], "note has more than 16 bytes");
}

#[test]
fn sha512_alone_is_accepted_too() {
    let digest = ring::digest::digest(&ring::digest::SHA512, b"hello");
    let mut signed = targets_signed();
    signed["targets"]["note"]["hashes"] = json!({"sha512": hex(digest.as_ref())});
    let sealed = seal(&signed, &[("one", 1), ("two", 2)]);
    let targets = verify_targets(&root(2), &sealed, time(NOW)).unwrap();
    assert!(targets.vouch::<Note>("note", b"hello").is_ok());
    assert!(targets.vouch::<Note>("note", b"hallo").is_err());
}

#[test]
fn a_recorded_document_is_recalled_by_its_digest() {
    let verified = targets().vouch::<Note>("note", b"hello").unwrap();
    assert_eq!(recall::<Note>(verified.digest(), b"hello").unwrap(), verified);
    let other = recall::<Note>(verified.digest(), b"hallo").unwrap_err();
    assert_eq!(other.outcome(), Outcome::JobLost);
}

/// The canonical form of JSON text.
fn check_canonical(text: &str, expected: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), expected);
}

#[test]
fn canonical_json_is_that_of_olpc() {
    check_canonical("{ }", "{}");
    check_canonical(" [ 1 , -2 , true , false , null ] ", "[1,-2,true,false,null]");
    check_canonical(
        "{\"b\":1,\"a\":{\"d\":[],\"c\":\"\"}}",
        "{\"a\":{\"c\":\"\",\"d\":[]},\"b\":1}",
    );
    check_canonical(r#""a\"b\\c\/d""#, r#""a\"b\\c/d""#);
    // Control characters stand as they are: this is where RFC 8785 differs.
    check_canonical(r#""a\nb\tc\u0001\u007f""#, "\"a\nb\tc\u{1}\u{7f}\"");
    check_canonical("\"\\u00e4\\ud83d\\ude00\"", "\"\u{e4}\u{1f600}\"");
    // Code points, not UTF-16 units: U+FF61 sorts before U+1F600.
    check_canonical("{\"\u{1f600}\":1,\"\u{ff61}\":2}", "{\"\u{ff61}\":2,\"\u{1f600}\":1}");
    check_canonical("{\"a\":1,\"B\":2,\"_\":3}", "{\"B\":2,\"_\":3,\"a\":1}");
    check_canonical("18446744073709551615", "18446744073709551615");
}

#[test]
fn canonical_json_has_no_fractions() {
    for bad in [json!(1.5), json!([1.0]), json!({"a": -0.0})] {
        assert!(matches!(canonical(&bad), Err(TrustError::NotInteger)));
    }
}

/// Two whole chunks and one of ten bytes, and the list of their digests.
fn image() -> (Image, Vec<u8>) {
    let chunk_size = Image::CHUNK_MIN;
    let bytes = vec![7; 2 * chunk_size as usize + 10];
    let list: Vec<u8> = bytes.chunks(chunk_size as usize).flat_map(|c| Digest::of(c).0).collect();
    let image = Image {
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
        chunk_size,
        chunks: Digest::of(&list),
    };
    (image, list)
}

#[test]
fn chunks_are_proven_one_by_one() {
    let (image, list) = image();
    let list = ChunkList::check(&image, list).unwrap();
    let chunk = vec![7; 4096];
    let proven = list.prove(1, &chunk).unwrap();
    assert_eq!((proven.index(), proven.at(), proven.bytes().len()), (1, 4096, 4096));
    assert_eq!(list.prove(2, &chunk[..10]).unwrap().at(), 8192);
    for (index, bytes) in
        [(2, &chunk[..]), (1, &chunk[1..]), (3, &[]), (3, &chunk), (u32::MAX, &[])]
    {
        assert_eq!(list.prove(index, bytes).unwrap_err().outcome(), Outcome::CorruptPayload);
    }
    let mut flipped = chunk.clone();
    for at in [0, 2048, 4095] {
        flipped[at] ^= 1;
        assert!(list.prove(0, &flipped).is_err());
        flipped[at] ^= 1;
    }
    assert!(list.prove(0, &flipped).is_ok());
}

#[test]
fn a_list_must_be_the_signed_one() {
    let (image, list) = image();
    let check = |list: Vec<u8>| ChunkList::check(&image, list).map_err(|e| e.to_string());
    assert!(check(list.clone()).is_ok());
    let short = check(list[..64].to_vec()).unwrap_err();
    assert_eq!(short, "the list of chunk digests is not the signed one: its length differs");
    let mut flipped = list;
    flipped[95] ^= 0x80;
    let wrong = check(flipped).unwrap_err();
    assert_eq!(wrong, "the list of chunk digests is not the signed one: its digest differs");
}

proptest::proptest! {
    #[test]
    fn strangers_never_bring_a_panic(noise in proptest::collection::vec(0u8.., 0..400)) {
        let _ = Root::open(&noise.as_slice().into());
        let _ = verify_targets(&root(1), &noise.as_slice().into(), time(NOW));
    }

    #[test]
    fn mutated_metadata_is_refused_or_unchanged(at in 0usize..900, mask in 1u8..) {
        let sealed = seal(&targets_signed(), &[("one", 1), ("two", 2)]);
        let mut mutated = sealed.bytes().to_vec();
        let at = at % mutated.len();
        mutated[at] ^= mask;
        let read = |b: &[u8]| serde_json::from_slice::<Value>(b).ok().map(|v| v["signed"].clone());
        if verify_targets(&root(2), &mutated.as_slice().into(), time(NOW)).is_ok() {
            proptest::prop_assert_eq!(read(&mutated), read(sealed.bytes()));
        }
    }
}

mod signing {
    use super::*;
    use crate::{KeyError, PublicKey, RootDraft, SigningKey, Target, TargetsDraft, sign};

    fn keys(count: u8) -> Vec<SigningKey> {
        (1..=count).map(|n| SigningKey::from_seed([n; 32]).unwrap()).collect()
    }

    fn root_of(keys: &[SigningKey], threshold: u32) -> Sealed {
        let expires = time("2036-01-01T00:00:00Z");
        RootDraft { version: 1, expires, keys, threshold }.sign().unwrap()
    }

    fn unsigned() -> Sealed {
        let custom = json!({"product": "acme"});
        let targets = [Target { name: "note", bytes: b"hello", custom }];
        let expires = time("2028-01-01T00:00:00Z");
        TargetsDraft { version: 1, expires, targets: &targets }.unsigned()
    }

    #[test]
    fn what_the_maker_signs_the_device_trusts() {
        let keys = keys(3);
        let root = Root::open(&root_of(&keys, 2)).unwrap();
        let once = sign(&unsigned(), &keys[0]).unwrap();
        let twice = sign(&once, &keys[2]).unwrap();
        let outcome = |s: &Sealed| verify_targets(&root, s, time(NOW)).map_err(|e| e.outcome());
        assert_eq!(outcome(&unsigned()).unwrap_err(), Outcome::UntrustedKey);
        assert_eq!(outcome(&once).unwrap_err(), Outcome::TooFewSignatures);
        let again = sign(&once, &keys[0]).unwrap();
        assert_eq!(again, once);
        assert_eq!(outcome(&again).unwrap_err(), Outcome::TooFewSignatures);
        let targets = outcome(&twice).unwrap();
        assert_eq!(targets.custom("note"), Some(&json!({"product": "acme"})));
        assert_eq!(targets.vouch::<Note>("note", b"hello").unwrap().0, b"hello");
    }

    #[test]
    fn a_key_given_twice_does_not_reach_a_threshold() {
        let mut twins = keys(1);
        twins.extend(keys(1));
        assert!(Root::open(&root_of(&twins, 2)).is_err());
    }

    #[test]
    fn key_files_are_read_back() {
        let key = SigningKey::from_seed([5; 32]).unwrap();
        let file = key.to_file();
        assert_eq!(SigningKey::read(file.as_bytes()).unwrap().id(), key.id());
        let other = SigningKey::from_seed([6; 32]).unwrap().to_file();
        let private = |f: &str| {
            let value: Value = serde_json::from_str(f).unwrap();
            value["keyval"]["private"].as_str().unwrap().to_string()
        };
        let mixed = file.replace(&private(&file), &private(&other));
        assert!(matches!(SigningKey::read(mixed.as_bytes()), Err(KeyError::Halves)));
        assert!(matches!(SigningKey::read(b"{}"), Err(KeyError::Form(_))));
        let rsa = file.replace("\"keytype\": \"ed25519\"", "\"keytype\": \"rsa\"");
        assert!(matches!(SigningKey::read(rsa.as_bytes()), Err(KeyError::Type)));
        assert!(!format!("{key:?}").contains(&private(&file)));
    }

    /// RFC 8032 7.1, test 1.
    #[test]
    fn keys_are_those_of_rfc_8032() {
        let seed: Digest =
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse().unwrap();
        let public: Digest =
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap();
        let key = SigningKey::from_seed(seed.0).unwrap();
        assert_eq!(key.public(), PublicKey::new(public.0));
    }
}
