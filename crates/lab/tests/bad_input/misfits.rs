//! Whole packages that are for others, too old, or not signed by those who must.

use crate::archive::{Entries, TARGETS};
use crate::world::{SIZE, World, check, check_still_updates};
use lab::maker::Details;
use lab::terminal::Settings;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use trust::{SigningKey, sign};
use types::{Outcome, Sealed};

/// A package that differs in `details` is not taken.
fn check_misfit(details: &Details, expected: Outcome) {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let package = world.package_by(&world.maker, "2.0.0", 2, SIZE, details);
    check("a misfit", &terminal, &package, expected);
    check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
}

#[test]
fn wrong_hardware() {
    let details = Details { hardware: "lab-r1-rev-b", ..Details::default() };
    check_misfit(&details, Outcome::WrongHardware);
}

#[test]
fn wrong_variant() {
    let details = Details { variant: Some("telco-x"), ..Details::default() };
    check_misfit(&details, Outcome::WrongVariant);
}

#[test]
fn another_variant_than_the_terminals() {
    let world = World::new();
    let settings = Settings { variant: Some("telco-y"), ..Settings::default() };
    let terminal = world.terminal_with("terminal", &world.maker.root(), None, &settings, SIZE);
    let package = |version: &str, variant| {
        let details = Details { variant: Some(variant), ..Details::default() };
        world.package_by(&world.maker, version, 2, SIZE, &details)
    };
    check("telco-x", &terminal, &package("2.0.0", "telco-x"), Outcome::WrongVariant);
    check_still_updates(&terminal, &package("2.1.0", "telco-y"), "2.1.0");
}

#[test]
fn another_region_than_the_terminals() {
    let details = |region| Details { region: Some(region), ..Details::default() };
    let world = World::new();
    let terminal = world.terminal("terminal");
    let package =
        |version: &str, region| world.package_by(&world.maker, version, 2, SIZE, &details(region));
    check("there", &terminal, &package("2.0.0", "there"), Outcome::WrongRegion);
    check_still_updates(&terminal, &package("2.1.0", "here"), "2.1.0");
}

#[test]
fn fewer_keys_than_required() {
    check_misfit(&Details { keys: &[1], ..Details::default() }, Outcome::TooFewSignatures);
}

#[test]
fn no_signature() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let entries = Entries::of(&world.package("2.0.0", 2));
    let mut targets: Value = serde_json::from_slice(entries.get(TARGETS)).unwrap();
    targets["signatures"] = json!([]);
    let bad = entries.with(TARGETS, targets.to_string().as_bytes()).write(world.file("bad.zip"));
    check("no signature", &terminal, &bad, Outcome::UntrustedKey);
}

#[test]
fn expired() {
    check_misfit(&Details { expires: Some("2026-02-01"), ..Details::default() }, Outcome::Expired);
}

#[test]
fn wrong_key() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let stranger = world.stranger();
    let package = world.package_by(&stranger, "2.0.0", 2, SIZE, &Details::default());
    check("keys of another maker", &terminal, &package, Outcome::UntrustedKey);
    check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
}

#[test]
fn a_lower_rollback_index() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    check_still_updates(&terminal, &world.package("2.0.0", 2), "2.0.0");
    check("index 1 after 2", &terminal, &world.package("2.0.1", 1), Outcome::Downgrade);
    let same = world.package("2.0.2", 2);
    check_still_updates(&terminal, &same, "2.0.2");
}

#[test]
fn an_image_larger_than_the_slot() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let package = world.package_by(&world.maker, "2.0.0", 2, SIZE + 4096, &Details::default());
    check("4096 bytes too many", &terminal, &package, Outcome::SlotTooSmall);
    check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
}

#[test]
fn what_runs_already() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let package = world.package("2.0.0", 2);
    check_still_updates(&terminal, &package, "2.0.0");
    check("again", &terminal, &package, Outcome::AlreadyRunning);
}

/// One key's signature twice, as it is and under two key ids that the root lists.
#[test]
fn the_same_key_twice() {
    let world = World::new();
    let details = Details { keys: &[1], ..Details::default() };
    let entries = Entries::of(&world.package_by(&world.maker, "2.0.0", 2, SIZE, &details));
    let mut targets: Value = serde_json::from_slice(entries.get(TARGETS)).unwrap();
    let signature = targets["signatures"][0].clone();
    let mut alias = signature.clone();
    alias["keyid"] = json!("alias");
    let root = root_with_alias(&world);
    for (case, second) in [("same-id", signature.clone()), ("another-id", alias)] {
        targets["signatures"] = json!([signature, second]);
        let bad = entries.with(TARGETS, targets.to_string().as_bytes());
        let bad = bad.write(world.file("bad.zip"));
        let terminal = world.terminal_with(case, &root, None, &Settings::default(), SIZE);
        check(case, &terminal, &bad, Outcome::TooFewSignatures);
        check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
    }
}

/// The maker's root, which lists key 1 a second time, as `alias`.
fn root_with_alias(world: &World) -> PathBuf {
    let keys = [1, 2, 3]
        .map(|number| SigningKey::read(&fs::read(world.maker.key(number)).unwrap()).unwrap());
    let mut root: Value = serde_json::from_slice(&fs::read(world.maker.root()).unwrap()).unwrap();
    let signed = &mut root["signed"];
    signed["keys"]["alias"] = signed["keys"][keys[0].id()].clone();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        signed["roles"][role]["keyids"].as_array_mut().unwrap().push(json!("alias"));
    }
    root["signatures"] = json!([]);
    let draft = Sealed::from(root.to_string().as_bytes());
    let root = keys.iter().fold(draft, |sealed, key| sign(&sealed, key).unwrap());
    let path = world.file("root-with-alias.json");
    fs::write(&path, root.bytes()).unwrap();
    path
}
