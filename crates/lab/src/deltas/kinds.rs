//! Small images of every kind that a patch can be about: applying one takes milliseconds,
//! so that many patches can be damaged.

use anyhow::{Context, Result, ensure};
use delta::{
    DeflateOptions, DiffOptions, Effort, LzmaOptions, PatchHeader, Recipe, Wrapper, XzRecipe,
    ZstdOptions,
};
use std::fs;
use std::process::Command;
use types::Digest;

/// A patch and its images.
pub(super) struct Small {
    pub(super) name: &'static str,
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
    pub(super) patch: Vec<u8>,
}

/// Bytes of most images.
const SIZE: usize = 200_000;

/// Bytes of heap that applying may take: little, so that models are made quickly; encoders
/// of xz and zstd take more.
const HEAP: u64 = 4 << 20;
const HEAP_ENCODERS: u64 = 8 << 20;

/// One of every kind.
pub(super) fn all() -> Result<Vec<Small>> {
    let kinds: Vec<(&'static str, Image)> = vec![
        ("text", |seed| Ok(text(seed))),
        ("code of arm64", |seed| Ok(arm64(seed))),
        ("code of x86", |seed| Ok(x86(seed))),
        ("noise", |seed| Ok(noise(SIZE, 1 + seed))),
        ("hashes", |seed| Ok(hashed(&text(seed)))),
        ("gzip", gzip),
        ("gzip by GNU", |seed| piped("gzip", &["-9nc"], &text(seed))),
        ("gzip, told", |seed| piped("libdeflate-gzip", &["-c", "-12"], &text(seed))),
        ("xz", |seed| xz(0, false, &text(seed))),
        ("told xz", |seed| told_xz(7, &text(seed))),
        ("told LZMA, long", |seed| piped("xz", &["-F", "lzma", "-1c"], &long(seed))),
        ("xz of code, sized blocks", |seed| xz(7, true, &arm64(seed))),
        ("zstd", |seed| encoded(&zstd(ZstdOptions::PLEDGED), &text(seed))),
        ("zstd at once", |seed| encoded(&zstd(ZstdOptions::AT_ONCE), &text(seed))),
        ("lz4", |seed| piped("lz4", &["-9c"], &text(seed))),
        ("gzip in xz", |seed| xz(0, false, &[text(seed), gzip(seed)?, noise(999, seed)].concat())),
        ("many streams", |seed| {
            let pieces = text(seed);
            let files: Result<Vec<_>> = pieces.chunks(SIZE / 20).map(gzip_file).collect();
            Ok(files?.concat())
        }),
    ];
    kinds.into_iter().map(|(name, image)| small(name, image)).collect()
}

/// The old image is that of 0, the new one that of 1.
type Image = fn(u64) -> Result<Vec<u8>>;

fn text(seed: u64) -> Vec<u8> {
    content(SIZE, seed)
}

/// Long enough that words stand between it.
fn long(seed: u64) -> Vec<u8> {
    content(3 * SIZE, seed)
}

fn gzip(seed: u64) -> Result<Vec<u8>> {
    gzip_file(&text(seed))
}

fn small(name: &'static str, image: Image) -> Result<Small> {
    let around = |seed| Ok::<_, anyhow::Error>([image(seed)?, noise(5000, 77)].concat());
    let (old, new) = (around(0)?, around(1)?);
    let large = ["xz", "LZMA", "zstd", "lz4", "told"].iter().any(|codec| name.contains(codec));
    let max_heap = if large { HEAP_ENCODERS } else { HEAP };
    let effort = Effort::Best;
    let options = DiffOptions { max_heap, effort, threads: 1, ..DiffOptions::default() };
    let patch = delta::diff(&old, &new, &options, &())?.bytes;
    let (header, _) = PatchHeader::read(&patch)?.context("it has no header")?;
    let packed = large || name.contains("gzip");
    let again = header.work.iter().any(|bytes| *bytes > 0);
    ensure!(again || !packed, "nothing is made again of the images of `{name}`");
    let told = header.recipes.iter().any(|recipe| matches!(recipe, Recipe::DeflateTold(_)));
    ensure!(told || name != "gzip, told", "nothing is told of the images of `{name}`");
    Ok(Small { name, old, new, patch })
}

