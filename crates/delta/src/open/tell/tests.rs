//! Frames of Debian's zstd and mksquashfs, which have another release of libzstd.

use super::super::tests::{check, content, makes, numbers, opened, run};
use super::super::{ContainerKind, Purpose};
use super::*;
use crate::apply::tests::{apply, check_resumes, cut_cost};
use crate::codec::zstd::{ZstdEncoder, sequences_max};
use crate::{Delta, DiffOptions, diff};
use std::fs;
use std::string::ToString;
use tempfile::TempDir;

/// Words in another order: what levels from 16 on choose differs among releases.
pub(super) fn text(len: usize, seed: u32) -> Vec<u8> {
    let words = content(20_000, 9);
    let mut next = numbers(seed);
    let mut out = Vec::with_capacity(len + 80);
    while out.len() < len {
        let at = next() as usize % (words.len() - 70);
        out.extend_from_slice(&words[at..at + 4 + next() as usize % 60]);
    }
    out.truncate(len);
    out
}

/// The same with some pieces put in.
pub(super) fn changed(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    for (number, at) in (5000..old.len()).step_by(190_000).enumerate() {
        new.splice(at..at + 20, text(30 + number % 3, number as u32));
    }
    new
}

/// What `zstd` makes of content.
fn pack(content: &[u8], options: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("it"), content).unwrap();
    run(folder.path(), "sh", &["-c", &std::format!("zstd -q {options} it -o out")]);
    fs::read(folder.path().join("out")).unwrap()
}

/// A frame, and how it is told.
fn frame(plain: &[u8], options: &str) -> (Vec<u8>, Stream) {
    let encoded = pack(plain, options);
    let stream = frame_of(&encoded, plain);
    (encoded, stream)
}

/// How a frame is told.
fn frame_of(encoded: &[u8], plain: &[u8]) -> Stream {
    let words = zstd_frame::words(encoded, plain.len()).unwrap();
    let (recipe, correction, words) = told(encoded, plain, words, &Place::default()).unwrap();
    Stream {
        at: 0,
        len: encoded.len() as u64,
        holes: Vec::new().into(),
        recipe,
        correction,
        plain: [&words, plain].concat(),
        inner: Vec::new(),
        container: ContainerKind::Bare,
    }
}

/// A frame is told, with this period.
fn tells(plain: &[u8], options: &str, every: usize) {
    let (encoded, stream) = frame(plain, options);
    let stored = Told::read(stream.correction.sequences()).unwrap();
    let words = stream.plain.len() - plain.len();
    assert_eq!((stored.every, stored.words), (every, words), "{options}");
    makes(&encoded, &[stream]);
}

/// A frame whose encoder was told to end blocks after so many bytes.
fn flushed(plain: &[u8], each: usize) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::CompressionLevel(19)).unwrap();
    let mut bytes = std::vec![0; 2 * plain.len()];
    let mut out = zstd_safe::OutBuffer::around(&mut bytes[..]);
    for (number, piece) in plain.chunks(each).enumerate() {
        if number > 0 {
            assert_eq!(context.flush_stream(&mut out), Ok(0));
        }
        let mut input = zstd_safe::InBuffer::around(piece);
        while input.pos() < piece.len() {
            context.compress_stream(&mut out, &mut input).unwrap();
        }
    }
    assert_eq!(context.end_stream(&mut out), Ok(0));
    let len = out.pos();
    bytes.truncate(len);
    bytes
}

/// An encoder divided content otherwise than the linked one would.
#[test]
fn blocks_are_told_where_they_have_to_be() {
    let mut plain = text(3 * BLOCK, 4);
    let mut next = numbers(5);
    plain.splice(180_000..180_000, std::iter::repeat_with(|| next() as u8).take(40_000));
    let encoded = flushed(&plain, BLOCK / 4);
    let stream = frame_of(&encoded, &plain);
    let stored = Told::read(stream.correction.sequences()).unwrap();
    assert!(stored.blocks.len() > 10, "{stored:?}");
    assert!(stream.correction.to_bytes().len() < 100, "{stored:?}");
    makes(&encoded, &[stream]);
}

/// Words between contents would move what is not told.
#[test]
fn old_frames_are_told_where_new_ones_say_much_the_same() {
    let [alike, other] = [1, 2].map(|seed| text(2 * BLOCK, seed));
    let old = [pack(&alike, "-19"), pack(&other, "-19")].concat();
    let (_, new) = frame(&changed(&alike), "-19");
    let mut streams = opened(&old, Purpose::Old).streams;
    tell(&mut streams, &old, &[], &|_| false);
    assert!(!any_told(&streams));
    tell(&mut streams, &old, &[new], &|_| false);
    let told: Vec<bool> = streams.iter().map(|stream| is_told(&stream.recipe)).collect();
    assert_eq!(told, [true, false]);
    assert!(streams[0].plain.ends_with(&alike) && streams[0].plain.len() > alike.len());
}

