//! The real worker process against a server, and packages, that misbehave.

use crate::server::{Act, Server, image};
use agent::edges::{Encoding, Feed, FeedError, Feeds, PayloadSpec, Retry};
use agent::platform::stop::{Stop, by_hand};
use agent::worker::{Network, Workers};
use engine::Cursor;
use std::path::Path;
use types::{Outcome, Seconds};

/// Bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// Bytes of the image: 15 chunks and a rest.
const IMAGE: usize = 15 * CHUNK + 4321;
/// The payload's name in the package.
const ENTRY: &str = "payload/rootfs.zst";

pub(crate) fn network(roots: Vec<Vec<u8>>) -> Network {
    Network {
        roots,
        floor: 0,
        connect_ms: 5_000,
        read_ms: 1_500,
        window: 128 << 10,
        least_rate: 1024,
        least_over_ms: 2_000,
        bandwidth: 0,
    }
}

pub(crate) fn workers(network: Network, stop: Stop) -> Workers {
    Workers::new(env!("CARGO_BIN_EXE_refit-agent").into(), nobody(), network, stop)
}

/// As root, workers become someone else.
fn nobody() -> Option<agent::platform::confine::Nobody> {
    use agent::platform::confine;
    confine::is_root().then(|| confine::user("nobody").unwrap())
}

fn open(network: Network, locator: &str) -> Result<Box<dyn Feed>, FeedError> {
    workers(network, by_hand::stop().unwrap().1).open(locator)
}

fn spec(payload: &[u8]) -> PayloadSpec {
    PayloadSpec {
        entry: ENTRY.into(),
        encoding: Encoding::Frames,
        bank: None,
        size: payload.len() as u64,
        image_size: IMAGE as u64,
        chunk_size: CHUNK as u32,
    }
}

/// Takes all chunks from `at` on; says what came and where it stopped.
fn take(
    feed: &mut dyn Feed,
    spec: &PayloadSpec,
    at: Cursor,
) -> (Vec<u8>, Cursor, Option<FeedError>) {
    let (mut got, mut at, mut buffer) = (Vec::new(), at, vec![0; CHUNK]);
    if let Err(error) = feed.seek(spec, at) {
        return (got, at, Some(error));
    }
    loop {
        match feed.chunk(&mut buffer) {
            Ok(0) => return (got, at, None),
            Ok(len) => got.extend(&buffer[..len]),
            Err(error) => return (got, at, Some(error)),
        }
        let reset = feed.reset();
        at = Cursor { chunk: at.chunk + 1, out: reset.out, input: reset.input, ..at };
    }
}

/// What happens to a payload that is served by `acts`.
#[track_caller]
fn check(acts: &[Act], outcome: Outcome, retry: Retry) -> FeedError {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    server.will(acts.iter().cloned());
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    let (got, _, error) = take(feed.as_mut(), &spec(&payload), Cursor::default());
    assert!(image.starts_with(&got));
    let error = error.expect("it must fail");
    assert_eq!((error.outcome, error.retry), (outcome, retry), "{acts:?}: {error}");
    error
}

#[test]
fn a_payload_arrives_chunk_by_chunk() {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    let (got, at, error) = take(feed.as_mut(), &spec(&payload), Cursor::default());
    assert_eq!(error, None);
    assert!(got == image);
    assert_eq!((at.chunk, at.out, at.input), (16, IMAGE as u64, payload.len() as u64));
    assert_eq!(feed.fetched(), payload.len() as u64);
    assert_eq!(server.served(), payload.len() as u64);
}

/// What is kept before it is decoded comes as it is, from any place.
#[test]
fn the_bytes_of_a_payload_can_be_had_as_they_are() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let size = payload.len() as u64;
    let plain = PayloadSpec { encoding: Encoding::Plain, image_size: size, ..spec(&payload) };
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    for chunk in [0, 1, 3] {
        let from = chunk as usize * CHUNK;
        let (out, input) = (from as u64, from as u64);
        let at = Cursor { chunk, out, input, ..Cursor::default() };
        let (got, _, error) = take(feed.as_mut(), &plain, at);
        assert_eq!(error, None);
        assert!(got == payload[from..], "from {from} on");
    }
    // One that is longer or shorter than its manifest says is none.
    for (size, outcome) in [(size - 1, Outcome::Oversized), (size + 1, Outcome::Truncated)] {
        let other = PayloadSpec { size, image_size: size, ..plain.clone() };
        let error = take(feed.as_mut(), &other, Cursor::default()).2.unwrap();
        assert_eq!(error.outcome, outcome);
    }
}

