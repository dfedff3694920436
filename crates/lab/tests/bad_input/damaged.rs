//! Packages as files that are cut, longer, changed, or put together from two.

use crate::archive::{ALL, CHUNKS, Entries, MANIFEST, PAYLOAD, TARGETS, flipped};
use crate::world::{World, check, check_still_updates};
use lab::maker::Details;
use std::fs;
use types::Outcome;

#[test]
fn truncated() {
    let world = World::new();
    let good = world.package("2.0.0", 2);
    let bytes = fs::read(&good).unwrap();
    let terminal = world.terminal("terminal");
    let cut = world.file("cut.zip");
    for len in [0, 1, 30, 700, bytes.len() / 2, bytes.len() - 100, bytes.len() - 1] {
        fs::write(&cut, &bytes[..len]).unwrap();
        check(&format!("{len} bytes"), &terminal, &cut, Outcome::Malformed);
    }
    check_still_updates(&terminal, &good, "2.0.0");
}

#[test]
fn oversized() {
    let world = World::new();
    let bytes = fs::read(world.package("2.0.0", 2)).unwrap();
    let terminal = world.terminal("terminal");
    let long = world.file("long.zip");
    for (case, more) in [
        ("a byte behind", &b"\0"[..]),
        ("a comment behind", b"Get the free tool"),
        ("the package twice", &bytes),
    ] {
        fs::write(&long, [&bytes, more].concat()).unwrap();
        check(case, &terminal, &long, Outcome::Malformed);
    }
    fs::write(&long, [&b"#!/bin/sh\n"[..], &bytes].concat()).unwrap();
    check("something before", &terminal, &long, Outcome::Malformed);
}

/// Bytes of the archive itself, whose checksums then do not fit.
#[test]
fn bit_flipped() {
    let world = World::new();
    let good = world.package("2.0.0", 2);
    let bytes = fs::read(&good).unwrap();
    let entries = Entries::of(&good);
    let terminal = world.terminal("terminal");
    let bad = world.file("bad.zip");
    for name in ALL {
        let content = entries.get(name);
        let start = bytes.windows(content.len()).position(|at| at == content).unwrap();
        let expected = by_entry(name);
        for at in [start, start + content.len() / 2, start + content.len() - 1] {
            fs::write(&bad, flipped(&bytes, at)).unwrap();
            check(&format!("{name}, byte {at}"), &terminal, &bad, expected);
        }
    }
    for at in [0, 3, bytes.len() - 200, bytes.len() - 1] {
        fs::write(&bad, flipped(&bytes, at)).unwrap();
        check(&format!("byte {at}"), &terminal, &bad, Outcome::Malformed);
    }
    check_still_updates(&terminal, &good, "2.0.0");
}

/// As above, by someone who corrects the checksums.
#[test]
fn bit_flipped_with_correct_checksums() {
    let world = World::new();
    let entries = Entries::of(&world.package("2.0.0", 2));
    let terminal = world.terminal("terminal");
    for name in ALL {
        let content = entries.get(name);
        // In signatures, the first place is in one; a key's id would name nobody.
        let sig = content.windows(6).position(|at| at == b"\"sig\":").unwrap_or(0);
        for at in [sig + 40, content.len() * 9 / 10] {
            let bad = entries.with(name, &flipped(content, at)).write(world.file("bad.zip"));
            check(&format!("{name}, byte {at}"), &terminal, &bad, by_entry(name));
        }
    }
}

/// A payload is judged by its chunks, everything else before anything is written.
fn by_entry(name: &str) -> Outcome {
    if name == PAYLOAD { Outcome::CorruptPayload } else { Outcome::Malformed }
}

#[test]
fn recombined_from_two_valid_packages() {
    let world = World::new();
    let one = Entries::of(&world.package("2.0.0", 2));
    let other = Entries::of(&world.package("3.0.0", 3));
    let terminal = world.terminal("terminal");
    let others: [&[&str]; 5] =
        [&[MANIFEST], &[TARGETS], &[CHUNKS], &[CHUNKS, PAYLOAD], &[TARGETS, CHUNKS, PAYLOAD]];
    for names in others {
        let mixed = one.with_those_of(&other, names).write(world.file("mixed.zip"));
        check(&format!("{names:?} of the other"), &terminal, &mixed, Outcome::Malformed);
    }
    let (first, second) = (other.get(PAYLOAD), one.get(PAYLOAD));
    let half = second.len() / 2;
    let mixed = one.with(PAYLOAD, &[&first[..half], &second[half..]].concat());
    let mixed = mixed.write(world.file("mixed.zip"));
    check("half a payload", &terminal, &mixed, Outcome::CorruptPayload);
    let good = other.write(world.file("good.zip"));
    check_still_updates(&terminal, &good, "3.0.0");
}

/// The payload of the other package, where the images have other sizes.
#[test]
fn recombined_from_packages_of_other_sizes() {
    let world = World::new();
    let package = |version: &str, index, size| {
        let path = world.package_by(&world.maker, version, index, size, &Details::default());
        Entries::of(&path)
    };
    let one = package("2.0.0", 2, 512 << 10);
    let other = package("3.0.0", 3, 768 << 10);
    let terminal = world.terminal("terminal");
    let mixed = one.with_those_of(&other, &[PAYLOAD]).write(world.file("mixed.zip"));
    check("a longer payload", &terminal, &mixed, Outcome::Oversized);
    let mixed = other.with_those_of(&one, &[PAYLOAD]).write(world.file("mixed.zip"));
    check("a shorter payload", &terminal, &mixed, Outcome::Truncated);
}