#[test]
fn frames_of_any_level_are_told() {
    let plain = text(700_000, 1);
    for options in ["-1", "-3", "-6", "-9", "-13", "-16", "-19", "--ultra -22 --no-check"] {
        tells(&plain, options, 0);
    }
    // Literals that are not coded.
    for options in ["--fast=1", "--fast=5"] {
        tells(&plain[..300_000], options, 0);
    }
    // Blocks that are all full, a single one, and one byte.
    tells(&plain[..4 * BLOCK], "-19", 0);
    tells(&plain[..BLOCK], "-19", 0);
    tells(&plain[..9000], "-19", 0);
}

/// Each worker's tables begin anew.
#[test]
fn frames_of_several_workers_are_told() {
    let plain = text(4 * BLOCK * 4 + 70_000, 2);
    tells(&plain, "-3 -T4 -B524288", 4);
    tells(&plain, "-9 -T4 -B1MiB", 8);
    // What levels this high code is begun anew with each block anyhow.
    tells(&plain, "-19 -T4 -B524288", 0);
}

/// The patch between two images, applied.
pub(super) fn patch(old: &[u8], new: &[u8]) -> Delta {
    let options = DiffOptions { max_heap: 64 << 20, ..DiffOptions::default() };
    let delta = diff(old, new, &options, &()).unwrap();
    assert_eq!(delta.explanation.bytes(), delta.bytes.len() as u64, "{:?}", delta.explanation);
    let (out, _) = apply(&delta.bytes, old).unwrap();
    assert!(out == new, "other bytes came out");
    delta
}

/// Archives of which little changed, whole and behind something.
#[test]
fn archives_at_high_levels_pay() {
    let old = text(700_000, 3);
    let new = changed(&old);
    for options in ["-19", "-9 -T4 -B524288"] {
        let [old, new] = [&old, &new].map(|plain| [b"head", &*pack(plain, options)].concat());
        let delta = patch(&old, &new);
        let size = delta.bytes.len();
        assert!(size * 4 < new.len(), "{options}: {size} of {}; {}", new.len(), delta.census);
        let row = delta.census.rows.get(&ContainerKind::Bare).unwrap();
        assert!(row.opened_percent() > 99.9, "{}", delta.census);
    }
}

/// A squashfs of a few files, of which one has full blocks only.
fn squashfs(seeded: &dyn Fn(usize, u32) -> Vec<u8>, options: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for (name, len) in [("a", 300_000), ("b", 2 << 18), ("c", 90_000)] {
        fs::write(tree.join(name), seeded(len, len as u32)).unwrap();
    }
    let plain = ["tree", "image", "-noappend", "-quiet", "-no-progress", "-comp", "zstd"];
    run(folder.path(), "mksquashfs", &[&plain, options].concat());
    fs::read(folder.path().join("image")).unwrap()
}

#[test]
fn squashfs_at_high_levels_pays() {
    let level = "-Xcompression-level";
    for options in [[level, "19", "-b", "256K"], [level, "22", "-b", "1M"]] {
        let old = squashfs(&text, &options);
        let new = squashfs(&|len, seed| changed(&text(len, seed))[..len].to_vec(), &options);
        check(&new, ContainerKind::Squashfs, 99.9);
        let delta = patch(&old, &new);
        let size = delta.bytes.len();
        assert!(size * 3 < new.len(), "{options:?}: {size} of {}; {}", new.len(), delta.census);
    }
}

/// What `xz` makes of content.
fn inner(plain: &[u8]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("it"), plain).unwrap();
    run(folder.path(), "xz", &["-T1", "it"]);
    fs::read(folder.path().join("it.xz")).unwrap()
}

/// Letters that nobody foresees, of which few are used.
pub(crate) fn letters(len: usize, seed: u32) -> Vec<u8> {
    let mut next = numbers(seed);
    std::iter::repeat_with(|| (next() >> 11) as u8 & 0x1f).take(len).collect()
}

/// A long frame of which a patch takes many spans, with streams in it, can be gone on
/// with in its middle, wherever the cut was.
#[test]
fn long_frames_can_be_gone_on_with() {
    let old = b"nothing of it";
    let content = [letters(500_000, 1), inner(&letters(150_000, 2)), letters(300_000, 3)].concat();
    for options in ["-19", "-19 -T2 -B524288 --no-check"] {
        let new = [&b"head"[..], &pack(&content, options), b"tail"].concat();
        let streams = opened(&new, Purpose::New).streams;
        let told = Told::read(streams[0].correction.sequences()).unwrap();
        assert!(told.weave.is_some_and(|weave| weave.held < told.words / 2), "{options}");
        assert_eq!(streams[0].inner.len(), 1, "{options}");
        let delta = patch(old, &new);
        let (_, resets) = apply(&delta.bytes, old).unwrap();
        assert!(resets.len() > 3, "{options}: {resets:?} {:?}", delta.explanation);
        check_resumes(&delta.bytes, old, &new, &resets);
    }
}

