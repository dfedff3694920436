//! The trees of cryptsetup's `veritysetup format`, 2.6.1, and images that hold trees.

use super::*;
use crate::diff::{DiffOptions, diff};
use alloc::vec;

/// Repeatable bytes.
fn content(len: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn tree(verity: &Verity, mut image: &[u8]) -> Vec<u8> {
    let mut tree = Tree::new(verity.clone(), &mut image).unwrap();
    let mut out = vec![];
    while tree.next(&mut image, &mut out).unwrap() {}
    assert_eq!(out.len() as u64, verity.tree_len());
    out
}

fn check(blocks: u64, logs: (u8, u8), salt_last: bool, salt: &[u8], sha256: &str) {
    let salt = salt.to_vec();
    let (data_log, hash_log) = logs;
    let verity = Verity { data_at: 0, blocks, data_log, hash_log, salt_last, salt };
    let out = tree(&verity, &content((blocks as usize) << data_log));
    let digest: Vec<_> =
        Sha256::digest(&out).iter().map(|byte| alloc::format!("{byte:02x}")).collect();
    assert_eq!(digest.concat(), sha256);
}

#[test]
fn trees_are_those_of_veritysetup() {
    let of = "c9af572d49400e0aad125c6e811f47d9d296c9a65c060ef878f7ed514aa59b89";
    check(300, (12, 12), false, b"", of);
    let of = "c2a5757c877d89ebf614164643a736a8e7755d5a89a93385a755275429e756bf";
    check(300, (12, 12), false, b"\x00\xff\x10\x20\x30\x40", of);
    let of = "e1e338e4ddabc76df42bbe7b682f3e33e5edb70981ef6a3b4795ebfac09acf34";
    check(300, (12, 10), true, b"\xaa\xbb\xcc\xdd", of);
    let of = "bd8a127d4bc2275e8cc404cec1f928ff98a83842641d989540fe2a4ed1d47b26";
    check(40, (9, 9), false, b"", of);
}

#[test]
fn what_is_stated_to_be_needed_is_what_is_held() {
    let verity = Verity { blocks: 1 << 18, data_log: 12, hash_log: 12, ..Verity::default() };
    assert_eq!(verity.levels(), [2048, 16, 1]);
    assert_eq!(verity.heap(), (17 + 3 + 1) << 12);
    assert!(verity.is_sound());
    assert!(!Verity { blocks: 1, ..verity.clone() }.is_sound());
    assert!(!Verity { blocks: 1 << 30, ..verity.clone() }.is_sound());
    assert!(!Verity { hash_log: 17, ..verity }.is_sound());
}

/// What stands between the content and its tree.
#[derive(Clone, Copy)]
enum Between {
    Superblock(&'static [u8]),
    Nothing,
}

/// Content with its tree and something behind it.
fn image(content: &[u8], between: Between, behind: &[u8]) -> Vec<u8> {
    let mut image = content.to_vec();
    let blocks = content.len() as u64 >> 12;
    let mut verity = Verity { blocks, data_log: 12, hash_log: 12, ..Verity::default() };
    if let Between::Superblock(salt) = between {
        verity.salt = salt.to_vec();
        let mut block = vec![0; 4096];
        block[..8].copy_from_slice(b"verity\0\0");
        (block[8], block[12]) = (1, 1);
        block[32..38].copy_from_slice(b"sha256");
        block[64..68].copy_from_slice(&4096u32.to_le_bytes());
        block[68..72].copy_from_slice(&4096u32.to_le_bytes());
        block[72..80].copy_from_slice(&blocks.to_le_bytes());
        block[80] = salt.len() as u8;
        block[88..88 + salt.len()].copy_from_slice(salt);
        image.extend(block);
    }
    image.extend(tree(&verity, content));
    image.extend_from_slice(behind);
    image
}

/// A tree is not sent, and comes out also where its span is begun again.
fn check_image(between: Between, behind: &[u8]) {
    let old = content(600 << 12);
    let mut new = old.clone();
    for at in (0..new.len()).step_by(8192) {
        new[at] ^= 0xff;
    }
    let (old_image, new_image) = (image(&old, between, behind), image(&new, between, behind));
    let plain = diff(&old, &new, &DiffOptions::default(), &()).unwrap().bytes.len();
    let patch = diff(&old_image, &new_image, &DiffOptions::default(), &()).unwrap().bytes;
    // Half of the hashes are new: 9,600 bytes that nothing foretells.
    assert!(patch.len() < plain + 200, "{} and {plain} bytes", patch.len());
    let (out, resets) = crate::apply::tests::apply(&patch, &old_image).unwrap();
    assert!(out == new_image);
    crate::apply::tests::check_resumes(&patch, &old_image, &new_image, &resets);
}

#[test]
fn trees_with_a_superblock_are_not_sent() {
    check_image(Between::Superblock(b"a salt"), b"");
    check_image(Between::Superblock(b""), &content(5000));
}

#[test]
fn trees_without_a_superblock_are_not_sent() {
    check_image(Between::Nothing, b"");
    check_image(Between::Nothing, &content(12_345));
}

/// A tree that is wrong somewhere is sent as the bytes that it is.
#[test]
fn damaged_trees_are_sent() {
    let mut new = image(&content(600 << 12), Between::Superblock(b"a salt"), b"");
    let last = new.len() - 700;
    new[last] ^= 1;
    assert!(find::trees(&new).is_empty());
    new[last] ^= 1;
    assert_eq!(find::trees(&new).len(), 1);
    let patch = diff(content(4096), &new, &DiffOptions::default(), &()).unwrap().bytes;
    assert!(crate::apply::tests::apply(&patch, &content(4096)).unwrap().0 == new);
}

/// Superblocks say what they like.
#[test]
fn hostile_superblocks_are_refused() {
    let good = image(&content(40 << 12), Between::Superblock(b"a salt"), b"");
    let mut seed = 9u32;
    for _ in 0..2000 {
        let mut bad = good.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bad[(40 << 12) + 8 + (seed >> 8) as usize % 90] = seed as u8;
        }
        find::trees(&bad);
    }
}
