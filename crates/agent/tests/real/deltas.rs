//! The worker decodes deltas with what the banks hold, and nothing else.

use crate::server::{Act, Server};
use crate::worker::{network, workers};
use agent::edges::{Encoding, Feed, FeedError, Feeds, PayloadSpec, Retry};
use agent::worker::Banks;
use delta::{DiffOptions, diff};
use engine::Cursor;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use types::{Name, Outcome, Slot};

const CHUNK: usize = 32 << 10;
const IMAGE: usize = 600_000;
const SPAN: usize = 16 << 10;
const HEAP: u64 = 4 << 20;
const ENTRY: &str = "delta/0";

/// Bytes that no coder makes shorter.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Two banks, a server with a delta from what A holds to what B is to hold.
struct Bench {
    server: Server,
    new: Vec<u8>,
    patch: Vec<u8>,
    banks: [PathBuf; 2],
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let old = noise(1, IMAGE);
        // Half of it moved, half of it new, and a piece of itself again.
        let mut new = noise(2, IMAGE);
        for (to, from) in new.chunks_mut(9000).zip(old.chunks_exact(9000).rev()).step_by(2) {
            to[..8000].copy_from_slice(&from[..8000]);
        }
        new.copy_within(20_000..60_000, IMAGE - 50_000);
        let options = DiffOptions { span: SPAN, max_heap: HEAP, ..DiffOptions::default() };
        let patch = diff(&old, &new, &options, &()).unwrap().bytes;
        let directory = tempfile::tempdir().unwrap();
        let banks = ["a", "b"].map(|name| directory.path().join(name));
        // A bank is larger than the image in it.
        std::fs::write(&banks[0], [&old[..], &[7; 5000]].concat()).unwrap();
        File::create(&banks[1]).unwrap().set_len(IMAGE as u64 + 5000).unwrap();
        let server = Server::start();
        server.put(ENTRY, &patch);
        Self { server, new, patch, banks, _directory: directory }
    }

    fn spec(&self) -> PayloadSpec {
        PayloadSpec {
            entry: ENTRY.into(),
            encoding: Encoding::Delta { heap: HEAP },
            bank: Some((rootfs(), Slot::B)),
            size: self.patch.len() as u64,
            image_size: IMAGE as u64,
            chunk_size: CHUNK as u32,
        }
    }

    fn open(&self) -> Box<dyn Feed> {
        let stop = agent::platform::stop::by_hand::stop().unwrap().1;
        let network = network(vec![self.server.root.clone()]);
        let banks: Banks = [(rootfs(), self.banks.clone())].into();
        workers(network, stop).with_deltas(banks, HEAP).open(&self.server.base).unwrap()
    }

    /// Takes chunks from `at` on and writes them to bank B, as the agent does.
    fn take(&self, spec: &PayloadSpec, mut at: Cursor) -> (Cursor, Option<FeedError>) {
        let mut feed = self.open();
        let bank = File::options().write(true).open(&self.banks[1]).unwrap();
        if let Err(error) = feed.seek(spec, at) {
            return (at, Some(error));
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let len = match feed.chunk(&mut buffer) {
                Ok(0) => return (at, None),
                Ok(len) => len,
                Err(error) => return (at, Some(error)),
            };
            bank.write_all_at(&buffer[..len], u64::from(at.chunk) * CHUNK as u64).unwrap();
            let reset = feed.reset();
            at = Cursor { chunk: at.chunk + 1, out: reset.out, input: reset.input, ..at };
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(&self.banks[1]).unwrap();
        bytes.truncate(IMAGE);
        bytes
    }
}

fn rootfs() -> Name {
    "rootfs".parse().unwrap()
}

#[test]
fn a_delta_arrives_chunk_by_chunk() {
    let bench = Bench::new();
    let (at, error) = bench.take(&bench.spec(), Cursor::default());
    assert_eq!(error, None);
    assert_eq!(at.chunk as usize, IMAGE.div_ceil(CHUNK));
    assert!(bench.written() == bench.new);
    assert!(bench.patch.len() < IMAGE * 2 / 3, "{} bytes", bench.patch.len());
    assert_eq!(bench.server.served(), bench.patch.len() as u64);
}

