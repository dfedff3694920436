//! Images of every shape in, the same images out.

use super::*;
use crate::apply::tests::{apply, apply_in_pieces, check_resumes};
use crate::open::tests::run;
use alloc::vec;
use proptest::prelude::*;
use std::println;

mod code;
mod long;
mod shut;
mod work;

/// Bytes with the texture of an image: runs, text and noise.
fn texture(len: usize, mut seed: u32) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as u8
    };
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let (kind, size, byte) = (next() % 4, usize::from(next()), next());
        match kind {
            0 => out.extend(vec![0; size * 4]),
            1 => out.extend((0..size).map(|_| next())),
            2 => out.extend((0..size).map(|at| byte.wrapping_add(at as u8 / 4))),
            _ => out.extend((0..size).map(|_| b"etaoin shrdlu"[usize::from(next()) % 13])),
        }
    }
    out.truncate(len);
    out
}

fn check(old: &[u8], new: &[u8]) -> Delta {
    check_with(&DiffOptions::default(), old, new)
}

fn check_with(options: &DiffOptions, old: &[u8], new: &[u8]) -> Delta {
    let delta = diff(old, new, options, &()).unwrap();
    assert_eq!(delta.explanation.bytes(), delta.bytes.len() as u64, "{:?}", delta.explanation);
    let (out, _) = apply(&delta.bytes, old).unwrap();
    assert!(out == new, "other bytes came out");
    delta
}

/// Copies, moves, small changes and new bytes, as a proptest strategy.
#[derive(Debug, Clone)]
enum Edit {
    Set { at: usize, byte: u8 },
    Insert { at: usize, len: usize, seed: u32 },
    Remove { at: usize, len: usize },
    Move { from: usize, to: usize, len: usize },
    Words { at: usize, count: usize, add: u32 },
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0usize..1 << 20;
    let len = 0usize..5000;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        (at.clone(), len.clone(), any::<u32>()).prop_map(|(at, len, seed)| Edit::Insert {
            at,
            len,
            seed
        }),
        (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Remove { at, len }),
        (at.clone(), at.clone(), len.clone()).prop_map(|(from, to, len)| Edit::Move {
            from,
            to,
            len
        }),
        (at, len, any::<u32>()).prop_map(|(at, count, add)| Edit::Words { at, count, add }),
    ]
}

