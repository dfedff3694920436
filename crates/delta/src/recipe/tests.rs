//! Recipes against the real programs.

use super::*;
use crate::codec::drain;
use crate::codec::zstd::ZstdEncoder;
use alloc::vec;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Text-like content that compresses well but not trivially.
fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9u32;
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = (state >> 16) % 1000;
        out.extend_from_slice(std::format!("{word:x} ").as_bytes());
        if word < 8 {
            out.extend(state.to_le_bytes());
        }
    }
    out.truncate(len);
    out
}

/// What `program` makes of `input`.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

fn encode(recipe: &Recipe, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut encoder = recipe.encoder(plain.len() as u64).unwrap();
    let mut out = Vec::new();
    for piece in plain.chunks(piece) {
        encoder.push(piece, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn decode(recipe: &Recipe, encoded: &[u8], plain: usize, piece: usize) -> Vec<u8> {
    let mut decoder = recipe.decoder(plain as u64).unwrap();
    let (mut out, mut filled, mut at) = (vec![0; plain + 1], 0, 0);
    loop {
        let end = encoded.len().min(at + piece);
        let room = (filled + piece).min(out.len());
        let step = decoder.step(&encoded[at..end], &mut out[filled..room]).unwrap();
        (at, filled) = (at + step.consumed, filled + step.filled);
        if step.done {
            break;
        }
        assert!(step.consumed + step.filled > 0, "stuck at {at}, {filled}");
    }
    assert_eq!(at, encoded.len());
    out.truncate(filled);
    out
}

/// The recipe makes `encoded` of `plain` in any pieces, goes through bytes, and
/// decodes in any pieces.
fn check(recipe: Recipe, plain: &[u8], encoded: &[u8]) {
    for piece in [1 << 30, 7777] {
        let made = encode(&recipe, plain, piece);
        let same = made.iter().zip(encoded).take_while(|(a, b)| a == b).count();
        assert_eq!((made.len(), same), (encoded.len(), encoded.len()), "{recipe:?} by {piece}");
        assert!(decode(&recipe, encoded, plain.len(), piece) == plain);
    }
    let bytes = recipe.to_bytes();
    assert!(bytes.len() <= Recipe::BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(Recipe::from_bytes(&mut bytes.as_slice()), Ok(recipe));
    for cut in 0..bytes.len() {
        assert!(Recipe::from_bytes(&mut &bytes[..cut]).is_err());
    }
}

fn xz(level: u8, extreme: bool, check: u8) -> XzRecipe {
    let options = LzmaOptions::preset(level, extreme).unwrap();
    let dict_byte = xz::dictionary_byte(options.dict);
    XzRecipe { check, sized: false, block: 0, branch: 0, dict_byte, options }
}

#[test]
fn presets_of_xz() {
    let plain = content(100_000);
    for level in ["-0", "-3", "-6", "-9", "-6e"] {
        let number = level.as_bytes()[1] - b'0';
        let recipe = Recipe::Xz(xz(number, level.len() == 3, 4));
        check(recipe, &plain, &run("xz", &["-c", "-T1", level], &plain));
    }
}

#[test]
fn checks_and_converters_of_xz() {
    let plain = content(30_000);
    for (name, number) in [("none", 0), ("crc32", 1), ("crc64", 4), ("sha256", 10)] {
        let name = std::format!("--check={name}");
        check(Recipe::Xz(xz(6, false, number)), &plain, &run("xz", &["-c", "-T1", &name], &plain));
    }
    let converters = [("x86", 4), ("powerpc", 5), ("ia64", 6), ("arm", 7), ("armthumb", 8)];
    for (name, branch) in converters.into_iter().chain([("sparc", 9), ("arm64", 10)]) {
        let made = run("xz", &["-c", "-T1", &std::format!("--{name}"), "--lzma2"], &plain);
        check(Recipe::Xz(XzRecipe { branch, ..xz(6, false, 4) }), &plain, &made);
    }
}

#[test]
fn threads_of_xz_make_blocks_with_sizes() {
    let plain = content(500_000);
    let made = run("xz", &["-c", "-T2", "--block-size=200000"], &plain);
    let recipe = XzRecipe { sized: true, block: 200_000, ..xz(6, false, 4) };
    check(Recipe::Xz(recipe), &plain, &made);
}

#[test]
fn nothing_is_a_content_too() {
    check(Recipe::Xz(xz(6, false, 4)), &[], &run("xz", &["-c", "-T1"], &[]));
    let switches = ZstdOptions::CHECKSUM | ZstdOptions::PLEDGED | ZstdOptions::CONTENT_SIZE;
    let options = ZstdOptions { level: 3, switches, ..ZstdOptions::default() };
    let made = encode(&Recipe::Zstd(options), &[], 1);
    check(Recipe::Zstd(options), &[], &made);
    let options = DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
    let recipe = Recipe::Deflate { wrapper: Wrapper::Zlib { header: [0x78, 0xda] }, options };
    check(recipe, &[], &[0x78, 0xda, 3, 0, 0, 0, 0, 1]);
}

#[test]
fn levels_of_zlib() {
    let plain = content(200_000);
    let script = "import sys,zlib\nsys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read(),int(sys.argv[1])))";
    for (level, flags) in [(1, 0x01), (4, 0x5e), (6, 0x9c), (9, 0xda)] {
        let made = run("python3", &["-c", script, &std::format!("{level}")], &plain);
        let options = DeflateOptions { level, window_bits: 15, mem_level: 8, strategy: 0 };
        let wrapper = Wrapper::Zlib { header: [0x78, flags] };
        check(Recipe::Deflate { wrapper, options }, &plain, &made);
    }
}

#[test]
fn heap_figures_hold_for_zstd() {
    let plain = content(200_000);
    for level in [1, 3, 9, 15, 19] {
        let switches = ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
        let options = ZstdOptions { level, switches, ..ZstdOptions::default() };
        let mut encoder = ZstdEncoder::new(options, plain.len() as u64).unwrap();
        let mut out = Vec::new();
        drain(&plain, &mut out, true, |input, out, end| encoder.code(input, out, end)).unwrap();
        let declared = options.encoder_heap(plain.len() as u64);
        assert!(encoder.heap() <= declared, "{level}: {} > {declared}", encoder.heap());
        assert!(declared < encoder.heap() * 5 / 4 + 4096, "{level}: {declared} far above");
    }
}

#[test]
fn hostile_recipes_are_refused() {
    let mut seed = 1u32;
    for _ in 0..20_000 {
        let bytes: [u8; 32] = core::array::from_fn(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        let mut bytes = bytes;
        bytes[0] &= 3;
        if let Ok(recipe) = Recipe::from_bytes(&mut bytes.as_slice()) {
            let again = recipe.to_bytes();
            assert_eq!(Recipe::from_bytes(&mut again.as_slice()), Ok(recipe));
            let _ = (recipe.encoder_heap(1 << 20), recipe.decoder_heap(1 << 20));
        }
    }
}