#[test]
fn every_place_can_be_gone_on_from() {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let spec = spec(&payload);
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    let mut places = vec![Cursor::default()];
    feed.seek(&spec, Cursor::default()).unwrap();
    while feed.chunk(&mut vec![0; CHUNK]).unwrap() > 0 {
        let chunk = places.len() as u32;
        let reset = feed.reset();
        places.push(Cursor { chunk, out: reset.out, input: reset.input, ..Cursor::default() });
    }
    for place in places {
        let from = (place.chunk as usize * CHUNK).min(IMAGE);
        let (got, _, error) = take(feed.as_mut(), &spec, place);
        assert_eq!(error, None, "{place:?}");
        assert!(got == image[from..], "{place:?}");
        let again = Cursor { out: 0, input: 0, ..place };
        let (got, _, error) = take(feed.as_mut(), &spec, again);
        assert_eq!(error, None, "{again:?}");
        assert!(got == image[from..], "{again:?}");
    }
}

#[test]
fn after_cuts_little_is_fetched_again() {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let cuts = [100_000, 0, 1, 200_000, 50_000];
    server.will(cuts.map(Act::Cut));
    let (mut got, mut at) = (Vec::new(), Cursor::default());
    for _ in 0..=cuts.len() {
        let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
        let (more, reached, error) = take(feed.as_mut(), &spec(&payload), at);
        got.extend(more);
        at = reached;
        if let Some(error) = error {
            assert_eq!((error.outcome, error.retry), (Outcome::Unreachable, Retry::Later));
        }
    }
    assert!(got == image);
    let again = server.served() - payload.len() as u64;
    assert!(again <= (cuts.len() * CHUNK) as u64, "{again} bytes were served again");
}

#[test]
fn a_killed_agent_leaves_little_under_way() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    // The same frames again and again: the server could send much more than is taken.
    let mut long = payload.clone();
    (0..40).for_each(|_| long.extend(&payload));
    server.put(ENTRY, &long);
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    let spec = PayloadSpec { image_size: IMAGE as u64 * 41, ..spec(&long) };
    feed.seek(&spec, Cursor::default()).unwrap();
    for _ in 0..3 {
        feed.chunk(&mut vec![0; CHUNK]).unwrap();
    }
    let taken = feed.reset().input;
    // Long enough for the server to send whatever the connection takes.
    let mut before = u64::MAX;
    while before != server.served() {
        before = server.served();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    drop(feed);
    let ahead = server.served() - taken;
    assert!(ahead <= 1 << 20, "{ahead} bytes were under way");
}

#[test]
fn bad_payloads_are_told_apart() {
    let (_, payload) = image(IMAGE, CHUNK);
    let len = payload.len();
    check(&[Act::Unannounced(len - 1)], Outcome::Truncated, Retry::OtherPayload);
    check(&[Act::Unannounced(len + 1)], Outcome::Oversized, Retry::OtherPayload);
    check(&[Act::Endless], Outcome::Oversized, Retry::OtherPayload);
    check(&[Act::Noise], Outcome::Unreachable, Retry::Later);
    check(&[Act::Status("404 Not Found")], Outcome::Unreachable, Retry::OtherPayload);
    check(&[Act::Status("410 Gone")], Outcome::Unreachable, Retry::OtherPayload);
    check(&[Act::Status("403 Forbidden")], Outcome::Unreachable, Retry::Later);
    check(&[Act::Status("503 Busy")], Outcome::Unreachable, Retry::Later);
    let held = |seconds| Retry::Held(Seconds(seconds));
    check(&[Act::Status("503 Busy\r\nRetry-After: 7")], Outcome::Unreachable, held(7));
    check(&[Act::Status("429 Wait\r\nRetry-After: 99999")], Outcome::Unreachable, held(3600));
    check(&[Act::Status("416 Range Not Satisfiable")], Outcome::Truncated, Retry::OtherPayload);
}

#[test]
fn one_byte_a_second_is_too_slow() {
    check(&[Act::Trickle], Outcome::TooSlow, Retry::Later);
}

#[test]
fn silence_ends() {
    check(&[Act::Silent], Outcome::Unreachable, Retry::Later);
}

#[test]
fn only_the_same_server_may_be_redirected_to() {
    let bad = |to: &str| {
        check(&[Act::Redirect(to.into())], Outcome::BadRedirect, Retry::Never);
    };
    bad("http://127.0.0.1/p/payload/rootfs.zst");
    bad("https://127.0.0.2/p/payload/rootfs.zst");
    bad("//127.0.0.2/x");
    bad("ftp://127.0.0.1/x");
    bad("");
    let circle = Act::Redirect("/p/payload/rootfs.zst".into());
    check(
        &[circle.clone(), circle.clone(), circle.clone(), circle],
        Outcome::BadRedirect,
        Retry::Never,
    );
}

#[test]
fn the_same_server_may_be_redirected_to() {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put("elsewhere", &payload);
    let absolute = format!("https://127.0.0.1:{}/p/elsewhere", server.port);
    for to in ["/p/elsewhere".to_string(), absolute] {
        server.will([Act::Redirect(to)]);
        let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
        let (got, _, error) = take(feed.as_mut(), &spec(&payload), Cursor::default());
        assert_eq!(error, None);
        assert!(got == image);
    }
}

