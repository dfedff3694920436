//! Images and files to be compared.

use delta::{DeflateOptions, LzmaOptions, Recipe, Wrapper, XzRecipe, ZstdOptions};
use std::process::Command;

pub(crate) const MIB: usize = 1 << 20;

/// Words of code, text and noise, of which each `stride`th differs between seeds.
pub(crate) fn image(len: usize, seed: u32, stride: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut out = Vec::with_capacity(len + 4);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let place = out.len() / 4;
        let moved = if place.is_multiple_of(stride) { seed } else { 0 };
        let word =
            if state >> 31 == 0 { state >> 12 } else { 0x9400_0000 | (place as u32 & 0xfff) };
        out.extend(word.wrapping_add(moved).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Calls of x86 that lead to few places; `shift` more bytes stand before those.
pub(crate) fn calls(len: usize, shift: u32) -> Vec<u8> {
    let mut out = image(len / 2, 0, 1);
    out.extend(vec![0x90; shift as usize]);
    let mut state = 9u32;
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let target = (state >> 12) % (len as u32 / 4) / 64 * 64;
        out.extend([0x48, 0x89, (state >> 8) as u8, 0xe8]);
        out.extend(target.wrapping_sub(out.len() as u32 + 4).to_le_bytes());
    }
    out
}

/// With the dictionary as the format's byte has it.
pub(crate) fn xz(options: LzmaOptions, dict_byte: u8) -> Recipe {
    Recipe::Xz(XzRecipe { check: 1, sized: false, block: 0, branch: 0, dict_byte, options })
}

/// How streams in an image are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pack {
    Plain,
    Gzip,
    /// As zlib does not choose.
    OddGzip,
    Xz,
    /// With a dictionary that is larger than the content.
    Roomy,
    /// As no recipe makes it.
    OddXz,
    Zstd,
    /// Frames of LZ4, of matches of four bytes.
    Lz4,
}

impl Pack {
    fn recipe(self) -> Recipe {
        match self {
            Self::Plain | Self::Gzip | Self::OddGzip | Self::Lz4 => {
                let options =
                    DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
                Recipe::Deflate { wrapper: Wrapper::GzipTail, options }
            }
            Self::Xz => {
                let dict = 128 << 10;
                xz(LzmaOptions { dict, ..LzmaOptions::preset(6, false).unwrap() }, 10)
            }
            Self::OddXz => {
                let (dict, nice) = (128 << 10, 9);
                xz(LzmaOptions { dict, nice, ..LzmaOptions::preset(6, false).unwrap() }, 10)
            }
            Self::Roomy => xz(LzmaOptions::preset(6, false).unwrap(), 22),
            Self::Zstd => {
                let switches = ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
                Recipe::Zstd(ZstdOptions {
                    level: 3,
                    switches,
                    splitter: 1,
                    ..ZstdOptions::default()
                })
            }
        }
    }

    /// A file of it.
    pub(crate) fn file(self, content: &[u8]) -> Vec<u8> {
        let mut out = match self {
            Self::Plain => return content.to_vec(),
            Self::Lz4 => return lz4(content),
            Self::OddGzip => return libdeflate(content),
            Self::Gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3],
            Self::Xz | Self::Roomy | Self::OddXz | Self::Zstd => Vec::new(),
        };
        let mut encoder = self.recipe().encoder(content.len() as u64).unwrap();
        encoder.push(content, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        out
    }
}

/// What a program makes that looks for the fewest bits.
fn libdeflate(content: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("content");
    std::fs::write(&file, content).unwrap();
    let made = Command::new("libdeflate-gzip").args(["-c", "-12"]).arg(&file).output().unwrap();
    assert!(made.status.success(), "libdeflate-gzip failed");
    made.stdout
}

/// A frame of blocks of 64 KiB, in which whatever stood just before as it does now is a
/// match.
fn lz4(content: &[u8]) -> Vec<u8> {
    let mut out = b"\x04\x22\x4d\x18\x60\x40\x82".to_vec();
    for block in content.chunks(64 << 10) {
        let (mut packed, mut at, mut done) = (Vec::new(), 4, 0);
        while at + 12 < block.len() {
            let before =
                block[..at].windows(4).rev().take(64).position(|old| *old == block[at..at + 4]);
            let Some(offset) = before.map(|back| back + 4) else {
                at += 1;
                continue;
            };
            put_literals(&mut packed, &block[done..at]);
            packed.extend((offset as u16).to_le_bytes());
            (at, done) = (at + 4, at + 4);
        }
        put_literals(&mut packed, &block[done..]);
        out.extend((packed.len() as u32).to_le_bytes());
        out.extend(packed);
    }
    out.extend([0; 4]);
    out
}

/// A token and its literals.
fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    out.push((literals.len().min(15) << 4) as u8);
    if let Some(rest) = literals.len().checked_sub(15) {
        out.extend(vec![255; rest / 255]);
        out.push((rest % 255) as u8);
    }
    out.extend(literals);
}

/// Files of many sizes, of which one is in another, between what is not packed.
pub(crate) fn files(pack: Pack, len: usize, seed: u32, stride: usize) -> Vec<u8> {
    let content = image(len, seed, stride);
    let inner = pack.file(&content[..len / 4]);
    let mut out = image(100_000, seed, stride);
    let mut rest = &content[len / 4..];
    for part in 2.. {
        let (now, later) = rest.split_at((len / part / 3).max(999).min(rest.len()));
        out.extend(pack.file(&if part == 3 { [now, &inner].concat() } else { now.to_vec() }));
        out.extend(&content[..part * 10]);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    out
}
