//! Servers that lie about a package, or never come to an end with it.

use crate::archive::{CHUNKS, MANIFEST, PAYLOAD, TARGETS, flipped};
use crate::operator::{Operator, careful};
use crate::world::{Held, SIZE, World, says_why, wait_for_status, wait_for_version};
use lab::boot::BootLoop;
use lab::terminal::Settings;
use lab::web::{Reply, Request};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::Outcome;

/// What a server does with one entry of a package, and how the attempt then ends.
struct Case {
    name: &'static str,
    entry: &'static str,
    reply: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
    expected: Outcome,
}

fn case(
    name: &'static str,
    entry: &'static str,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    expected: Outcome,
) -> Case {
    Case { name, entry, reply: Arc::new(reply), expected }
}

/// Every case ends as it should and leaves the terminal with what it ran; it then
/// takes a good offer.
fn check(cases: &[Case]) {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    let bad = world.package("2.0.0", 2);
    let power = BootLoop::start(terminal);
    let mut number = 0;
    for Case { name, entry, reply, expected } in cases {
        number += 1;
        let before = Held::by(power.terminal());
        let (entry, reply) = (format!("/p/{entry}"), Arc::clone(reply));
        operator.misbehave(move |request| (request.path == entry).then(|| reply(request)));
        operator.offer(&world, &bad, number);
        let report = operator.wait_for_report(number);
        assert_eq!(report.outcome, *expected, "{name}: {}", report.detail);
        says_why(&report, name);
        wait_for_status(power.terminal(), "rest", |status| status["phase"] == "idle");
        before.check(power.terminal(), *expected, name);
    }
    operator.behave();
    operator.offer(&world, &world.package("3.0.0", 3), number + 1);
    assert_eq!(operator.wait_for_report(number + 1).outcome, Outcome::Ok);
    wait_for_version(power.terminal(), "3.0.0");
}

/// A whole answer with these bytes.
fn body(bytes: Vec<u8>) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |_| Reply::Small(200, bytes.clone())
}

/// The bytes of a payload as the maker made it.
fn payload() -> Vec<u8> {
    let world = World::new();
    crate::archive::Entries::of(&world.package("2.0.0", 2)).get(PAYLOAD).to_vec()
}

/// An answer that says nothing of its length and begins with `first`, then never ends.
fn endless(first: Vec<u8>) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |_| {
        let first = first.clone();
        Reply::Wild(Box::new(move |to| {
            to.write_all(b"HTTP/1.1 200 -\r\nconnection: close\r\n\r\n")?;
            to.write_all(&first)?;
            forever(to, &[b'x'; 4096])
        }))
    }
}

fn forever(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    loop {
        to.write_all(bytes)?;
    }
}

#[test]
fn truncated() {
    let mut short = payload();
    short.truncate(short.len() / 2);
    check(&[
        case("half a payload", PAYLOAD, body(short), Outcome::Truncated),
        case("no payload", PAYLOAD, body(Vec::new()), Outcome::Truncated),
        case("half a manifest", MANIFEST, body(b"{\"product\":".to_vec()), Outcome::Malformed),
    ]);
}

#[test]
fn oversized() {
    let mut long = payload();
    long.extend(b"more");
    check(&[case("four bytes more", PAYLOAD, body(long), Outcome::Oversized)]);
}

#[test]
fn without_an_end() {
    check(&[
        case("payload", PAYLOAD, endless(payload()), Outcome::Oversized),
        case("manifest", MANIFEST, endless(Vec::new()), Outcome::Oversized),
        case("signatures", TARGETS, endless(Vec::new()), Outcome::Oversized),
        case("chunk list", CHUNKS, endless(Vec::new()), Outcome::Oversized),
    ]);
}

#[test]
fn other_bytes() {
    let payload = payload();
    let flipped = flipped(&payload, payload.len() / 2);
    let page = b"<html>Welcome to the hotel's network</html>".to_vec();
    // A frame that decodes to far more than it may.
    let bomb = delta::FrameEncoder::new(3).unwrap().encode(&vec![0; 1 << 20]).unwrap();
    let mut exploding = payload;
    exploding[..bomb.len()].copy_from_slice(&bomb);
    check(&[
        case("a bit of the payload", PAYLOAD, body(flipped), Outcome::CorruptPayload),
        case("a page for a manifest", MANIFEST, body(page), Outcome::Malformed),
        case("1 MiB in place of 64 KiB", PAYLOAD, body(exploding), Outcome::CorruptPayload),
    ]);
}