fn perform(bytes: &mut Vec<u8>, edit: &Edit) {
    let place = |at: usize, len: usize| at % (len + 1);
    match *edit {
        Edit::Set { at, byte } => {
            let at = place(at, bytes.len());
            if at < bytes.len() {
                bytes[at] = byte;
            }
        }
        Edit::Insert { at, len, seed } => {
            let at = place(at, bytes.len());
            bytes.splice(at..at, texture(len, seed));
        }
        Edit::Remove { at, len } => {
            let at = place(at, bytes.len());
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Edit::Move { from, to, len } => {
            let from = place(from, bytes.len());
            let moved: Vec<u8> = bytes.drain(from..(from + len).min(bytes.len())).collect();
            let to = place(to, bytes.len());
            bytes.splice(to..to, moved);
        }
        Edit::Words { at, count, add } => {
            let at = place(at, bytes.len()) & !3;
            let (words, _) = bytes[at..].as_chunks_mut::<4>();
            for word in words.iter_mut().take(count).step_by(7) {
                *word = u32::from_le_bytes(*word).wrapping_add(add).to_le_bytes();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn edits_come_back(
        len in 0usize..60_000,
        seed in any::<u32>(),
        edits in proptest::collection::vec(edit(), 0..20),
        piece in 1usize..70_000,
    ) {
        let old = texture(len, seed);
        let mut new = old.clone();
        edits.iter().for_each(|edit| perform(&mut new, edit));
        let delta = check(&old, &new);
        let out = apply_in_pieces(&delta.bytes, &old, piece, piece / 3 + 1).unwrap();
        prop_assert!(out == new);
    }

    #[test]
    fn shuffled_blocks_come_back(seed in any::<u32>(), order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle()) {
        let old = texture(40 * 1024, seed);
        let new: Vec<u8> = order.iter().flat_map(|at| &old[at * 1024..][..1024]).copied().collect();
        let delta = check(&old, &new);
        prop_assert!(delta.bytes.len() < 1000, "{}", delta.bytes.len());
    }
}

#[test]
fn empty_and_tiny_images_come_back() {
    for old in [&b""[..], b"a", b"abc", b"abcdefgh"] {
        for new in [&b""[..], b"a", b"b", b"abcd", b"abcdefgh", b"abcdefghabcdefgh"] {
            check(old, new);
        }
    }
}

#[test]
fn an_image_that_stays_costs_a_span() {
    let old = texture(3 << 20, 1);
    let delta = check(&old, &old);
    assert!(delta.bytes.len() < 200, "{}", delta.bytes.len());
}

/// Behind many bytes that differ old goes on where it was.
#[test]
fn an_alignment_is_found_again_behind_a_long_gap() {
    let old = texture(600_000, 7);
    for gap in [1000, 4000, 5000, 20_000, 100_000, 250_000] {
        let mut new = old.clone();
        new.splice(100_000..100_000 + gap, texture(gap, 8));
        let (whole, alone) = (check(&old, &new), check(b"", &texture(gap, 8)));
        let beside = whole.bytes.len() as i64 - alone.bytes.len() as i64;
        assert!(beside < 4000, "{beside} bytes beside a gap of {gap}: {:?}", whole.explanation);
    }
}

#[test]
fn zeros_cost_nothing() {
    assert!(check(b"", &vec![0; 5 << 20]).bytes.len() < 250);
    assert!(check(&vec![0; 5 << 20], &vec![0; 4 << 20]).bytes.len() < 250);
}

/// Runs of one byte that differ from what old has there, as in sparse images.
#[test]
fn runs_cost_next_to_nothing() {
    let mut new = texture(300_000, 3);
    for (at, byte) in [(20_000, 0), (90_001, 0xff), (200_123, 0)] {
        new.splice(at..at, vec![byte; 3 << 20]);
    }
    let old = texture(300_000, 3);
    for effort in [Effort::Best, Effort::Fast] {
        let options = DiffOptions { effort, ..DiffOptions::default() };
        let len = check_with(&options, &old, &new).bytes.len();
        assert!(len < 6000, "{len} bytes");
    }
}

#[test]
fn noise_is_stored() {
    let mut seed = 1u64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    let delta = check(b"nothing of it", &noise);
    assert_eq!(delta.explanation.stored, noise.len() as u64);
    assert!(delta.bytes.len() < noise.len() + 256, "{}", delta.bytes.len());
}

/// Addresses that all move by the same cost next to nothing once one is known.
#[test]
fn moved_addresses_are_learned() {
    let word = |at: u32, shift: u32| {
        let target = at.wrapping_mul(0x9e37_79b1) >> 16;
        if at.is_multiple_of(4) {
            0x9400_0000 | ((target % 512 * 16 + shift).wrapping_sub(at) & 0x03ff_ffff)
        } else {
            target
        }
    };
    let image =
        |shift| -> Vec<u8> { (0..100_000).flat_map(|at| word(at, shift).to_le_bytes()).collect() };
    let delta = check(&image(0), &image(25));
    println!("{} bytes: {:?}", delta.bytes.len(), delta.explanation);
    assert!(delta.bytes.len() < 6000, "{}", delta.bytes.len());
}

/// A table of addresses, with new entries in it, of places that moved.
#[test]
fn tables_of_addresses_follow_what_they_name() {
    const BASE: u32 = 0x0800_0000;
    let code = texture(1 << 20, 300);
    let image = |inserted: usize| {
        let mut image = Vec::new();
        let mut places = Vec::new();
        for (number, piece) in code.chunks(4096).enumerate() {
            image.extend_from_slice(piece);
            image.extend(texture(if number % 8 == 3 { inserted } else { 0 }, number as u32));
            places.extend((0..8).map(|at| image.len() - 4096 + at * 500));
        }
        image.resize(image.len().next_multiple_of(4), 0);
        for at in 0..30_000u32 {
            let place = places[(at.wrapping_mul(0x9e37_79b1) >> 8) as usize % places.len()];
            image.extend((BASE + place as u32).to_le_bytes());
            image.extend([0, 0x80, 0xff, 0xff]);
        }
        image
    };
    let (old, new) = (image(0), image(40));
    let delta = check(&old, &new);
    println!("{} bytes: {:?}", delta.bytes.len(), delta.explanation);
    assert!(delta.bytes.len() < 12_000, "{}: {:?}", delta.bytes.len(), delta.explanation);
}

#[test]
fn threads_do_not_change_the_patch() {
    let old = texture(3 << 20, 2);
    let mut new = texture(1 << 20, 3);
    new.extend_from_slice(&old[100_000..]);
    let make = |threads| {
        let options = DiffOptions { threads, ..DiffOptions::default() };
        diff(&old, &new, &options, &()).unwrap().bytes
    };
    let one = make(1);
    assert_eq!(make(3), one);
}

/// Whatever of a patch was applied, it can be gone on with from the last reset.
#[test]
fn every_span_can_be_resumed() {
    let old = texture(2 << 20, 4);
    let mut new = texture(2 << 20, 5);
    new.extend_from_slice(&old[1000..]);
    let patch = diff(&old, &new, &DiffOptions::default(), &()).unwrap();
    let (out, resets) = apply(&patch.bytes, &old).unwrap();
    assert!(out == new && resets.len() > 2, "{} resets", resets.len());
    for pair in resets.windows(2) {
        assert!(pair[1].input - pair[0].input <= crate::SPAN_MAX as u64);
    }
    check_resumes(&patch.bytes, &old, &new, &resets);
}

/// A gzip file.
fn gzip(content: &[u8]) -> Vec<u8> {
    use crate::{DeflateOptions, Recipe, Wrapper};
    let options = DeflateOptions { level: 6, window_bits: 15, mem_level: 8, strategy: 0 };
    let recipe = Recipe::Deflate { wrapper: Wrapper::GzipTail, options };
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    [&head, encoded(recipe, content).as_slice()].concat()
}

/// What GNU's gzip makes, which chooses otherwise than zlib here and there.
fn gnu_gzip(content: &[u8]) -> Vec<u8> {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("it"), content).unwrap();
    run(folder.path(), "gzip", &["-9n", "it"]);
    std::fs::read(folder.path().join("it.gz")).unwrap()
}

fn encoded(recipe: crate::Recipe, content: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut encoder = recipe.encoder(content.len() as u64).unwrap();
    encoder.push(content, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

fn around(stream: &[u8], seed: u32) -> Vec<u8> {
    [&texture(70_000, seed)[..], stream, &texture(50_000, seed + 1)].concat()
}

#[test]
fn streams_are_opened_and_made_again() {
    let old = texture(400_000, 10);
    let mut new = old.clone();
    new.splice(1000..1000, texture(300, 11));
    new[200_000] ^= 1;
    let (old, new) = (around(&gzip(&old), 20), around(&gzip(&new), 20));
    let delta = check(&old, &new);
    assert!(delta.bytes.len() < 1500, "{}: {:?}", delta.bytes.len(), delta.explanation);
    for piece in [1, 999, 1 << 20] {
        assert!(apply_in_pieces(&delta.bytes, &old, 1 << 20, piece).unwrap() == new);
    }
}

#[test]
fn streams_in_streams_are_opened_and_made_again() {
    let old = texture(150_000, 30);
    let mut new = old.clone();
    new.splice(70_000..70_000, texture(300, 31));
    let (old, new) = (around(&gzip(&old), 40), around(&gzip(&new), 40));
    let (old, new) = (around(&gzip(&old), 50), around(&gzip(&new), 50));
    let delta = check(&old, &new);
    assert!(delta.bytes.len() < 2000, "{}: {:?}", delta.bytes.len(), delta.explanation);
}

/// A file of xz.
fn xz(content: &[u8]) -> Vec<u8> {
    let options = crate::LzmaOptions::preset(1, false).unwrap();
    let dict_byte = crate::recipe::xz::dictionary_byte(options.dict);
    let recipe =
        crate::XzRecipe { check: 1, sized: false, block: 0, branch: 0, dict_byte, options };
    encoded(crate::Recipe::Xz(recipe), content)
}

fn zstd(content: &[u8]) -> Vec<u8> {
    use crate::ZstdOptions;
    let switches = ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
    let options = ZstdOptions { level: 3, switches, splitter: 1, ..ZstdOptions::default() };
    encoded(crate::Recipe::Zstd(options), content)
}

/// Content of which much changes, but less than is worth sending anew.
fn worn(old: &[u8]) -> Vec<u8> {
    let (mut new, mut seed) = (old.to_vec(), 77u32);
    for at in (0..new.len()).step_by(8) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        new[at] ^= (seed >> 24) as u8;
    }
    new
}

/// An encoder of xz takes some memory.
const LARGE: u64 = 64 << 20;

/// What makes a stream of content.
type Pack = fn(&[u8]) -> Vec<u8>;

/// A stream with more new content than one span takes can be gone on with inside.
#[test]
fn a_stream_of_many_spans_can_be_resumed() {
    let old = texture(2 << 20, 60);
    let mut new = worn(&old);
    new.splice(1 << 20..1 << 20, gzip(&texture(30_000, 62)));
    let packs: [(Pack, u64); 4] = [(gzip, 0), (gnu_gzip, 50), (xz, 0), (zstd, 0)];
    for (pack, corrections) in packs {
        let (old, new) = (around(&pack(&old), 70), around(&pack(&new), 71));
        let options = DiffOptions { max_heap: LARGE, ..DiffOptions::default() };
        let delta = check_with(&options, &old, &new);
        assert!(delta.explanation.spans >= 3, "{:?} {}", delta.explanation, delta.census);
        let (_, resets) = apply(&delta.bytes, &old).unwrap();
        let parts = resets.windows(2).map(|pair| pair[1].input - pair[0].input);
        assert!(parts.max().unwrap() < 136 << 10 && resets.len() > 2, "{resets:?}");
        assert!(delta.explanation.corrections >= corrections, "{:?}", delta.explanation);
        check_resumes(&delta.bytes, &old, &new, &resets);
    }
}

/// Whoever says where to go on may be wrong, and so may be what is there.
#[test]
fn wrong_points_of_resumption_are_refused() {
    let old = texture(2 << 20, 65);
    let new = worn(&old);
    let (old, new) = (around(&xz(&old), 70), around(&xz(&new), 71));
    let options = DiffOptions { max_heap: LARGE, ..DiffOptions::default() };
    let patch = check_with(&options, &old, &new).bytes;
    let (_, resets) = apply(&patch, &old).unwrap();
    let resume = crate::apply::tests::resume;
    let at = resets[1];
    assert!(resets.len() > 3, "{resets:?}");
    for out in [0, at.out - 1, at.out + 1] {
        let wrong = crate::Reset { out, ..at };
        assert!(resume(&patch, &old, &new[..out as usize], wrong).is_err());
    }
    let mut seed = 5u32;
    for _ in 0..20 {
        let mut bad = patch.clone();
        let mut done = new[..at.out as usize].to_vec();
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The lists of the span, or what was made of the stream.
        let place = at.input as usize + 4 + (seed >> 8) as usize % 60;
        bad[place] ^= 1 << (seed >> 29);
        if seed & 256 == 0 {
            let place = done.len() - 1 - (seed >> 10) as usize % 100_000;
            done[place] ^= 1 << (seed >> 29);
        }
        let _ = resume(&bad, &old, &done, at);
    }
}

#[test]
fn a_stream_that_stays_is_copied() {
    let stream = gzip(&texture(400_000, 80));
    let (old, new) = (around(&stream, 81), around(&stream, 82));
    let header = PatchHeader::read(&check(&old, &new).bytes).unwrap().unwrap().0;
    assert_eq!(header.work, [0; 3]);
}

/// Fast patches, and those made with little memory, are sound as well.
#[test]
fn sampling_finds_what_stayed() {
    let old = texture(12 << 20, 90);
    let new = [&old[11_700_001..], &texture(5000, 91), &old[..700_001]].concat();
    let best = check(&old, &new).bytes.len();
    for options in [
        DiffOptions { effort: Effort::Fast, ..DiffOptions::default() },
        DiffOptions { memory: 70 << 20, ..DiffOptions::default() },
    ] {
        let delta = diff(&old, &new, &options, &()).unwrap();
        assert!(apply(&delta.bytes, &old).unwrap().0 == new);
        assert!(delta.bytes.len() < best * 3, "{} for {best}", delta.bytes.len());
    }
}

/// With less memory old is not sorted; with too little nothing is made.
#[test]
fn the_memory_is_divided_or_refused() {
    let old = texture(12 << 20, 90);
    let make = |memory| {
        let options = DiffOptions { memory, ..DiffOptions::default() };
        diff(&old, &old[11 << 20..], &options, &()).map(|delta| delta.bytes.len())
    };
    assert!(make(120 << 20).is_ok() && make(70 << 20).is_ok());
    assert!(matches!(make(50 << 20), Err(DiffError::Memory { limit, .. }) if limit == 50 << 20));
}

/// A distance used in one span is forgotten in the next.
#[test]
fn spans_of_new_bytes_know_nothing_of_each_other() {
    let mut new = Vec::new();
    for seed in 0..40 {
        let piece = texture(50_000, seed % 23 + 200);
        (0..50).for_each(|at| new.extend_from_slice(&piece[at * 997..][..400 + at]));
        new.extend_from_slice(&piece);
    }
    let delta = check(b"", &new);
    assert!(delta.explanation.spans > 1, "{:?}", delta.explanation);
}
