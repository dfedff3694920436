//! Streams of programs that search otherwise than zlib.

use super::super::tests::{changed, patch, text};
use super::super::{Spoken, weave};
use super::*;
use crate::apply::tests::{apply, check_resumes};
use crate::open::tests::{makes, numbers, opened, run};
use crate::open::{ContainerKind, Purpose, Stream};
use alloc::vec;
use std::fs;
use tempfile::TempDir;

/// What a shell command makes of the file `it` in the file `out`.
fn pack(content: &[u8], command: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("it"), content).unwrap();
    run(folder.path(), "sh", &["-c", command]);
    fs::read(folder.path().join("out")).unwrap()
}

/// Programs by which zlib's own search is not told.
const FOREIGN: [&str; 4] = [
    "7z a -tgzip -mx9 out.gz it && mv out.gz out",
    "7z a -tgzip -mx1 out.gz it && mv out.gz out",
    "zopfli --i1 it -c > out",
    "libdeflate-gzip -9 -k it -c > out",
];

/// How a stream with gzip's head and tail of this content is told.
fn tells(image: &[u8], plain: &[u8]) -> Told {
    let start = image.len() - gzip(image).len();
    let encoded = &image[start..];
    let (words, gathered) = words(encoded, plain.len(), Wrapper::GzipTail).unwrap();
    let (recipe, correction) = told(encoded, plain, Wrapper::GzipTail, &words, gathered).unwrap();
    let (at, len) = (start as u64, encoded.len() as u64);
    let (plain, container) = (plain.to_vec(), ContainerKind::Bare);
    let (holes, inner) = Default::default();
    let mut stream = Stream { at, len, holes, recipe, correction, plain, inner, container };
    weave(&mut stream, words, encoded, &Spoken::new(&[], &[]));
    let told = Told::read(stream.correction.sequences()).unwrap();
    makes(image, &[stream]);
    told
}

/// What is behind the head of a gzip file, which has a name or not.
fn gzip(image: &[u8]) -> &[u8] {
    let name =
        if image[3] & 8 == 0 { 0 } else { image[10..].iter().position(|b| *b == 0).unwrap() + 1 };
    &image[10 + name..]
}

#[test]
fn streams_of_other_programs_are_told() {
    let plain = text(300_000, 3);
    for command in FOREIGN {
        let told = tells(&pack(&plain, command), &plain);
        assert!(told.to_bytes().len() < 12, "{command}: {told:?}");
    }
    for (level, built) in [("-9", true), ("-1", true)] {
        let told = tells(&pack(&plain, &std::format!("gzip {level} -nc it > out")), &plain);
        assert_eq!(told.gathered > 0, built, "{told:?}");
    }
}

#[test]
fn streams_of_other_programs_pay() {
    let old = text(150_000, 3);
    let new = changed(&old);
    for command in [FOREIGN[0], FOREIGN[3]] {
        let [old, new] = [&old, &new].map(|plain| [b"head", &*pack(plain, command)].concat());
        let delta = patch(&old, &new);
        let size = delta.bytes.len();
        assert!(size * 4 < new.len(), "{command}: {size} of {}; {}", new.len(), delta.census);
        let row = delta.census.rows.get(&ContainerKind::Bare).unwrap();
        assert!(row.opened_percent() > 99.9, "{command}: {}", delta.census);
    }
}

/// Where zlib chose nearly the same its choice is corrected, which is shorter.
#[test]
fn edits_stay_where_they_are_shorter() {
    let image = pack(&text(200_000, 4), "gzip -9nk it && mv it.gz out");
    let streams = opened(&image, Purpose::New).streams;
    assert!(matches!(streams[0].recipe, Recipe::Deflate { .. }), "{:?}", streams[0].recipe);
}

/// A long stream of which a patch takes many spans can be gone on with in its middle.
#[test]
fn long_streams_can_be_gone_on_with() {
    // What the old stream has as well, and what nobody foresees.
    let [old, new] = [1, 2].map(|seed| {
        let mut next = numbers(seed);
        let parts = (0..6).flat_map(|part| {
            let noise = std::iter::repeat_with(|| (next() >> 11) as u8 & 0x3f).take(140_000);
            [text(60_000, 50 + part), noise.collect()]
        });
        pack(&parts.collect::<Vec<_>>().concat(), FOREIGN[3])
    });
    let delta = patch(&old, &new);
    let (_, resets) = apply(&delta.bytes, &old).unwrap();
    assert!(resets.len() > 3, "{resets:?} {:?}", delta.explanation);
    let inside = |at: &u64| (100..new.len() as u64 - 100).contains(at);
    let inside = resets.iter().filter(|at| inside(&at.out)).count();
    assert!(inside > 2, "{resets:?} {}", delta.census);
    check_resumes(&delta.bytes, &old, &new, &resets);
}

/// What says nothing in many bytes is not read where that takes more than it holds.
#[test]
fn streams_of_next_to_nothing_stay_as_they_are() {
    let stored = [1, 1, 0, 0xfe, 0xff, 7];
    assert!(words(&stored, 1, Wrapper::Raw).is_some());
    assert_eq!(words(&stored, 2, Wrapper::Raw), None);
    assert_eq!(words(&[0xff; 90], 2, Wrapper::Raw), None);
    // Codes of 15 bits for 'a' and the end, alone: lengths are 18 (0), 0 (10) and 15 (11).
    let order = [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let mut bits = vec![(1u16, 1), (2, 2), (0, 5), (0, 5), (15, 4)];
    bits.extend(order.map(|length| (length, 3)));
    bits.extend([(0, 1), (86, 7), (3, 2), (0, 1), (127, 7), (0, 1), (9, 7), (3, 2), (1, 2)]);
    bits.extend(vec![(0, 15); 9000]);
    bits.push((1 << 14, 15));
    let bits =
        bits.iter().flat_map(|(value, count)| (0..*count).map(move |at| (value >> at & 1) as u8));
    let bits: Vec<u8> = bits.collect();
    let stream: Vec<u8> =
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)).collect();
    let (mut hearing, mut out) = (Hearing::new(), Vec::new());
    assert!(hearing.hear(&stream, true, &mut out, usize::MAX).is_some() && hearing.ended);
    assert_eq!(hearing.content, 9000);
    assert_eq!(words(&stream, 9000, Wrapper::Raw), None);
}
