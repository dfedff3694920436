//! Images made by the real programs, opened and made again.

use super::*;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::string::ToString;
use tempfile::TempDir;

/// A repeatable sequence of numbers.
pub(super) fn numbers(mut state: u32) -> impl FnMut() -> u32 {
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    }
}

/// Text-like content.
pub(super) fn content(len: usize, seed: u32) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut out = Vec::new();
    while out.len() < len {
        let word = next() % 700;
        out.extend_from_slice(std::format!("{word:x}_{} ", word % 9).as_bytes());
        if word < 5 {
            out.extend(next().to_le_bytes());
        }
    }
    out.truncate(len);
    out
}

/// Runs a program in `folder`; it must succeed.
pub(crate) fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "{program} {arguments:?}");
}

/// A folder with a tree of files under `tree`.
fn tree() -> TempDir {
    let folder = TempDir::new().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    for (name, len) in [("a", 150_000), ("b", 70_000), ("etc/c", 3_000), ("etc/d", 900)] {
        fs::write(tree.join(name), content(len, len as u32)).unwrap();
    }
    std::os::unix::fs::symlink("a", tree.join("link")).unwrap();
    folder
}

pub(super) fn opened(image: &[u8], purpose: Purpose) -> Opened {
    let (content, proving) = (u64::MAX, u64::MAX);
    let options = OpenOptions { purpose, max_heap: 1 << 30, threads: 2, content, proving };
    open(image, &options, &|_| false, &|_| ())
}

/// Every stream makes its part of `bytes` again.
pub(super) fn makes(bytes: &[u8], streams: &[Stream]) {
    let mut end = 0;
    for stream in streams {
        assert!(stream.at >= end, "sorted and disjoint");
        end = stream.at + stream.len;
        let plain = stream.plain.len() as u64;
        let bytes_of_it = stream.correction.to_bytes();
        let correction = Correction::from_bytes(&mut bytes_of_it.as_slice()).unwrap();
        let mut encoder = stream.recipe.corrected(plain, correction).unwrap();
        let mut made = Vec::new();
        stream.plain.chunks(10_000).for_each(|piece| encoder.push(piece, &mut made).unwrap());
        encoder.finish(&mut made).unwrap();
        assert!(made == *stream.encoded(bytes), "{:?}", stream.recipe);
        makes(&stream.plain, &stream.inner);
    }
}

/// Opens `image` both ways: of the compressed bytes of `kind`, at least so many
/// percent open, and all that opens is made again.
pub(super) fn check(image: &[u8], kind: ContainerKind, percent: f64) -> Opened {
    let new = opened(image, Purpose::New);
    makes(image, &new.streams);
    let row = new.census.rows.get(&kind).unwrap_or_else(|| panic!("no {kind:?}: {}", new.census));
    assert!(row.opened_percent() >= percent, "{}", new.census);
    let old = opened(image, Purpose::Old);
    let count = |opened: &Opened| opened.census.rows.get(&kind).unwrap().seen;
    assert_eq!(count(&old), count(&new));
    for stream in &new.streams {
        let same = old.streams.iter().find(|old| old.at == stream.at).unwrap();
        // What is told comes before the content, or between it.
        let mut content = stream.plain.clone();
        let told = stream.recipe.told(&stream.correction);
        let places = told.and_then(|told| told.places(&stream.plain)).unwrap_or_default();
        places.into_iter().rev().for_each(|place| drop(content.drain(place)));
        assert!(content.ends_with(&same.plain));
    }
    new
}

fn squashfs(options: &[&str]) {
    let folder = tree();
    let mut arguments = ["tree", "image", "-noappend", "-quiet", "-no-progress"].to_vec();
    arguments.extend(options);
    run(folder.path(), "mksquashfs", &arguments);
    let mut image = fs::read(folder.path().join("image")).unwrap();
    check(&image, ContainerKind::Squashfs, 99.9);
    // Anywhere in a vendor's image, too.
    image.splice(0..0, content(5001, 1));
    check(&image, ContainerKind::Squashfs, 99.9);
}

#[test]
fn squashfs_of_xz() {
    squashfs(&["-comp", "xz"]);
    squashfs(&["-comp", "xz", "-b", "256k", "-Xbcj", "arm,x86"]);
    squashfs(&["-comp", "xz", "-b", "64k", "-Xdict-size", "32k", "-no-exports"]);
}

