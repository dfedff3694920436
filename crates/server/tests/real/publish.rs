//! What is published was examined; what was refused leaves nothing.

use crate::support::Rig;
use serde_json::json;

fn blobs(rig: &Rig) -> usize {
    std::fs::read_dir(rig.blobs()).unwrap().count()
}

#[test]
fn a_good_package_is_published_once() {
    let rig = Rig::start();
    let package = rig.maker.package("2.0");
    let (status, first) = rig.upload(&package);
    assert_eq!((status, &first["version"]), (200, &json!("2.0")), "{first}");
    assert_eq!(rig.upload(&package), (200, first));
    assert_eq!(blobs(&rig), 1);
    let (_, list) = rig.get("/api/v1/releases");
    assert_eq!(list["releases"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_as_signed_is_refused_and_leaves_nothing() {
    let rig = Rig::start();
    let good = rig.maker.package("2.0");
    let check = |package: &[u8], code: u16| {
        let (status, answer) = rig.upload(package);
        assert_eq!(status, 422, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(&format!("({code})")), "{error}");
        assert_eq!(blobs(&rig), 0, "{error}");
    };
    check(b"", 107);
    check(b"no package at all", 107);
    check(&good[..good.len() / 2], 107);
    check(&good[..good.len() - 1], 107);
    check(&[&good[..], b"x"].concat(), 107);
    check(&rig.maker.half_signed("2.0"), 105);
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        let (status, answer) = rig.upload(&flipped);
        assert_eq!((status, blobs(&rig)), (422, 0), "byte {at}: {answer}");
    }
    assert_eq!(rig.get("/api/v1/releases").1, json!({"releases": []}));
}

#[test]
fn another_release_of_the_same_version_is_refused() {
    let rig = Rig::start();
    rig.publish("2.0");
    let mut other = Rig::start();
    other.publish("2.0");
    let changed = rig.maker.package_with("2.0", "3.0");
    let (status, answer) = rig.upload(&changed);
    assert_eq!(status, 409, "{answer}");
    assert_eq!(blobs(&rig), 1);
    assert!(other.terminate());
}

#[test]
fn an_upload_is_bounded() {
    let rig = Rig::with(&["--root", "root.json", "--package-limit", "100000"]);
    let (status, _) = rig.upload(&rig.maker.package("2.0"));
    assert!([413, 0].contains(&status), "refused, or hung up on: {status}");
    assert_eq!(blobs(&rig), 0);
}

#[test]
fn a_server_without_keys_learns_them_once() {
    let rig = Rig::with(&[]);
    let (status, answer) = rig.upload(&rig.maker.package("2.0"));
    assert!([409, 0].contains(&status), "{answer}");
    let root = rig.maker.root();
    assert_eq!(rig.put_root(b"{}").0, 422);
    assert_eq!(rig.put_root(&root).0, 204);
    assert_eq!(rig.put_root(&root).0, 204, "the same again");
    let other = crate::maker::Maker::with_seeds([7, 8]).root();
    assert_eq!(rig.put_root(&other).0, 409);
    rig.publish("2.0");
}
