//! Small images of every kind that is opened: half of their words changed with `seed`.

use delta::{DeflateOptions, LzmaOptions, Recipe, Wrapper, XzRecipe, ZstdOptions};

/// Bytes of content of each kind.
const SIZE: usize = 3000;

/// Bytes of gzip's head: no name, no time.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// What programs that are not linked here made: LZ4, LZMA alone, lzip, and .xz with
/// options that no preset has. By seed, 0 and 1.
const FOREIGN: [[&[u8]; 5]; 2] = [
    [
        include_bytes!("../images/0.lz4"),
        include_bytes!("../images/0.legacy"),
        include_bytes!("../images/0.lzma"),
        include_bytes!("../images/0.lz"),
        include_bytes!("../images/0.odd.xz"),
    ],
    [
        include_bytes!("../images/1.lz4"),
        include_bytes!("../images/1.legacy"),
        include_bytes!("../images/1.lzma"),
        include_bytes!("../images/1.lz"),
        include_bytes!("../images/1.odd.xz"),
    ],
];

/// All kinds in one image.
pub(crate) fn all(seed: u32) -> Vec<u8> {
    let mut image = text(seed);
    streams(seed).for_each(|stream| image.extend(stream));
    image
}

/// One image for each kind.
pub(crate) fn each(seed: u32) -> Vec<Vec<u8>> {
    [text(seed), code(seed)].into_iter().chain(streams(seed)).collect()
}

/// A stream of each kind.
fn streams(seed: u32) -> impl Iterator<Item = Vec<u8>> {
    let foreign = FOREIGN.get(seed as usize).into_iter().flatten();
    own(seed).into_iter().flatten().chain(foreign.map(|stream| stream.to_vec()))
}

/// Those that the linked libraries make.
fn own(seed: u32) -> [Option<Vec<u8>>; 4] {
    let deflate = DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
    let gzip = Recipe::Deflate { wrapper: Wrapper::GzipTail, options: deflate };
    let gzip = encoded(&gzip, &text(seed)).map(|tail| [&GZIP[..], &tail].concat());
    let xz = LzmaOptions::preset(0, false).map(|options| {
        let (dict_byte, block) = (8, 0);
        Recipe::Xz(XzRecipe { check: 1, sized: false, branch: 0, dict_byte, block, options })
    });
    let zstd = |switches| {
        let (level, window_log) = (3, 0);
        Recipe::Zstd(ZstdOptions { level, window_log, switches, splitter: 0, long: 0 })
    };
    [
        gzip,
        xz.and_then(|xz| encoded(&xz, &code(seed))),
        encoded(&zstd(ZstdOptions::PLEDGED), &text(seed)),
        encoded(&zstd(ZstdOptions::AT_ONCE), &code(seed)),
    ]
}

fn encoded(recipe: &Recipe, plain: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = recipe.encoder(plain.len() as u64).ok()?;
    encoder.push(plain, &mut out).ok()?;
    encoder.finish(&mut out).ok()?;
    Some(out)
}

/// Words; about one in eight is another one with another seed.
fn text(seed: u32) -> Vec<u8> {
    let words = (0u32..).map(|at| word(at, if at % 8 == 0 { seed } else { 0 }));
    let text = words.flat_map(|word| format!("{word:x} ").into_bytes());
    text.take(SIZE).collect()
}

/// Calls of arm64 among other instructions.
fn code(seed: u32) -> Vec<u8> {
    let instruction = |at: u32| match at % 4 {
        0 => 0x9400_0000 | (1000 + seed * 16).wrapping_sub(at),
        _ => 0xaa00_0000 | word(at, 0),
    };
    (0u32..).map(instruction).flat_map(u32::to_le_bytes).take(SIZE).collect()
}

fn word(at: u32, seed: u32) -> u32 {
    (at ^ seed.wrapping_mul(77)).wrapping_mul(0x9e37_79b9) >> 20
}