#[test]
fn lengths_that_are_not_the_manifests_are_refused_by_the_head() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let length = payload.len() as u64;
    for (size, outcome) in [(length + 1, Outcome::Truncated), (length - 1, Outcome::Oversized)] {
        for input in [0, 1000] {
            let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
            let spec = PayloadSpec { size, ..spec(&payload) };
            let error = feed.seek(&spec, Cursor { input, ..Cursor::default() }).unwrap_err();
            assert_eq!((error.outcome, error.retry), (outcome, Retry::OtherPayload));
        }
    }
}

/// Goes on from chunk 3 at a server that treats ranges as told.
#[track_caller]
fn check_range(act: Act, outcome: Option<Outcome>) {
    let (image, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    feed.seek(&spec(&payload), Cursor::default()).unwrap();
    for _ in 0..3 {
        feed.chunk(&mut vec![0; CHUNK]).unwrap();
    }
    let reset = feed.reset();
    server.will([act]);
    let at = Cursor { chunk: 3, out: reset.out, input: reset.input, ..Cursor::default() };
    let (got, _, error) = take(feed.as_mut(), &spec(&payload), at);
    assert_eq!(error.map(|error| error.outcome), outcome);
    assert!(outcome.is_some() || got == image[3 * CHUNK..]);
    assert_eq!(server.requests().last().unwrap(), &format!("/p/{ENTRY} {}-", reset.input));
}

#[test]
fn ranges_are_held_to_what_was_asked() {
    check_range(Act::Serve, None);
    check_range(Act::NoRanges, None);
    check_range(Act::WrongRange, Some(Outcome::CorruptPayload));
    check_range(Act::Cut(10), Some(Outcome::Unreachable));
}

#[test]
fn flipped_bytes_are_never_more_than_a_wrong_chunk_or_a_refusal() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    for at in [0, 4, 5, 6, payload.len() / 2, payload.len() - 1] {
        let mut bad = payload.clone();
        bad[at] ^= 0x40;
        server.put(ENTRY, &bad);
        let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
        let (_, _, error) = take(feed.as_mut(), &spec(&bad), Cursor::default());
        if let Some(error) = error {
            assert_eq!(
                (error.outcome, error.retry),
                (Outcome::CorruptPayload, Retry::OtherPayload)
            );
        }
    }
}

#[test]
fn documents_have_limits() {
    let server = Server::start();
    server.put("manifest.json", b"{}");
    server.put("long.json", &[b' '; 1000]);
    let root = || network(vec![server.root.clone()]);
    let mut feed = open(root(), &server.base).unwrap();
    assert_eq!(feed.document("manifest.json", 2).unwrap(), b"{}");
    let check = |acts: &[Act], name: &str, limit, outcome, retry| {
        server.will(acts.iter().cloned());
        let mut feed = open(root(), &server.base).unwrap();
        let error = feed.document(name, limit).unwrap_err();
        assert_eq!((error.outcome, error.retry), (outcome, retry), "{name} {acts:?}");
    };
    check(&[], "manifest.json", 1, Outcome::Oversized, Retry::Never);
    check(&[Act::Endless], "manifest.json", 1 << 20, Outcome::Oversized, Retry::Never);
    check(&[], "targets.json", 1, Outcome::Unreachable, Retry::Never);
    check(&[Act::Trickle], "long.json", 1000, Outcome::TooSlow, Retry::Later);
    check(&[Act::Cut(1)], "manifest.json", 2, Outcome::Unreachable, Retry::Later);
    for name in ["", "../x", "/x", "a/../b", "a b", "a?b", "a//b", "a%2fb", "a#b"] {
        check(&[], name, 2, Outcome::Malformed, Retry::Never);
    }
}

