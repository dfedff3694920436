//! Streams and images of the real programs, opened and made again.

use super::super::tests::{check, content, makes, numbers, opened, run};
use super::super::{Purpose, Reason};
use super::*;
use crate::diff::{DiffOptions, diff};
use crate::open::ContainerKind;
use std::fs;
use tempfile::TempDir;

/// What `lz4` makes of a content, which is all of one stream.
fn check_stream(arguments: &[&str], len: usize) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("content"), content(len, 5)).unwrap();
    run(folder.path(), "lz4", &[arguments, &["content", "packed"]].concat());
    let packed = fs::read(folder.path().join("packed")).unwrap();
    // As in a kernel, its size follows.
    let image = [b"before", &packed[..], &(len as u32).to_le_bytes()].concat();
    let opened = check(&image, ContainerKind::Lz4, 100.0);
    let stream = opened.streams.first().unwrap();
    assert_eq!((stream.at, stream.len as usize), (6, packed.len()));
}

#[test]
fn frames_of_every_level_are_made_again() {
    for level in ["-1", "-3", "-9", "-12"] {
        check_stream(&[level], 300_000);
    }
    check_stream(&["-B4", "-BD"], 300_000);
    check_stream(&["--content-size", "--no-frame-crc"], 300_000);
}

#[test]
fn the_older_form_is_made_again() {
    for level in ["-1", "-9"] {
        check_stream(&["-l", level], 300_000);
    }
    check_stream(&["-l"], LEGACY_BLOCK + 100_000);
}

#[test]
fn blocks_with_sums_are_counted() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("content"), content(99_000, 5)).unwrap();
    run(folder.path(), "lz4", &["-BX", "content", "packed"]);
    let packed = fs::read(folder.path().join("packed")).unwrap();
    let opened = opened(&packed, Purpose::New);
    let row = &opened.census.rows[&ContainerKind::Lz4];
    assert_eq!(row.raw[&Reason::Codec].bytes, packed.len() as u64);
}

/// A file system with text, noise, a file with both, and small ones; `change` is another
/// byte in the first.
fn tree(change: bool) -> TempDir {
    let folder = TempDir::new().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    let mut text = content(400_000, 3);
    if change {
        text.insert(50_000, b'!');
    }
    let mut next = numbers(9);
    let noise: Vec<u8> = std::iter::repeat_with(|| next() as u8).take(30_000).collect();
    let both = [&content(50_000, 8)[..], &noise, &content(9_000, 4)].concat();
    for (name, bytes) in [("text", &text), ("noise", &noise), ("both", &both)] {
        fs::write(tree.join(name), bytes).unwrap();
    }
    for number in 0..200 {
        fs::write(tree.join("etc").join(std::format!("{number}")), content(number * 60, 1))
            .unwrap();
    }
    folder
}

fn erofs(arguments: &[&str], change: bool) -> Vec<u8> {
    let folder = tree(change);
    let fixed = ["-T0", "-U00000000-0000-4000-8000-000000000000", "image", "tree"];
    run(folder.path(), "mkfs.erofs", &[arguments, &fixed].concat());
    fs::read(folder.path().join("image")).unwrap()
}

fn check_erofs(arguments: &[&str], percent: f64) {
    let image = erofs(arguments, false);
    let opened = opened(&image, Purpose::New);
    makes(&image, &opened.streams);
    let row = &opened.census.rows[&ContainerKind::Erofs];
    assert!(row.opened_percent() >= percent, "{arguments:?} {}", opened.census);
    let content: usize = opened.streams.iter().map(|stream| stream.plain.len()).sum();
    assert!(content > 450_000, "{arguments:?} {content} bytes of words and content");
}

#[test]
fn an_erofs_is_made_again() {
    check_erofs(&["-zlz4"], 98.0);
    check_erofs(&["-zlz4hc,12"], 98.0);
    check_erofs(&["-zlz4hc", "-Elegacy-compress"], 98.0);
    check_erofs(&["-zlz4hc", "-C65536"], 90.0);
    check_erofs(&["-zlz4hc", "-Eztailpacking"], 90.0);
}

/// Without zeros before clusters nothing says where blocks end.
#[test]
fn an_older_erofs_is_counted() {
    let mut image = erofs(&["-zlz4hc"], false);
    image[1024 + 80] = 2;
    let opened = opened(&image, Purpose::New);
    let row = &opened.census.rows[&ContainerKind::Erofs];
    assert_eq!(row.raw[&Reason::Codec].bytes, image.len() as u64);
}

#[test]
fn clusters_side_by_side_are_one_stream() {
    let opened = opened(&erofs(&["-zlz4hc"], false), Purpose::New);
    let seen = opened.census.rows[&ContainerKind::Erofs].seen.streams;
    assert!(seen > 2 * opened.streams.len() as u64, "{seen} clusters");
    assert!(opened.streams.iter().all(|stream| stream.plain.len() <= JOINED));
}

#[test]
fn a_squashfs_is_made_again() {
    for arguments in [&[][..], &["-Xhc"]] {
        let folder = tree(false);
        let fixed = ["tree", "image", "-comp", "lz4", "-noappend", "-all-root"];
        run(folder.path(), "mksquashfs", &[&fixed[..], arguments].concat());
        check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::Squashfs, 100.0);
    }
}

#[test]
fn a_byte_more_in_a_file_costs_little() {
    let (old, new) = (erofs(&["-zlz4hc"], false), erofs(&["-zlz4hc"], true));
    let options = DiffOptions { max_heap: 4 << 20, ..DiffOptions::default() };
    let patch = diff(&old, &new, &options, &()).unwrap();
    let changed = old.chunks(4096).zip(new.chunks(4096)).filter(|(old, new)| old != new).count();
    assert!(patch.bytes.len() < changed * 4096 / 6, "{} of {changed}", patch.bytes.len());
}

#[test]
fn damaged_images_are_left_alone() {
    let image = erofs(&["-zlz4hc"], false);
    let mut next = numbers(3);
    for _ in 0..60 {
        let mut image = image.clone();
        for _ in 0..30 {
            let at = next() as usize % if next().is_multiple_of(2) { 40_000 } else { image.len() };
            image[at] = next() as u8;
        }
        image.truncate(image.len() - next() as usize % 9000);
        makes(&image, &opened(&image, Purpose::New).streams);
    }
}

/// A long stream of which a patch takes many spans, with a stream in it, can be gone on with
/// in its middle: words of a whole block of megabytes do not come before it.
#[test]
fn long_streams_can_be_gone_on_with() {
    let mut next = numbers(4);
    let mut letters = |count| {
        std::iter::repeat_with(|| (next() >> 11) as u8 & 0x1f).take(count).collect::<Vec<_>>()
    };
    let old = letters(400_000);
    let plain = [&old[..], &content(300_000, 5), &letters(500_000)].concat();
    for arguments in [&["-9"][..], &["-l"], &["-B4", "-1"]] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("content"), &plain).unwrap();
        run(folder.path(), "lz4", &[arguments, &["content", "packed"]].concat());
        let packed = fs::read(folder.path().join("packed")).unwrap();
        let new = [b"head", &packed[..], &(plain.len() as u32).to_le_bytes()].concat();
        super::super::tell::tests::check_resets(&old, &new, 3);
    }
}
