//! A server that makes deltas, and lies: none of its bytes becomes an image that the
//! maker did not sign.

use crate::archive::{CHUNKS, Entries, MANIFEST, PAYLOAD, TARGETS};
use crate::operator::Operator;
use crate::world::{FACTORY, Held, SIZE, World, wait_for_status, wait_for_version};
use delta::{DiffOptions, PatchHeader};
use lab::boot::BootLoop;
use lab::maker::Details;
use lab::terminal::{COMPONENT, Settings};
use lab::web::{Reply, Request};
use package::{Delta, Deltas};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use types::{Digest, Outcome, Slot};

/// The address below which the package's entries are.
const BASE: &str = "/p/";
/// The entry of the server's delta.
const ENTRY: &str = "delta/server";

/// A delta from `old` to `new` that says it makes `claimed`.
fn delta(old: &[u8], new: &[u8], claimed: &[u8]) -> Vec<u8> {
    let options = DiffOptions { max_heap: 8 << 20, ..DiffOptions::default() };
    let bytes = delta::diff(old, new, &options, &()).unwrap().bytes;
    let (mut header, len) = PatchHeader::read(&bytes).unwrap().unwrap();
    header.target.digest = Digest::of(claimed).0;
    [header.to_bytes(), bytes[len..].to_vec()].concat()
}

/// The list that offers `bytes` to who runs `old`.
fn list(old: &[u8], bytes: &[u8]) -> Vec<u8> {
    let delta = Delta {
        component: COMPONENT.parse().unwrap(),
        source: Digest::of(old),
        entry: ENTRY.into(),
        size: bytes.len() as u64,
        heap: PatchHeader::read(bytes).unwrap().unwrap().0.heap,
    };
    serde_json::to_vec(&Deltas { deltas: vec![delta] }).unwrap()
}

/// How often each entry was asked for.
#[derive(Default)]
struct Asked {
    delta: AtomicUsize,
    payload: AtomicUsize,
}

/// The terminal is offered version 2 with the delta that `made` makes of what it runs and
/// version 2's image. It ends with that image, and has asked for what it must have.
fn check(made: impl Fn(&[u8], &[u8]) -> Vec<u8>, expected: [bool; 2]) {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    let package = world.package("2.0.0", 2);
    let read = |version: &str| fs::read(world.image(version, SIZE)).unwrap();
    let (old, new) = (read(FACTORY), read("2.0.0"));
    let bytes = made(&old, &new);
    let (list, asked) = (list(&old, &bytes), Arc::new(Asked::default()));
    let counted = Arc::clone(&asked);
    operator.misbehave(move |request| match request.path.strip_prefix(BASE)? {
        Deltas::ENTRY => Some(Reply::Small(200, list.clone())),
        ENTRY => {
            counted.delta.fetch_add(1, Ordering::SeqCst);
            Some(part(request, &bytes))
        }
        PAYLOAD => {
            counted.payload.fetch_add(1, Ordering::SeqCst);
            None
        }
        _ => None,
    });
    let power = BootLoop::start(terminal);
    operator.offer(&world, &package, 1);
    let report = operator.wait_for_report(1);
    assert_eq!(report.outcome, Outcome::Ok, "{}", report.detail);
    wait_for_version(power.terminal(), "2.0.0");
    let held = fs::read(power.terminal().slot(Slot::B)).unwrap();
    assert_eq!(Digest::of(&held), Digest::of(&new), "what was signed, byte for byte");
    let asked = [&asked.delta, &asked.payload].map(|count| count.load(Ordering::SeqCst) > 0);
    assert_eq!(asked, expected, "asked for the delta, and for the payload");
}

/// The bytes that a request asks for.
fn part(request: &Request, bytes: &[u8]) -> Reply {
    let Some((first, _)) = request.range else { return Reply::Small(200, bytes.to_vec()) };
    let (first, size) = (first as usize, bytes.len());
    let rest = bytes[first..].to_vec();
    Reply::Wild(Box::new(move |to| {
        write!(
            to,
            "HTTP/1.1 206 -\r\ncontent-range: bytes {first}-{}/{size}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            size - 1,
            rest.len()
        )?;
        to.write_all(&rest)
    }))
}

#[test]
fn an_honest_delta_is_all_that_is_fetched() {
    check(|old, new| delta(old, new, new), [true, false]);
}

#[test]
fn a_delta_that_makes_other_bytes_is_refused_at_the_chunk() {
    // The first chunk is as signed; of the second, one byte is the server's own.
    let evil = |new: &[u8]| {
        let mut evil = new.to_vec();
        evil[(64 << 10) + 1] ^= 1;
        evil
    };
    check(|old, new| delta(old, &evil(new), new), [true, true]);
}

#[test]
fn a_delta_that_is_another_one_is_refused() {
    check(|old, new| delta(old, &new[..new.len() / 2], &new[..9]), [true, true]);
}

/// The server has another maker's release in place of the signed one, or mixes two.
#[test]
fn manifest_and_signatures_are_the_makers_or_nothing_is_written() {
    let world = World::new();
    let operator = Operator::start(&world);
    let power = BootLoop::start(operator.terminal(&world, &Settings::default()));
    let good = world.package("2.0.0", 2);
    let newer = Entries::of(&world.package("3.0.0", 3));
    let stranger = world.stranger();
    let other = Entries::of(&world.package_by(&stranger, "4.0.0", 4, SIZE, &Details::default()));
    let before = Held::by(power.terminal());
    let cases: [(&Entries, &[&str], Outcome); 4] = [
        (&other, &[MANIFEST, TARGETS, CHUNKS, PAYLOAD], Outcome::UntrustedKey),
        (&other, &[MANIFEST, CHUNKS, PAYLOAD], Outcome::Malformed),
        (&newer, &[TARGETS], Outcome::Malformed),
        (&newer, &[CHUNKS, PAYLOAD], Outcome::Malformed),
    ];
    for (number, (from, swapped, expected)) in (1..).zip(cases) {
        let swapped: Vec<(String, Vec<u8>)> =
            swapped.iter().map(|name| ((*name).to_owned(), from.get(name).to_vec())).collect();
        let swapped = Mutex::new(swapped);
        operator.misbehave(move |request| {
            let entry = request.path.strip_prefix(BASE)?;
            let swapped = swapped.lock().unwrap();
            let (_, bytes) = swapped.iter().find(|(name, _)| name == entry)?;
            Some(Reply::Small(200, bytes.clone()))
        });
        operator.offer(&world, &good, number);
        let report = operator.wait_for_report(number);
        assert_eq!(report.outcome, expected, "case {number}: {}", report.detail);
        wait_for_status(power.terminal(), "rest", |status| status["phase"] == "idle");
        before.check(power.terminal(), expected, &format!("case {number}"));
    }
    operator.behave();
    operator.offer(&world, &good, 9);
    assert_eq!(operator.wait_for_report(9).outcome, Outcome::Ok);
    wait_for_version(power.terminal(), "2.0.0");
}