/// Words of which a few differ between seeds, and some are only in one.
fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 32);
    let mut state = 1u64;
    while out.len() < len {
        state = next(state);
        let changes = if (state >> 20).is_multiple_of(97) { seed } else { 0 };
        out.extend(format!("{:x} ", (state >> 40) % 3000 + changes).bytes());
        if (state >> 13).is_multiple_of(999) {
            out.extend(noise((state >> 30) as usize % 300, state ^ seed));
        }
    }
    out
}

/// Branches that lead elsewhere when what is before them grows.
fn arm64(seed: u64) -> Vec<u8> {
    let mut state = 3u64;
    let words = (0..SIZE / 4).flat_map(|at| {
        state = next(state);
        let target = ((state >> 33) as u32 % 300) * 64 + seed as u32 * 12;
        let word = match state >> 62 {
            0 => 0x9400_0000 | (target.wrapping_sub(at as u32) & 0x03ff_ffff),
            1 => 0x9000_0000 | (target & 0x0060_ffff),
            _ => (state >> 22) as u32,
        };
        word.to_le_bytes()
    });
    words.collect()
}

/// Calls whose targets moved.
fn x86(seed: u64) -> Vec<u8> {
    let mut out = noise(SIZE / 2, 9);
    out.extend(vec![0x90; seed as usize * 64]);
    let mut state = 5u64;
    while out.len() < SIZE {
        state = next(state);
        let target = (state >> 33) as u32 % (SIZE as u32 / 4) / 64 * 64;
        out.extend([0x48, 0x89, (state >> 8) as u8, 0xe8]);
        out.extend(target.wrapping_sub(out.len() as u32 + 4).to_le_bytes());
    }
    out
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let byte = || {
        state = next(state);
        (state >> 56) as u8
    };
    std::iter::repeat_with(byte).take(len).collect()
}

fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// Blocks, and behind them the tree of their hashes.
fn hashed(content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 4096;
    let mut out = content.to_vec();
    out.resize(content.len().next_multiple_of(BLOCK), 0);
    let mut tree: Vec<u8> = out.chunks(BLOCK).flat_map(|block| Digest::of(block).0).collect();
    tree.resize(tree.len().next_multiple_of(BLOCK), 0);
    out.extend(tree);
    out
}

fn gzip_file(content: &[u8]) -> Result<Vec<u8>> {
    let options = DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
    let recipe = Recipe::Deflate { wrapper: Wrapper::GzipTail, options };
    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    Ok([head, encoded(&recipe, content)?].concat())
}

/// What a program makes of a file; matches of GNU gzip are others than zlib's.
fn piped(program: &str, arguments: &[&str], content: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("content");
    fs::write(&file, content)?;
    let out = Command::new(program).args(arguments).arg(&file).output();
    let out = out.with_context(|| format!("no {program}"))?;
    ensure!(out.status.success(), "{program} failed");
    Ok(out.stdout)
}

/// `content` as xz's first preset makes it, with a dictionary of 128 KiB.
fn xz(branch: u8, sized: bool, content: &[u8]) -> Result<Vec<u8>> {
    let options = LzmaOptions::preset(1, false).context("liblzma has no preset")?;
    let options = LzmaOptions { dict: 128 << 10, ..options };
    // As the format has that dictionary.
    let dict_byte = 10;
    encoded(
        &Recipe::Xz(XzRecipe { check: 1, sized, block: 0, branch, dict_byte, options }),
        content,
    )
}

/// With matches that no preset chooses: they are told.
fn told_xz(branch: u8, content: &[u8]) -> Result<Vec<u8>> {
    let options = LzmaOptions::preset(1, false).context("liblzma has no preset")?;
    let options = LzmaOptions { dict: 128 << 10, nice: 4, ..options };
    let recipe = XzRecipe { check: 4, sized: false, block: 0, branch, dict_byte: 10, options };
    encoded(&Recipe::Xz(recipe), content)
}

fn zstd(switch: u16) -> Recipe {
    let switches = ZstdOptions::CONTENT_SIZE | switch;
    Recipe::Zstd(ZstdOptions { level: 3, switches, splitter: 1, ..ZstdOptions::default() })
}

fn encoded(recipe: &Recipe, content: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let made = recipe.encoder(content.len() as u64).and_then(|mut encoder| {
        encoder.push(content, &mut out)?;
        encoder.finish(&mut out)
    });
    made.map_err(anyhow::Error::msg)?;
    Ok(out)
}
