//! Images in, patches out and images again, with what that takes.

use super::counted;
use delta::{
    Applier, DeflateOptions, Delta, DiffError, DiffOptions, Effort, Limits, LzmaOptions,
    PatchHeader, ReadAt, Recipe, Wrapper, XzRecipe, ZstdOptions, diff,
};
use std::sync::{Mutex, PoisonError};

/// Only one test counts at a time.
static COUNTS: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;

/// Words of code, text and noise, of which each `stride`th differs between seeds.
fn image(len: usize, seed: u32, stride: usize) -> Vec<u8> {
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
fn calls(len: usize, shift: u32) -> Vec<u8> {
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
fn xz(options: LzmaOptions, dict_byte: u8) -> Recipe {
    Recipe::Xz(XzRecipe { check: 1, sized: false, block: 0, branch: 0, dict_byte, options })
}

/// How streams in an image are made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pack {
    Plain,
    Gzip,
    Xz,
    /// With a dictionary that is larger than the content.
    Roomy,
    Zstd,
}

impl Pack {
    fn recipe(self) -> Recipe {
        match self {
            Self::Plain | Self::Gzip => {
                let options =
                    DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
                Recipe::Deflate { wrapper: Wrapper::GzipTail, options }
            }
            Self::Xz => {
                let dict = 128 << 10;
                xz(LzmaOptions { dict, ..LzmaOptions::preset(6, false).unwrap() }, 10)
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
    fn file(self, content: &[u8]) -> Vec<u8> {
        let mut out = match self {
            Self::Plain => return content.to_vec(),
            Self::Gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3],
            Self::Xz | Self::Roomy | Self::Zstd => Vec::new(),
        };
        let mut encoder = self.recipe().encoder(content.len() as u64).unwrap();
        encoder.push(content, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        out
    }
}

/// Files of many sizes, of which one is in another, between what is not packed.
fn files(pack: Pack, len: usize, seed: u32, stride: usize) -> Vec<u8> {
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

/// The most bytes of heap that applying took beside the image that comes out.
fn apply(patch: &[u8], mut old: &[u8], new: &[u8]) -> usize {
    let mut out = vec![0; new.len()];
    let (header, at) = PatchHeader::read(patch).unwrap().unwrap();
    let limits = Limits { heap: header.heap };
    let ((), took) = counted::most(|| {
        let mut applier = Applier::new(header, &limits).unwrap();
        let (mut input, mut filled, mut end) = (&patch[at..], 0, false);
        while !end {
            let (done, rest) = out.split_at_mut(filled);
            let finished: &mut dyn ReadAt = &mut &*done;
            let room = rest.len().min(64 << 10);
            let piece = input.len().min(64 << 10);
            let step =
                applier.step(&input[..piece], &mut rest[..room], &mut old, finished).unwrap();
            input = &input[step.consumed..];
            filled += step.filled;
            end = step.end;
        }
    });
    assert!(out == new, "another image came out");
    took
}

fn check_apply(pack: Pack, old: &[u8], new: &[u8]) {
    for class in [4u64, 8, 16, 64] {
        let options = DiffOptions { max_heap: class << 20, ..DiffOptions::default() };
        let patch = diff(old, new, &options, &()).unwrap().bytes;
        let header = PatchHeader::read(&patch).unwrap().unwrap().0;
        let declared = header.heap;
        assert!(declared <= class << 20, "{declared} bytes for {class} MiB");
        let work: u64 = header.work.iter().sum();
        assert!(class < 16 || (work > 0) == (pack != Pack::Plain), "{work} bytes made again");
        let took = apply(&patch, old, new) as u64;
        println!(
            "{pack:?}, {class} MiB: {} bytes, {work} made again, {declared} declared, {took} \
             taken",
            patch.len()
        );
        assert!(took <= declared, "{took} bytes taken, {declared} declared");
        assert!(took * 2 > declared, "{took} bytes taken of {declared} declared");
    }
}

#[test]
fn applying_takes_the_heap_that_is_declared() {
    let _one = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let old = image(MIB, 0, 9);
    let mut new = image(MIB, 0x1234, 9);
    new.splice(300_000..305_000, image(400_000, 77, 3));
    check_apply(Pack::Plain, &old, &new);
}

#[test]
fn making_streams_again_takes_the_heap_that_is_declared() {
    let _one = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    for pack in [Pack::Gzip, Pack::Xz, Pack::Zstd] {
        let (old, new) = (files(pack, MIB, 0, 29), files(pack, MIB, 0x1234, 29));
        check_apply(pack, &old, &new);
    }
}

/// A patch, and the most memory that making it took, both images included.
fn make(
    old: &[u8],
    new: &[u8],
    effort: Effort,
    memory: usize,
) -> (Result<Delta, DiffError>, usize) {
    let options = DiffOptions {
        max_heap: 64 << 20,
        effort,
        memory: memory as u64,
        threads: 4,
        ..DiffOptions::default()
    };
    let (made, took) = counted::most(|| diff(old, new, &options, &()));
    (made, took + old.len() + new.len())
}

/// With just enough memory, with more, and with so much that old is sorted.
fn check_make(what: &str, old: &[u8], new: &[u8]) {
    let (refused, took) = make(old, new, Effort::Best, 8 * MIB);
    let Err(DiffError::Memory { least, limit }) = refused else { panic!("{what} is made") };
    assert!(limit == 8 << 20 && least > limit && took < 3 * old.len() + new.len());
    let least = least as usize;
    assert!(make(old, new, Effort::Best, least - 1).0.is_err(), "{what}");
    let mut lens = Vec::new();
    let caps = [least, least * 3 / 2, least * 4];
    for (cap, effort) in caps.into_iter().zip([Effort::Best, Effort::Fast, Effort::Best]) {
        let (made, took) = make(old, new, effort, cap);
        let made = made.unwrap();
        println!(
            "{what}, {} MiB: {} taken, {} bytes, {} streams opened",
            cap / MIB,
            took / MIB,
            made.bytes.len(),
            made.census.rows.values().map(|row| row.opened.streams).sum::<u64>(),
        );
        assert!(took <= cap, "{what}: {took} bytes taken, there may be {cap}");
        apply(&made.bytes, old, new);
        lens.push(made.bytes.len());
    }
    assert!(lens[2] <= lens[0], "{what}: more memory makes a longer patch: {lens:?}");
}

#[test]
fn making_takes_the_memory_that_there_may_be() {
    let _one = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let len = 6 * MIB;
    check_make("code", &image(len, 0, 9), &image(len, 0x1234, 9));
    check_make("x86", &calls(len, 0), &calls(len, 0x40));
}

#[test]
fn new_bytes_take_the_memory_that_there_may_be() {
    let _one = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let noise = Pack::Xz.file(&image(10 * MIB, 5, 1));
    check_make("noise", &image(MIB, 0, 9), &noise[100..]);
}

#[test]
fn opening_takes_the_memory_that_there_may_be() {
    let _one = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    for pack in [Pack::Gzip, Pack::Roomy, Pack::Zstd] {
        let (old, new) = (files(pack, 3 * MIB, 0, 29), files(pack, 3 * MIB, 0x1234, 29));
        check_make(&format!("{pack:?}"), &old, &new);
    }
}