#[test]
fn only_the_operators_roots_are_trusted() {
    let (server, other) = (Server::start(), Server::start());
    for roots in [vec![other.root.clone()], vec![]] {
        let mut feed = open(network(roots), &server.base).unwrap();
        let error = feed.document("manifest.json", 2).unwrap_err();
        assert_eq!((error.outcome, error.retry), (Outcome::Unreachable, Retry::Later));
        assert!(error.detail.as_str().contains("no trusted connection"), "{error}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn only_packages_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let check = |locator: &str, outcome, retry| {
        let error = open(network(Vec::new()), locator).err().expect(locator);
        assert_eq!((error.outcome, error.retry), (outcome, retry), "{locator}: {error}");
    };
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    check("http://127.0.0.1/", Outcome::BadRedirect, Retry::Never);
    check("update.zip", Outcome::BadRedirect, Retry::Never);
    check(&path("missing.zip"), Outcome::Unreachable, Retry::Later);
    check("/dev/zero", Outcome::Malformed, Retry::Never);
    check(dir.path().to_str().unwrap(), Outcome::Malformed, Retry::Never);
    std::fs::write(path("noise.zip"), [7; 5000]).unwrap();
    check(&path("noise.zip"), Outcome::Malformed, Retry::Never);
    std::fs::write(path("empty.zip"), []).unwrap();
    check(&path("empty.zip"), Outcome::Malformed, Retry::Never);
}

fn write_package(path: &Path, payload: &[u8]) {
    let mut bytes = Vec::new();
    let mut writer = package::Writer::new(|more: &[u8]| {
        bytes.extend(more);
        Ok::<(), std::io::Error>(())
    });
    writer.entry("manifest.json", b"{\"a\":1}").unwrap();
    writer.entry(ENTRY, payload).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_local_package_is_a_feed_too() {
    let (image, payload) = image(IMAGE, CHUNK);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("update.zip");
    write_package(&path, &payload);
    let mut feed = open(network(Vec::new()), path.to_str().unwrap()).unwrap();
    assert_eq!(feed.document("manifest.json", 100).unwrap(), b"{\"a\":1}");
    assert_eq!(feed.document("manifest.json", 1).unwrap_err().outcome, Outcome::Malformed);
    let (got, at, error) = take(feed.as_mut(), &spec(&payload), Cursor::default());
    assert_eq!(error, None);
    assert!(got == image);
    let half = Cursor { chunk: 8, ..Cursor::default() };
    let (got, ..) = take(feed.as_mut(), &spec(&payload), half);
    assert!(got == image[8 * CHUNK..]);
    let (got, _, error) = take(feed.as_mut(), &spec(&payload), at);
    assert_eq!((got.len(), error), (0, None));
    let longer = PayloadSpec { size: payload.len() as u64 + 1, ..spec(&payload) };
    assert_eq!(feed.seek(&longer, Cursor::default()).unwrap_err().outcome, Outcome::Truncated);
}

#[test]
fn a_dead_worker_is_an_error_and_no_hang() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    server.will([Act::Silent]);
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    let own = std::process::id().to_string();
    let workers = children_of(&own);
    assert!(!workers.is_empty());
    for worker in workers {
        let pid = rustix::process::Pid::from_raw(worker).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    let error = feed.seek(&spec(&payload), Cursor::default()).unwrap_err();
    assert_eq!((error.outcome, error.retry), (Outcome::Unreachable, Retry::Later));
}

/// Processes that this test's thread started.
fn children_of(pid: &str) -> Vec<i32> {
    let task = rustix::thread::gettid().as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap();
    list.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn the_wish_to_stop_interrupts_a_feed() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    server.will([Act::Silent]);
    let (asker, stop) = by_hand::stop().unwrap();
    let network = Network { read_ms: 600_000, ..network(vec![server.root.clone()]) };
    let mut feed = workers(network, stop).open(&server.base).unwrap();
    asker.ask().unwrap();
    let error = feed.seek(&spec(&payload), Cursor::default()).unwrap_err();
    assert_eq!(error.retry, Retry::Later);
    assert!(error.detail.as_str().contains("stopping"), "{error}");
}

#[test]
fn a_worker_has_no_rights() {
    let server = Server::start();
    server.put("manifest.json", b"{}");
    let mut feed = open(network(vec![server.root.clone()]), &server.base).unwrap();
    feed.document("manifest.json", 10).unwrap();
    let worker = *children_of(&std::process::id().to_string()).first().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.split_ascii_whitespace().map(String::from).collect()
    };
    let (uids, caps, privileges): (Vec<_>, Vec<_>, Vec<_>) =
        (field("Uid"), field("CapEff"), field("NoNewPrivs"));
    assert!(uids.iter().all(|uid| uid != "0"), "{uids:?}");
    assert_eq!(caps, ["0000000000000000"]);
    assert_eq!(privileges, ["1"]);
    let limits = std::fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[26..].split_ascii_whitespace().next().unwrap().to_string()
    };
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max open files"), "16");
    assert_eq!(limit("Max processes"), "0");
}

#[test]
fn the_bandwidth_limit_is_kept() {
    let (_, payload) = image(IMAGE, CHUNK);
    let server = Server::start();
    server.put(ENTRY, &payload);
    let rate = payload.len() as u32 / 2;
    let network = Network { bandwidth: rate, ..network(vec![server.root.clone()]) };
    let mut feed = open(network, &server.base).unwrap();
    let watch = agent::platform::clock::Stopwatch::start();
    let (_, _, error) = take(feed.as_mut(), &spec(&payload), Cursor::default());
    assert_eq!(error, None);
    let took = watch.millis();
    assert!((1_500..4_000).contains(&took), "{took} ms for two seconds' worth");
}
