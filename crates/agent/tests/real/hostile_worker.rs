//! A worker that was taken over: what it says is bounded and believed by nobody.

use agent::edges::{Encoding, Feed, FeedError, Feeds, PayloadSpec};
use agent::platform::stop::by_hand;
use agent::worker::{Network, Workers};
use engine::Cursor;
use std::os::unix::fs::PermissionsExt;
use types::Outcome;

/// Bytes of a chunk.
const CHUNK: u32 = 4096;

/// What a worker says: length and postcard, as `printf` wants it.
fn tell(bytes: &[u8]) -> String {
    let len = u8::try_from(bytes.len()).unwrap();
    let all = [len, 0, 0, 0].into_iter().chain(bytes.iter().copied());
    let octal: String = all.map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{octal}' >&0\n")
}

/// `Ready`
fn ready() -> String {
    tell(&[0])
}

/// `Chunk` of `len` bytes; decoding can start again at byte `out` of the image and byte
/// `input` of the payload.
fn chunk(len: u16, out: u16, input: u8) -> String {
    let varint = |n: u16| [(n & 0x7f) as u8 | 0x80, (n >> 7) as u8];
    let ([len, len_more], [out, out_more]) = (varint(len), varint(out));
    tell(&[3, len, len_more, out, out_more, input, 0])
}

fn network() -> Network {
    Network {
        roots: Vec::new(),
        floor: 0,
        connect_ms: 0,
        read_ms: 0,
        window: 1 << 16,
        least_rate: u32::MAX,
        least_over_ms: 0,
        bandwidth: 0,
    }
}

fn spec() -> PayloadSpec {
    PayloadSpec {
        entry: "payload/rootfs.zst".into(),
        encoding: Encoding::Frames,
        bank: None,
        size: 100,
        image_size: 2 * u64::from(CHUNK),
        chunk_size: CHUNK,
    }
}

/// Opens a feed from a worker that says `script`, and uses it.
fn with<T>(
    script: &str,
    attempt: impl FnOnce(&mut dyn Feed) -> Result<T, FeedError>,
) -> Result<T, FeedError> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("worker");
    // It goes on reading, so that nothing fails for want of a listener.
    std::fs::write(&program, format!("#!/bin/sh\n{script}\nexec cat >/dev/null\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut workers = Workers::new(program, None, network(), by_hand::stop().unwrap().1);
    let mut feed = workers.open("https://127.0.0.1/")?;
    attempt(feed.as_mut())
}

/// The worker's answers must lead to an error, and to no other outcome than one that
/// blames the way or the package.
#[track_caller]
fn check<T: std::fmt::Debug>(
    script: &str,
    attempt: impl FnOnce(&mut dyn Feed) -> Result<T, FeedError>,
) {
    let error = with(script, attempt).unwrap_err();
    assert_eq!(error.outcome, Outcome::Unreachable, "{script}: {error}");
}

fn nothing(_: &mut dyn Feed) -> Result<(), FeedError> {
    Ok(())
}

fn document(feed: &mut dyn Feed) -> Result<Vec<u8>, FeedError> {
    feed.document("manifest.json", 100)
}

fn first_chunk(feed: &mut dyn Feed) -> Result<usize, FeedError> {
    feed.seek(&spec(), Cursor::default())?;
    feed.chunk(&mut [0; CHUNK as usize])
}

#[test]
fn noise_is_no_answer() {
    check("exit 1", nothing);
    check("printf '\\377\\377\\377\\377' >&0", nothing);
    check("cat /dev/zero >&0", nothing);
    check(&tell(&[99]), nothing);
    check(&tell(&[0, 0]), nothing);
    check(&tell(&[1]), nothing);
}

#[test]
fn documents_stay_within_their_limit() {
    check(&format!("{}{}", ready(), tell(&[2, 101])), document);
    check(&format!("{}{}", ready(), tell(&[2, 255, 255, 255, 255, 15])), document);
    check(&format!("{}{}exit", ready(), tell(&[2, 50])), document);
    let whole = format!("{}{}printf 'ab' >&0", ready(), tell(&[2, 2]));
    assert_eq!(with(&whole, document).unwrap(), b"ab");
}

#[test]
fn chunks_have_the_length_and_the_place_that_they_must_have() {
    let says = |answer: String| format!("{0}{0}{answer}", ready());
    assert_eq!(with(&says(chunk(4096, 4096, 50)), first_chunk).unwrap(), 4096);
    check(&says(chunk(4095, 4095, 50)), first_chunk);
    check(&says(chunk(4097, 4097, 50)), first_chunk);
    check(&says(chunk(4096, 4095, 50)), first_chunk);
    check(&says(chunk(4096, 4097, 50)), first_chunk);
    check(&says(chunk(4096, 4096, 0)), first_chunk);
    check(&says(chunk(4096, 4096, 101)), first_chunk);
    check(&says(tell(&[4, 0])), first_chunk);
    check(&says(tell(&[1]).repeat(50)), first_chunk);
}

#[test]
fn blame_is_limited() {
    // `Failed` with outcome 302, about the terminal itself.
    let failed = tell(&[5, 0xae, 0x02, 1, b'x', 2, 0]);
    check(&format!("{}{failed}", ready()), document);
    check(&failed, nothing);
}