#[test]
fn redirected() {
    let to = |place: &'static str| {
        case(place, PAYLOAD, move |_| Reply::Elsewhere(place.into()), Outcome::BadRedirect)
    };
    check(&[
        to("http://localhost:1/payload"),
        to("file:///etc/passwd"),
        to("ftp://localhost/payload"),
        to("https://elsewhere.example/payload"),
        to("//elsewhere.example/payload"),
        // In circles.
        to("/p/payload/rootfs.zst"),
    ]);
}

/// One byte a second is given up, tried again, and ends with a number after so many
/// tries. Each try of the owner's (`check`) is one of them.
#[test]
fn one_byte_a_second() {
    let world = World::new();
    let operator = Operator::start(&world);
    let settings = Settings { least_rate_seconds: 1, ..careful() };
    let terminal = operator.terminal(&world, &settings);
    let before = Held::by(&terminal);
    operator.misbehave(|request| {
        request.path.ends_with(PAYLOAD).then(|| Reply::Wild(Box::new(one_byte_a_second_from)))
    });
    operator.offer(&world, &world.package("2.0.0", 2), 1);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    let told = wait_for_status(terminal, "an end of the patience", |status| {
        let waiting = status["waiting"].as_str().unwrap_or_default();
        if waiting.starts_with("the last try failed") {
            assert!(status["trouble"].as_str().unwrap().contains("(204)"), "{status}");
            terminal.agent(&["check"]).unwrap();
        }
        !status["last"].is_null()
    });
    assert_eq!(told["last"]["outcome"], Outcome::TooSlow.code(), "{told}");
    before.check(terminal, Outcome::TooSlow, "one byte a second");
    operator.behave();
    operator.offer(&world, &world.package("3.0.0", 3), 2);
    wait_for_version(terminal, "3.0.0");
}

/// As many bytes as are due: the length is right, and nothing else is.
fn one_byte_a_second_from(to: &mut dyn Write) -> io::Result<()> {
    let world_size = SIZE * 2;
    write!(to, "HTTP/1.1 200 -\r\nconnection: close\r\n\r\n")?;
    for _ in 0..world_size {
        to.write_all(b"x")?;
        to.flush()?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// The server's own answers without an end: nothing is ordered, the agent lives.
#[test]
fn an_answer_without_an_end() {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    let before = Held::by(&terminal);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    let heads: [fn(&mut dyn Write) -> io::Result<()>; 2] = [
        |to| endless_in(to, b"HTTP/1.1 200 -\r\nconnection: close\r\n\r\n", b"{\"etag\":\"\" "),
        |to| endless_in(to, b"HTTP/1.1 200 -\r\n", b"x-more: of it\r\n"),
    ];
    for reply in heads {
        operator.misbehave(move |request| {
            request.path.ends_with("/heartbeat").then(|| Reply::Wild(Box::new(reply)))
        });
        wait_for_status(terminal, "trouble", |status| status["trouble"].is_string());
        operator.behave();
        wait_for_status(terminal, "no trouble", |status| status["trouble"].is_null());
    }
    before.check(terminal, Outcome::Declined, "nothing was ordered");
    operator.offer(&world, &world.package("2.0.0", 2), 1);
    wait_for_version(terminal, "2.0.0");
}

fn endless_in(to: &mut dyn Write, head: &[u8], bytes: &[u8]) -> io::Result<()> {
    to.write_all(head)?;
    forever(to, bytes)
}

/// A server whose certificate nobody vouches for is not even asked.
#[test]
fn a_server_that_is_another() {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    let other = lab::web::Authority::new().unwrap();
    let ca: PathBuf = world.file("ca.pem");
    fs::write(ca, other.ca_pem()).unwrap();
    operator.offer(&world, &world.package("2.0.0", 2), 1);
    let power = BootLoop::start(terminal);
    let told = wait_for_status(power.terminal(), "trouble", |s| s["trouble"].is_string());
    let trouble = told["trouble"].as_str().unwrap();
    assert!(trouble.contains("localhost"), "{trouble}");
    assert_eq!(operator.heartbeats(), 0);
}
