//! A terminal that lay in a warehouse for years: its first boot meets expired metadata
//! and keys that were changed since, some of them twice.

use crate::bench::{Bench, Brought, image};
use trust::{RootDraft, SigningKey, sign};
use types::{Effect, Timestamp};

const IMAGE: usize = 3 * (64 << 10) + 777;
/// 2025-01-01 and 2100-01-01.
const PAST: Timestamp = Timestamp(1_735_689_600_000);
const FAR: Timestamp = Timestamp(4_102_444_800_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

/// A root of `own`'s keys, signed by the key of the root before, too.
fn root(version: u64, own: u8, before: u8, expires: Timestamp) -> Vec<u8> {
    let draft = RootDraft { version, expires, keys: &[key(own)], threshold: 1 };
    sign(&draft.sign().unwrap(), &key(before)).unwrap().bytes().to_vec()
}

/// What becomes of a package for a terminal with the root of key 7.
#[track_caller]
fn check(first: Timestamp, brought: &Brought, expected: i32, part: &str) -> Bench {
    let bench = Bench::new();
    std::fs::write(bench.path("root.json"), root(1, 7, 7, first)).unwrap();
    let package = bench.package_with("2.0", Effect::Slot, &image(IMAGE, 1), brought);
    let ended = bench.agent(&["install", package.to_str().unwrap()]);
    let all = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(expected), "{all}");
    assert!(all.contains(part), "{all}");
    bench
}

fn signed_by(signer: u8, roots: &[(u64, Vec<u8>)]) -> Brought {
    Brought { signer, roots: roots.to_vec(), ..Brought::default() }
}

/// The version of the root that the terminal believes now.
fn believes(bench: &Bench) -> u64 {
    let bytes = std::fs::read(bench.path("state/documents/root.json")).unwrap();
    trust::Root::open(&types::Sealed::from(bytes.as_slice())).unwrap().version()
}

#[test]
fn keys_that_were_changed_are_followed() {
    check(FAR, &signed_by(9, &[]), 10, "(104)");
    let (second, third) = (root(2, 8, 7, PAST), root(3, 9, 8, FAR));
    let chain = [(2, second.clone()), (3, third.clone())];
    let bench = check(FAR, &signed_by(9, &chain), 100, "");
    assert_eq!(believes(&bench), 3);
    // What the old keys sign counts no more.
    bench.boot("B", 2);
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(0));
    let old = bench.package("3.0", Effect::Slot, &image(IMAGE, 2));
    let ended = bench.agent(&["install", old.to_str().unwrap()]);
    assert!(ended.code == Some(10) && ended.out.contains("(104)"), "{}{}", ended.out, ended.err);
    // The first root has expired meanwhile: its holders vouched for the second in time.
    assert_eq!(believes(&check(PAST, &signed_by(9, &chain), 100, "")), 3);
}

#[test]
fn roots_that_do_not_follow_are_not_believed() {
    let third = root(3, 9, 8, FAR);
    let bench = check(FAR, &signed_by(9, &[(3, third)]), 10, "(104)");
    assert_eq!(believes(&bench), 1, "one is missing");
    let stranger = root(2, 9, 9, FAR);
    let bench = check(FAR, &signed_by(9, &[(2, stranger)]), 10, "(10");
    assert_eq!(believes(&bench), 1, "nobody that it trusts signed it");
    let renamed = root(3, 9, 7, FAR);
    let bench = check(FAR, &signed_by(9, &[(2, renamed)]), 10, "(10");
    assert_eq!(believes(&bench), 1, "it is not the next version");
    let bench = check(FAR, &signed_by(9, &[(2, root(2, 9, 7, PAST))]), 10, "(106)");
    assert_eq!(believes(&bench), 2, "the newest has expired");
}

#[test]
fn expired_metadata_is_refused_and_newer_metadata_taken() {
    let old = Brought { expires: PAST.0, ..Brought::default() };
    let bench = check(FAR, &old, 10, "(106)");
    let newer = bench.package("2.1", Effect::Slot, &image(IMAGE, 3));
    assert_eq!(bench.agent(&["install", newer.to_str().unwrap()]).code, Some(100));
    check(PAST, &Brought::default(), 10, "(106)");
}

/// The factory writes root, identity and a time that has passed.
#[test]
fn what_the_factory_gave_is_taken_over_once() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("state")).unwrap();
    std::fs::write(bench.path("state/time"), "2099-12-31T00:00:00Z").unwrap();
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    assert_eq!(bench.agent(&["install", package.to_str().unwrap(), "--test"]).code, Some(0));
    assert_eq!(believes(&bench), 1);
    std::fs::write(bench.path("root.json"), "{}").unwrap();
    assert_eq!(bench.agent(&["status"]).code, Some(0), "the stored root counts");
    // The latest time that is known to have passed is what signatures are held against.
    let ends = Brought { expires: 4_090_000_000_000, ..Brought::default() };
    let package = bench.package_with("2.1", Effect::Slot, &image(IMAGE, 1), &ends);
    let ended = bench.agent(&["install", package.to_str().unwrap(), "--test"]);
    assert!(ended.code == Some(10) && ended.out.contains("(106)"), "{}", ended.out);
}