#[test]
fn squashfs_of_gzip() {
    squashfs(&["-comp", "gzip"]);
    squashfs(&["-comp", "gzip", "-Xcompression-level", "6", "-Xwindow-size", "13"]);
    squashfs(&["-comp", "gzip", "-noI", "-no-fragments", "-b", "1M"]);
    squashfs(&["-comp", "gzip", "-Xstrategy", "fixed"]);
    squashfs(&["-comp", "gzip", "-Xstrategy", "huffman_only,run_length_encoded,filtered"]);
}

/// Files that are compressed already are stored in blocks as they are.
#[test]
fn squashfs_with_stored_blocks() {
    let folder = tree();
    let tree = folder.path().join("tree");
    fs::write(tree.join("long"), content(900_000, 8)).unwrap();
    run(&tree, "xz", &["-9", "long"]);
    for compressor in ["xz", "gzip", "zstd"] {
        let options = ["tree", "image", "-noappend", "-quiet", "-comp", compressor];
        run(folder.path(), "mksquashfs", &options);
        let image = fs::read(folder.path().join("image")).unwrap();
        let opened = check(&image, ContainerKind::Squashfs, 99.9);
        let held = |plain: &[u8]| opened.streams.iter().any(|stream| stream.plain == plain);
        assert!(held(&content(900_000, 8)), "{compressor}");
    }
}

/// Debian's mksquashfs has another release of libzstd than we have.
#[test]
fn squashfs_of_zstd() {
    squashfs(&["-comp", "zstd"]);
    squashfs(&["-comp", "zstd", "-Xcompression-level", "3"]);
    squashfs(&["-comp", "zstd", "-Xcompression-level", "19", "-b", "256k"]);
    squashfs(&["-comp", "zstd", "-Xcompression-level", "22", "-b", "128k"]);
}

/// What is not opened is counted, with all its bytes.
#[test]
fn codecs_that_are_not_opened_are_counted() {
    let folder = tree();
    let options = ["tree", "image", "-noappend", "-quiet", "-comp", "lzo"];
    run(folder.path(), "mksquashfs", &options);
    let mut image = fs::read(folder.path().join("image")).unwrap();
    // An erofs that compresses, of two blocks.
    let mut erofs = alloc::vec![0u8; 8192];
    erofs[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
    (erofs[1036], erofs[1060], erofs[1104]) = (12, 2, 2);
    image.extend(erofs);
    let opened = opened(&image, Purpose::New);
    assert!(opened.streams.is_empty());
    let text = opened.census.to_string();
    assert!(text.contains("erofs: 1 streams, 8192 compressed bytes, 0.0 % opened"), "{text}");
    assert!(text.contains("squashfs: 1 streams"), "{text}");
    assert!(text.contains("raw: of a codec that is not opened"), "{text}");
}

/// GNU gzip at the levels between the usual ones.
#[test]
fn every_level_of_gzip() {
    for level in ["-3", "-5", "-7"] {
        compressed("gzip", &[level, "a"], "a.gz", ContainerKind::Bare);
    }
}

/// `program` with `arguments` compresses a file; it opens as `kind`.
fn compressed(program: &str, arguments: &[&str], name: &str, kind: ContainerKind) {
    let folder = tree();
    run(&folder.path().join("tree"), program, arguments);
    let image = fs::read(folder.path().join("tree").join(name)).unwrap();
    check(&image, kind, 99.9);
}

#[test]
fn bare_streams() {
    compressed("xz", &["-9e", "--check=crc32", "a"], "a.xz", ContainerKind::Bare);
    compressed("xz", &["--arm", "--lzma2=dict=32MiB", "a"], "a.xz", ContainerKind::Bare);
    compressed(
        "python3",
        &["-m", "zipfile", "-c", "a.zip", "a", "etc/c"],
        "a.zip",
        ContainerKind::Zip,
    );
}

/// Frames of more than a MiB, of a size that is stated or not.
#[test]
fn archives_packed_by_another_release_of_zstd() {
    let folder = tree();
    fs::write(folder.path().join("tree/long"), content(900_000, 5)).unwrap();
    let tar = "tar --sort=name -cf image.tar tree";
    for pack in ["zstd -q -3 image.tar", "zstd -q -3 -c < image.tar > image.tar.zst"] {
        run(folder.path(), "sh", &["-c", &std::format!("rm -f image*; {tar} && {pack}")]);
        let image = fs::read(folder.path().join("image.tar.zst")).unwrap();
        check(&image, ContainerKind::Bare, 99.9);
    }
}

/// GNU gzip's tables are built of what its blocks have.
#[test]
fn corrections_of_gzip_are_small() {
    let folder = tree();
    let tree = folder.path().join("tree");
    fs::write(tree.join("long"), content(1_500_000, 6)).unwrap();
    run(&tree, "gzip", &["-9n", "long"]);
    let image = fs::read(tree.join("long.gz")).unwrap();
    let opened = check(&image, ContainerKind::Bare, 99.9);
    let size = opened.streams[0].correction.to_bytes().len();
    assert!(size < image.len() / 800, "{size} bytes for {}", image.len());
}

#[test]
fn archives_in_streams_in_archives() {
    let folder = tree();
    let tree = folder.path().join("tree");
    run(&tree, "xz", &["a"]);
    run(&tree, "tar", &["--sort=name", "-cf", "../inner.tar", "."]);
    run(folder.path(), "xz", &["-0", "inner.tar"]);
    run(folder.path(), "tar", &["-cf", "outer.tar", "inner.tar.xz"]);
    let image = fs::read(folder.path().join("outer.tar")).unwrap();
    let opened = check(&image, ContainerKind::Tar, 99.9);
    assert_eq!(opened.streams.len(), 1);
    assert_eq!(opened.streams[0].inner.len(), 1);
    assert_eq!(opened.streams[0].inner[0].container, ContainerKind::Tar);
}

/// A folder with `a.xz` in its tree.
fn tree_with_xz() -> TempDir {
    let folder = tree();
    run(&folder.path().join("tree"), "xz", &["a"]);
    folder
}

#[test]
fn initial_ram_disks() {
    let folder = tree_with_xz();
    let script = "cd tree && find . | sort | cpio -o -H newc > ../image";
    run(folder.path(), "sh", &["-c", script]);
    check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::Cpio, 99.9);
}