#[test]
fn after_cuts_at_most_two_spans_are_fetched_again() {
    let bench = Bench::new();
    let cuts = [100, 40_000, 0, 16_384, 1, 70_000, 30_000];
    bench.server.will(cuts.map(Act::Cut));
    let mut at = Cursor::default();
    let mut starts = 0;
    while at.chunk < IMAGE.div_ceil(CHUNK) as u32 {
        let (reached, error) = bench.take(&bench.spec(), at);
        if let Some(error) = error {
            assert_eq!((error.outcome, error.retry), (Outcome::Unreachable, Retry::Later));
        }
        at = reached;
        starts += 1;
        assert!(starts < 30, "it does not come to an end");
    }
    assert!(bench.written() == bench.new);
    let again = bench.server.served() - bench.patch.len() as u64;
    // What the connection had under way besides is not counted by whoever cuts it.
    assert!(again <= (starts * (2 * SPAN + 64 * 1024)) as u64, "{again} bytes were served again");
}

#[test]
fn every_place_can_be_gone_on_from() {
    let bench = Bench::new();
    bench.take(&bench.spec(), Cursor::default());
    let mut feed = bench.open();
    feed.seek(&bench.spec(), Cursor::default()).unwrap();
    let mut places = vec![Cursor::default()];
    while feed.chunk(&mut vec![0; CHUNK]).unwrap() > 0 {
        let reset = feed.reset();
        let chunk = places.len() as u32;
        places.push(Cursor { chunk, out: reset.out, input: reset.input, ..Cursor::default() });
    }
    let resets: std::collections::BTreeSet<u64> = places.iter().map(|p| p.input).collect();
    assert!(resets.len() > 8, "{resets:?}");
    for place in places {
        // What lies behind the place is not there yet.
        let from = (place.chunk as usize * CHUNK).min(IMAGE);
        let mut half = bench.new[..from].to_vec();
        half.resize(IMAGE, 0xee);
        std::fs::write(&bench.banks[1], half).unwrap();
        for start in [place, Cursor { out: 0, input: 0, ..place }] {
            assert_eq!(bench.take(&bench.spec(), start).1, None, "{start:?}");
            assert!(bench.written() == bench.new, "{start:?}");
        }
    }
}

/// What a delta says when something is wrong: the full payload is the way out.
#[track_caller]
fn check(change: impl FnOnce(&mut Bench, &mut PayloadSpec), detail: &str) {
    let mut bench = Bench::new();
    let mut spec = bench.spec();
    change(&mut bench, &mut spec);
    let (_, error) = bench.take(&spec, Cursor::default());
    let error = error.expect("it must fail");
    assert_eq!(error.retry, Retry::OtherPayload, "{error}");
    assert!(error.detail.as_str().contains(detail), "{error}");
}

#[test]
fn what_is_wrong_leads_to_the_full_payload() {
    check(
        |bench, _| std::fs::remove_file(&bench.banks[0]).unwrap(),
        "a delta has nothing to start from",
    );
    check(|_, spec| spec.bank = None, "a delta has nothing to start from");
    check(|_, spec| spec.encoding = Encoding::Delta { heap: 1 }, "bytes of heap; there may be 1");
    check(|_, spec| spec.image_size -= 1, "the delta makes another image");
    check(
        |bench, _| {
            let half = bench.patch[..bench.patch.len() / 2].to_vec();
            bench.server.put(ENTRY, &half);
        },
        "is shorter than its manifest says",
    );
    check(
        |bench, _| {
            let mut damaged = bench.patch.clone();
            damaged[20] ^= 1;
            bench.server.put(ENTRY, &damaged);
        },
        "the header of the patch is damaged",
    );
    check(
        |bench, _| {
            File::options().write(true).open(&bench.banks[0]).unwrap().set_len(1000).unwrap();
        },
        "the old image cannot be read",
    );
}
