//! Files cut up by every kind of container, opened and made again.

use super::*;
use crate::open::tests::{check, content, numbers, opened, run};
use crate::open::{Opened, Purpose};
use crate::{DeflateOptions, DiffOptions, Recipe, Wrapper, diff};
use alloc::vec;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

/// A gzip file.
fn gzip(content: &[u8]) -> Vec<u8> {
    let options = DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
    let recipe = Recipe::Deflate { wrapper: Wrapper::GzipTail, options };
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    let mut encoder = recipe.encoder(content.len() as u64).unwrap();
    encoder.push(content, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

/// Old and new content of a file, which differ a little, packed.
fn files() -> [Vec<u8>; 2] {
    let old = content(150_000, 5);
    let mut new = old.clone();
    new.splice(70_000..70_010, content(200, 6));
    [gzip(&old), gzip(&new)]
}

/// Both images open as `kind`, the stream in several pieces, and the patch between them is
/// that of what changed.
fn between(make: impl Fn(&[u8]) -> Vec<u8>, kind: ContainerKind, largest: usize) -> Opened {
    let [old, new] = files().map(|file| make(&file));
    let opened = check(&new, kind, 100.0);
    assert!(opened.streams.iter().any(|stream| !stream.holes.is_empty()), "in one piece");
    let delta = diff(&old, &new, &DiffOptions::default(), &()).unwrap();
    let (out, _) = crate::apply::tests::apply(&delta.bytes, &old).unwrap();
    assert!(out == new, "other bytes came out");
    assert!(delta.bytes.len() < largest, "{}: {:?}", delta.bytes.len(), delta.explanation);
    opened
}

/// Files in a file system that the program makes.
fn made(kind: &str, file: &[u8]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("tree")).unwrap();
    fs::write(folder.path().join("tree/file.gz"), file).unwrap();
    let id = "11111111-2222-3333-4444-555555555555";
    let seed = std::format!("hash_seed={id}");
    let options = ["-q", "-t", kind, "-b", "1024", "-U", id, "-E", &seed];
    run(folder.path(), "mke2fs", &[&options[..], &["-d", "tree", "image", "1M"]].concat());
    fs::read(folder.path().join("image")).unwrap()
}

#[test]
fn block_lists_of_ext2() {
    between(|file| made("ext2", file), ContainerKind::Ext4, 3000);
}

/// In so small an image there is no room for the file between the tables.
#[test]
fn extents_of_ext4() {
    between(|file| made("ext4", file), ContainerKind::Ext4, 3000);
}

/// Sets an entry in the first table of clusters.
fn lead(table: &mut [u8], bits: usize, at: usize, to: usize) {
    let byte = at * bits / 8;
    let old = u32::from_le_bytes(table[byte..byte + 4].try_into().unwrap());
    let (mask, shift) = (((1u64 << bits) - 1) as u32, at * bits % 8);
    let new = old & !(mask << shift) | (to as u32 & mask) << shift;
    table[byte..byte + 4].copy_from_slice(&new.to_le_bytes());
}

#[test]
fn chains_of_fat() {
    for (bits, kib) in [(12, "2000"), (16, "4500"), (32, "34000")] {
        let make = |file: &[u8]| {
            let folder = TempDir::new().unwrap();
            let width = std::format!("{bits}");
            let options = ["-F", &width, "-s", "1", "-i", "1234", "-C", "image", kib];
            run(folder.path(), "mkfs.vfat", &options);
            fs::write(folder.path().join("file"), file).unwrap();
            run(folder.path(), "mcopy", &["-m", "-i", "image", "file", "::"]);
            let mut image = fs::read(folder.path().join("image")).unwrap();
            // The file's clusters from the tenth on go thirty farther.
            let at = image.windows(16).position(|bytes| bytes == &file[..16]).unwrap();
            let reserved = usize::from(image[14]) * 512;
            let first = if bits == 32 { 3 } else { 2 };
            let count = file.len().div_ceil(512);
            let moved = at + 10 * 512..at + count * 512;
            image.copy_within(moved, at + 40 * 512);
            image[at + 10 * 512..at + 40 * 512].fill(7);
            let table = &mut image[reserved..];
            lead(table, bits, first + 9, first + 40);
            (10..40).for_each(|number| lead(table, bits, first + number, 0));
            (40..count + 30).for_each(|number| {
                let next = if number + 1 == count + 30 { 0x0fff_ffff } else { first + number + 1 };
                lead(table, bits, first + number, next);
            });
            image
        };
        between(make, ContainerKind::Fat, 2000);
    }
}

/// Erase blocks of 16 KiB, the numbers as `order` says.
fn ubi(volume: &[u8], order: impl Fn(usize) -> usize) -> Vec<u8> {
    let pieces: Vec<&[u8]> = volume.chunks((16 << 10) - 1024).collect();
    let mut blocks = vec![Vec::new(); pieces.len()];
    for (number, piece) in pieces.iter().enumerate() {
        let mut block = vec![0xff; 16 << 10];
        block[..5].copy_from_slice(b"UBI#\x01");
        block[16..24].copy_from_slice(&[0, 0, 2, 0, 0, 0, 4, 0]);
        block[512..518].copy_from_slice(b"UBI!\x01\x01");
        block[520..524].fill(0);
        block[524..528].copy_from_slice(&(number as u32).to_be_bytes());
        block[1024..1024 + piece.len()].copy_from_slice(piece);
        blocks[order(number)] = block;
    }
    blocks.concat()
}

#[test]
fn volumes_of_ubi() {
    between(|file| ubi(file, |number| number), ContainerKind::Ubi, 2000);
}

/// What was written in another order stays as it is, and is counted.
#[test]
fn a_stream_in_scattered_pieces_is_counted() {
    let [_, file] = files();
    let image = ubi(&file, |number| number ^ 1);
    let opened = opened(&image, Purpose::New);
    let row = opened.census.rows.get(&ContainerKind::Ubi).unwrap();
    assert_eq!(row.raw.values().map(|tally| tally.bytes).sum::<u64>(), file.len() as u64 - 10);
    assert!(opened.streams.is_empty());
}

/// An Android sparse image of `image` in chunks of 16 KiB.
fn sparse(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image.resize(image.len().next_multiple_of(4096), 0);
    let chunks: Vec<&[u8]> = image.chunks(16 << 10).collect();
    let mut out = vec![0x3a, 0xff, 0x26, 0xed, 1, 0, 0, 0, 28, 0, 12, 0];
    for number in [4096, image.len() as u32 / 4096, chunks.len() as u32, 0] {
        out.extend(number.to_le_bytes());
    }
    for chunk in chunks {
        let zeros = chunk.iter().all(|byte| *byte == 0);
        let (kind, stored) = if zeros { (0xcac3u32, &[][..]) } else { (0xcac1, chunk) };
        for number in [kind, chunk.len() as u32 / 4096, 12 + stored.len() as u32] {
            out.extend(number.to_le_bytes());
        }
        out.extend_from_slice(stored);
    }
    out
}

#[test]
fn chunks_of_sparse_images() {
    between(sparse, ContainerKind::AndroidSparse, 2000);
    // A file system in it cuts the file up as well.
    between(|file| sparse(&made("ext2", file)), ContainerKind::Ext4, 3000);
}

/// Damaged and hostile images of every kind neither stop nor mislead.
#[test]
fn damaged_containers_are_harmless() {
    let [_, file] = files();
    let images =
        [made("ext2", &file), made("ext4", &file), ubi(&file, |n| n), sparse(&made("ext2", &file))];
    let mut next = numbers(3);
    for image in images {
        for _ in 0..8 {
            let mut damaged = image.clone();
            for _ in 0..60 {
                let at = next() as usize % damaged.len();
                let near = [at, at % 4096, at % 65536][next() as usize % 3];
                damaged[near] = next() as u8;
            }
            let opened = opened(&damaged, Purpose::New);
            crate::open::tests::makes(&damaged, &opened.streams);
        }
    }
}

proptest! {
    /// Wherever the pieces are, a place covers just the bytes of the range.
    #[test]
    fn places_are_those_of_the_bytes(
        runs in prop::collection::vec((0usize..300, 1usize..100), 1..12),
        start in 0usize..500,
        len in 1usize..500,
    ) {
        let image: Vec<u8> = {
            let mut next = numbers(1);
            (0..5000).map(|_| next() as u8).collect()
        };
        let (mut file, mut at) = (Pieces::default(), 0);
        for (gap, len) in runs {
            file.push(at + gap, len);
            at += gap + len;
        }
        let gathered = file.gather(&image).unwrap();
        let range = start.min(gathered.len() - 1)..(start + len).min(gathered.len());
        prop_assume!(!range.is_empty());
        let (placed, holes) = file.place(&range, &[]).unwrap();
        let found = crate::open::gathered(&image, &placed, &holes);
        prop_assert_eq!(&gathered[range.clone()], &*found);
        // What has holes there already goes on having them.
        let third = range.len() / 3;
        if third > 0 {
            let inner = [Hole { after: third as u64, len: third as u64 }];
            let (placed, holes) = file.place(&range, &inner).unwrap();
            let found = crate::open::gathered(&image, &placed, &holes);
            let parts = [
                &gathered[range.start..range.start + third],
                &gathered[range.start + 2 * third..range.end],
            ];
            prop_assert_eq!(parts.concat(), &*found);
        }
    }
}