#[test]
fn ext4_file_systems() {
    let folder = tree_with_xz();
    run(folder.path(), "mke2fs", &["-q", "-t", "ext4", "-d", "tree", "image", "4M"]);
    check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::Ext4, 99.9);
}

#[test]
fn fat_file_systems() {
    for (bits, size) in [("12", "2048"), ("16", "16384"), ("32", "40960")] {
        let folder = tree_with_xz();
        run(folder.path(), "mkfs.vfat", &["-F", bits, "-C", "image", size]);
        run(folder.path(), "mcopy", &["-i", "image", "tree/a.xz", "::"]);
        check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::Fat, 99.9);
    }
}

const FIT: &str = r#"/dts-v1/;
/ {
    description = "one kernel";
    #address-cells = <1>;
    images {
        kernel {
            description = "it";
            data = /incbin/("tree/a.xz");
            type = "kernel";
            arch = "arm64";
            os = "linux";
            compression = "none";
            load = <0x80000>;
            entry = <0x80000>;
        };
    };
    configurations { default = "c"; c { description = "it"; kernel = "kernel"; }; };
};"#;

#[test]
fn image_trees_of_u_boot() {
    for place in [&[][..], &["-E"], &["-E", "-p", "0x2000"]] {
        let folder = tree_with_xz();
        fs::write(folder.path().join("image.its"), FIT).unwrap();
        let arguments = [place, &["-f", "image.its", "image"]].concat();
        run(folder.path(), "mkimage", &arguments);
        check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::Fit, 99.9);
    }
}

#[test]
fn legacy_images_of_u_boot() {
    let folder = tree_with_xz();
    let kind = ["-A", "arm", "-O", "linux", "-T", "kernel", "-C", "none"];
    let rest = ["-n", "x", "-d", "tree/a.xz", "image"];
    run(folder.path(), "mkimage", &[&kind[..], &rest].concat());
    check(&fs::read(folder.path().join("image")).unwrap(), ContainerKind::LegacyImage, 99.9);
}