/// Streams in a frame that is told stand where they stood, behind its words.
#[test]
fn streams_in_what_is_told_are_opened() {
    let start = text(600_000, 4);
    let noise = text(100_000, 5);
    let [old, new] = [noise.clone(), changed(&noise)]
        .map(|noise| pack(&[&*start, &*inner(&noise), &*text(50_000, 6)].concat(), "-19"));
    let delta = patch(&old, &new);
    let text = delta.census.to_string();
    assert!(delta.bytes.len() * 4 < new.len(), "{} {text}", delta.bytes.len());
    assert_eq!(delta.census.rows.len(), 1, "{text}");
}

/// A frame whose encoder chose other lengths here and there than the linked release, which
/// takes a lot of edits.
fn odd(plain: &[u8]) -> Vec<u8> {
    let switches = ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
    let options = ZstdOptions { level: 3, switches, splitter: 1, ..ZstdOptions::default() };
    let encoder = || ZstdEncoder::new(options, plain.len() as u64).unwrap();
    let mut sequences = encoder().choose(plain, sequences_max(plain.len())).unwrap();
    let mut next = numbers(plain.len() as u32);
    for at in 1..sequences.len() {
        // With literals before it, what a repeated offset means stays.
        if sequences[at - 1].length > 3 && sequences[at].literals > 0 && next().is_multiple_of(2) {
            sequences[at - 1].length -= 1;
            sequences[at].literals += 1;
        }
    }
    let mut out = Vec::new();
    encoder().encode_as(plain, &sequences, &mut out).unwrap();
    out
}

/// What the patch of a stream takes whose content alone is known, and where edits went.
fn opened_by_edits(len: usize, count: u32) -> (Delta, Vec<Stream>) {
    let plain: Vec<Vec<u8>> = (0..count).map(|seed| content(len, seed + 20)).collect();
    let frames: Vec<Vec<u8>> = plain.iter().map(|plain| odd(plain)).collect();
    let (old, new) = (plain.concat(), frames.concat());
    let delta = patch(&old, &new);
    let row = delta.census.rows.get(&ContainerKind::Bare).unwrap();
    assert!(row.opened_percent() > 99.9, "{}", delta.census);
    (delta, opened(&new, Purpose::New).streams)
}

/// More corrections than a span has room for, one behind the other.
#[test]
fn long_corrections_find_room_in_spans() {
    let (delta, streams) = opened_by_edits(2 * BLOCK, 10);
    let sizes = streams.iter().map(|stream| stream.correction.to_bytes().len());
    let all: usize = sizes.sum();
    assert!(all > 200 << 10, "{all} bytes of corrections; {}", delta.census);
    assert!(delta.explanation.spans > 1, "{:?}", delta.explanation);
}

/// More edits than a correction has room for.
#[test]
fn many_edits_come_between_the_content() {
    let (delta, streams) = opened_by_edits(7 * BLOCK, 1);
    assert!(streams.iter().all(|stream| stream.recipe.is_edited()), "{}", delta.census);
    assert!(delta.explanation.corrections < 100, "{:?}", delta.explanation);
}

/// A long frame by edits of which a patch takes many spans, with a stream in it, can be gone
/// on with in its middle.
#[test]
fn long_frames_by_edits_can_be_gone_on_with() {
    let old = content(900_000, 1);
    let content = [&*old, &*inner(&letters(90_000, 2)), &*letters(400_000, 3)].concat();
    let new = [&b"head"[..], &odd(&content), b"tail"].concat();
    let streams = opened(&new, Purpose::New).streams;
    assert!(streams[0].recipe.is_edited() && streams[0].inner.len() == 1);
    check_resets(&old, &new, 3);
}

/// A patch can be gone on with in its middle, wherever a cut was: that costs at most 256 KiB.
pub(in super::super) fn check_resets(old: &[u8], new: &[u8], least: usize) {
    let delta = patch(old, new);
    let (_, resets) = apply(&delta.bytes, old).unwrap();
    assert!(resets.len() > least, "{resets:?} {:?}", delta.explanation);
    assert!(delta.bytes.len() > 300 << 10 && delta.explanation.packed == 0, "{resets:?}");
    let cost = cut_cost(&delta.bytes, old);
    assert!(cost <= 256 << 10, "{cost} of {}", delta.bytes.len());
    check_resumes(&delta.bytes, old, new, &resets);
}
