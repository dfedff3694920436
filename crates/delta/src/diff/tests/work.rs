//! What a terminal decodes of old streams: declared, and never more.

use super::*;
use crate::apply::{ApplyError, least_heap};
use crate::coder::{Encoder, Kind, Models, Moves, Pace, Symbols};
use crate::patch::{Lists, Method, OldStream, Part, PatchError};
use alloc::vec::Vec;

const GZIP: crate::Recipe = crate::Recipe::Deflate {
    wrapper: crate::Wrapper::GzipTail,
    options: crate::DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 },
};

/// The patch with another figure in its header.
fn declaring(patch: &[u8], decoded: u64) -> Vec<u8> {
    let (header, at) = PatchHeader::read(patch).unwrap().unwrap();
    [&PatchHeader { decoded, ..header }.to_bytes(), &patch[at..]].concat()
}

/// The generator counts to the byte what the applier does, also where contents come and
/// go; a resume, which begins with nothing, needs no more than is declared.
#[test]
fn what_is_decoded_is_declared() {
    let content: Vec<Vec<u8>> = (0..24).map(|seed| texture(150_000, seed)).collect();
    let old: Vec<u8> = content.iter().flat_map(|content| gzip(content)).collect();
    let mut parts: Vec<u8> = Vec::new();
    for at in [5usize, 3, 17, 5, 9, 23, 3, 0, 17, 5, 12, 3] {
        // Pieces of all of them in each: most are decoded more than once.
        let pieces = content.iter().enumerate().map(|(number, content)| {
            let start = (number * 5000 + at * 1000) % 120_000;
            &content[start..start + 9000]
        });
        parts.extend(gzip(&worn(&pieces.collect::<Vec<_>>().concat())));
    }
    let options = DiffOptions { max_heap: 4 << 20, ..DiffOptions::default() };
    let patch = check_with(&options, &old, &parts).bytes;
    let (header, _) = PatchHeader::read(&patch).unwrap().unwrap();
    let all: u64 = content.iter().map(|content| content.len() as u64).sum();
    let exactly = header.decoded / 2;
    assert!(exactly > 2 * all, "{exactly} of {all}");
    assert!(apply(&declaring(&patch, exactly), &old).is_ok());
    let less = apply(&declaring(&patch, exactly - 1), &old);
    assert!(matches!(less, Err(ApplyError::Work)), "{less:?}");
    let (_, resets) = apply(&patch, &old).unwrap();
    crate::apply::tests::check_resumes(&patch, &old, &parts, &resets);
}

/// A patch that takes one byte after the other from two streams in turn, of which only
/// one can be held.
fn hostile(old: &[u8], streams: [&[u8]; 2], plain: u64, decoded: u64, bytes: u64) -> Vec<u8> {
    let models = Models { log: 12, pace: Pace::Quick };
    let heap = least_heap(16, models, &[]) + plain + (64 << 10);
    let mut header = header(
        [image(old), Image { size: bytes, digest: [0; 32] }],
        &budget::Budget { window_log: 16, models, encoders: 0, decoder: 64 << 10, cache: plain },
    );
    header = PatchHeader { heap, window_log: 16, cache: plain, decoded, ..header };
    header.recipes = alloc::vec![GZIP];
    let mut patch = header.to_bytes();
    let (mut at, mut plain_at, mut list) = (0, old.len() as u64, Vec::new());
    for stream in streams {
        let len = stream.len() as u64;
        list.push(OldStream { at, len, plain_at, plain, ..OldStream::default() });
        (at, plain_at) = (at + len, plain_at + plain);
    }
    let places =
        [0, 1].map(|number| list.get(number).map_or(0, |stream: &OldStream| stream.plain_at));
    let parts = alloc::vec![Part::Raw(bytes)];
    let lists = Lists { plain: bytes, old: list, parts, ..Lists::default() };
    let mut coder = Encoder::new();
    lists.code(&mut coder, |_| false).unwrap();
    let lists = coder.finish();
    let (mut symbols, mut coder) = (Symbols::new(models, Moves::default()), Encoder::new());
    symbols.reset(0, 0);
    for at in 0..bytes {
        symbols.kind(&mut coder, Kind::Jump);
        symbols.jump(&mut coder, places[at as usize % 2] + at);
        symbols.kind(&mut coder, Kind::Copy);
        symbols.align();
        symbols.length(&mut coder, Kind::Copy, 1, 1);
        symbols.from += 1;
        symbols.copied(1, &[0]);
    }
    let [low, middle, high, _] = (lists.len() as u32).to_le_bytes();
    Method::Coded.write(&mut patch, &[&[low, middle, high], &lists, &coder.finish()]);
    patch
}

/// A small patch that would have gigabytes decoded ends where it did what it declares,
/// and cannot declare them.
#[test]
fn a_patch_that_decodes_without_end_is_stopped() {
    let zeros = alloc::vec![0; 1 << 20];
    let (one, other) = (encoded(GZIP, &zeros), encoded(GZIP, &zeros));
    let old = [&one[..], &other].concat();
    let streams = [one.as_slice(), other.as_slice()];
    let (plain, bytes) = (zeros.len() as u64, 20_000);
    let patch = |decoded| hostile(&old, streams, plain, decoded, bytes);
    let honest = 2 * 2 * (plain + one.len() as u64 + 4096);
    let size = patch(honest).len();
    assert!(size < 8 << 10, "{size} bytes");
    let stopped = apply(&patch(honest), &old);
    assert!(matches!(stopped, Err(ApplyError::Work)), "{stopped:?}");
    let refused = apply(&patch(bytes * plain), &old);
    let too_much = ApplyError::Patch(PatchError::Impossible("amount of work"));
    assert_eq!(refused.err(), Some(too_much));
    // It does what it says, as far as it may.
    let patch = hostile(&old, streams, plain, 8 * honest, 8);
    assert_eq!(apply(&patch, &old).unwrap().0, [0; 8]);
}