#[test]
fn what_the_old_image_holds_is_left_alone() {
    let folder = tree();
    run(folder.path(), "mksquashfs", &["tree", "image", "-noappend", "-quiet", "-comp", "xz"]);
    let image = fs::read(folder.path().join("image")).unwrap();
    let all = opened(&image, Purpose::New);
    let first = &all.streams[0];
    let range = first.at as usize..(first.at + first.len) as usize;
    let (content, proving) = (u64::MAX, u64::MAX);
    let options =
        OpenOptions { purpose: Purpose::New, max_heap: 1 << 30, threads: 1, content, proving };
    let fewer = open(&image, &options, &|bytes| bytes == &image[range.clone()], &|_| ());
    assert_eq!(fewer.streams, all.streams[1..]);
    assert_eq!(fewer.census.rows[&ContainerKind::Squashfs].unchanged.bytes, first.len);
}

/// A kernel's dictionary of 32 MiB takes 369 MB to encode; its content needs less.
#[test]
fn a_dictionary_is_as_large_as_the_content() {
    let folder = tree();
    let tree = folder.path().join("tree");
    run(&tree, "xz", &["--check=crc32", "--arm", "--lzma2=dict=32MiB", "a"]);
    let opened = check(&fs::read(tree.join("a.xz")).unwrap(), ContainerKind::Bare, 99.9);
    let heap = opened.streams[0].recipe.encoder_heap(opened.streams[0].plain.len() as u64);
    assert!(heap < 4 << 20, "{heap} bytes");
}

#[test]
fn a_limit_of_memory_leaves_streams_raw() {
    let folder = tree_with_xz();
    let image = fs::read(folder.path().join("tree/a.xz")).unwrap();
    for purpose in [Purpose::Old, Purpose::New] {
        let limits = [(64 << 10, u64::MAX), (u64::MAX, 64 << 10)];
        for (max_heap, proving) in limits.into_iter().take(1 + usize::from(purpose == Purpose::New))
        {
            let content = u64::MAX;
            let options = OpenOptions { purpose, max_heap, threads: 1, content, proving };
            let opened = open(&image, &options, &|_| false, &|_| ());
            assert!(opened.streams.is_empty() && !opened.is_beyond);
            let text = opened.census.to_string();
            assert!(text.contains("raw: needs more memory than allowed"), "{text}");
        }
    }
}

/// Content that there is no memory for is seen, wherever it is.
#[test]
fn content_beyond_its_limit_is_said() {
    let folder = tree_with_xz();
    let xz = fs::read(folder.path().join("tree/a.xz")).unwrap();
    run(folder.path(), "mksquashfs", &["tree", "a", "-noappend", "-quiet", "-comp", "gzip"]);
    for image in [xz, fs::read(folder.path().join("a")).unwrap()] {
        let opened = |content| {
            let (purpose, proving) = (Purpose::Old, u64::MAX);
            let options = OpenOptions { purpose, max_heap: 1 << 30, threads: 2, content, proving };
            open(&image, &options, &|_| false, &|_| ())
        };
        let all = opened(u64::MAX);
        let content = crate::diff::content(&all.streams) as u64;
        assert!(!all.is_beyond && content > 0);
        assert!(!opened(content).is_beyond && opened(content - 1).is_beyond);
    }
}

/// Damaged images are opened as far as they can be, in bounded time.
#[test]
fn hostile_images_are_harmless() {
    let folder = tree_with_xz();
    run(folder.path(), "mksquashfs", &["tree", "a", "-noappend", "-quiet", "-comp", "gzip"]);
    run(folder.path(), "mke2fs", &["-q", "-t", "ext4", "-d", "tree", "b", "512k"]);
    run(folder.path(), "sh", &["-c", "find tree | cpio -o -H newc > c; tar cf d tree"]);
    let mut next = numbers(7);
    for name in ["a", "b", "c", "d"] {
        let image = fs::read(folder.path().join(name)).unwrap();
        for _ in 0..24 {
            let mut damaged = image.clone();
            for _ in 0..1 + next() % 20 {
                // Heads and tables are where the structure is.
                let zone = [96, 2048, damaged.len() as u32][next() as usize % 3];
                let at = next() % zone;
                let from_end = name == "a" && next().is_multiple_of(2);
                let len = damaged.len();
                let at = at as usize % len;
                damaged[if from_end { len - 1 - at } else { at }] = next() as u8;
            }
            if next().is_multiple_of(3) {
                damaged.truncate(next() as usize % damaged.len());
            }
            let new = opened(&damaged, Purpose::Old);
            assert!(new.streams.windows(2).all(|pair| pair[0].at + pair[0].len <= pair[1].at));
        }
    }
}
