//! What a stream's own bytes say about how it was made, and which recipes are
//! worth trying for the rest.

use super::Form;
use super::bytes::{number, u32_at, u64_at};
use crate::codec::deflate::DeflateOptions;
use crate::codec::lzma::{BRANCH_FILTERS, LzmaOptions};
use crate::codec::zstd::ZstdOptions;
use crate::recipe::lzma::{AloneHead, LZIP};
use crate::recipe::{Frame, Lz4Recipe, LzmaRecipe, Recipe, WINDOW_LOG_MAX, Wrapper, XzRecipe, xz};
use alloc::vec::Vec;

/// A recipe that decodes `encoded`; it need not make it again.
pub(super) fn decodes(form: Form, encoded: &[u8]) -> Option<Recipe> {
    let deflate = |wrapper, level| {
        let options = DeflateOptions { level, window_bits: 15, mem_level: 8, strategy: 0 };
        Recipe::Deflate { wrapper, options }
    };
    match form {
        Form::Raw => Some(deflate(Wrapper::Raw, 6)),
        Form::Gzip => Some(deflate(Wrapper::GzipTail, 6)),
        Form::Zlib => {
            let header: [u8; 2] = encoded.get(..2)?.try_into().ok()?;
            let sound = header[0] & 0x8f == 8
                && header[1] & 0x20 == 0
                && u16::from_be_bytes(header).is_multiple_of(31);
            let levels = [1, 5, 6, 9];
            let level = levels.get(usize::from(header[1] >> 6)).copied()?;
            sound.then(|| deflate(Wrapper::Zlib { header }, level))
        }
        Form::Xz => xz_head(encoded).map(Recipe::Xz),
        Form::Zstd => zstd_head(encoded).map(|(options, _)| Recipe::Zstd(options)),
        Form::Lz4(framing) => Some(Recipe::Lz4(Lz4Recipe { framing, told: false })),
        Form::Alone => {
            let head = AloneHead::read(encoded)?;
            Some(lzma(Frame::Alone, head.properties, head.dictionary))
        }
        Form::Lzip => {
            (encoded.get(..5)? == b"LZIP\x01").then_some(())?;
            let stated = u32::from(*encoded.get(5)?);
            // A power of two less some sixteenths of it.
            let power = 1u32.checked_shl(stated & 31)?;
            let dictionary = power - power / 16 * (stated >> 5);
            Some(lzma(Frame::Lzip, LZIP.byte(), dictionary))
        }
    }
}

/// What reads a stream with such a dictionary. A larger one than any recipe may have is
/// seldom used.
fn lzma(frame: Frame, properties: u8, dictionary: u32) -> Recipe {
    let dict_byte = xz::dictionary_byte(dictionary.clamp(1 << 12, 1 << WINDOW_LOG_MAX));
    Recipe::Lzma(LzmaRecipe { frame, dict_byte, properties, told: false })
}

/// Reads the stream header, the first block header and the first LZMA2 chunk.
fn xz_head(encoded: &[u8]) -> Option<XzRecipe> {
    (encoded.get(..7)? == b"\xfd7zXZ\0\0").then_some(())?;
    let check = *encoded.get(7)?;
    let mut options = LzmaOptions::preset(6, false)?;
    let len = usize::from(*encoded.get(12)?);
    if len == 0 {
        // No block: the stream is empty.
        let dict_byte = xz::dictionary_byte(options.dict);
        return Some(XzRecipe { check, sized: false, block: 0, branch: 0, dict_byte, options });
    }
    let end = 12 + (len + 1) * 4;
    let mut header = encoded.get(13..end - 4)?;
    let (flags, rest) = header.split_first()?;
    header = rest;
    let sized = flags & 0xc0 == 0xc0;
    if flags & 0x3c != 0 || (!sized && flags & 0xc0 != 0) {
        return None;
    }
    if sized {
        number(&mut header)?;
        number(&mut header)?;
    }
    let mut branch = 0;
    let dict_byte = loop {
        let (id, size) = (number(&mut header)?, number(&mut header)?);
        let (properties, rest) = header.split_at_checked(usize::try_from(size).ok()?)?;
        header = rest;
        match properties {
            [byte] if id == 0x21 => break *byte,
            [] if branch == 0 && BRANCH_FILTERS.contains(&id) => branch = id as u8,
            _ => return None,
        }
    };
    options.dict = xz::dictionary(dict_byte)?;
    (options.dict <= 1 << WINDOW_LOG_MAX).then_some(())?;
    // A chunk that sets properties says lc, lp and pb (LZMA2's sixth byte).
    if let Some(&[0xe0..=0xff, _, _, _, _, properties]) = encoded.get(end..end + 6) {
        (properties < 225).then_some(())?;
        options.lc = properties % 9;
        options.lp = properties / 9 % 5;
        options.pb = properties / 45;
    }
    Some(XzRecipe { check, sized, block: 0, branch, dict_byte, options })
}

/// The plain sizes of the blocks, out of the index at the end of the stream.
fn xz_blocks(encoded: &[u8]) -> Option<Vec<u64>> {
    let footer = encoded.len().checked_sub(12)?;
    let index = (u32_at(encoded, footer + 4)? as usize + 1) * 4;
    let mut bytes = encoded.get(footer.checked_sub(index)? + 1..footer)?;
    let count = number(&mut bytes)?;
    (count <= bytes.len() as u64).then_some(())?;
    let mut sizes = Vec::new();
    for _ in 0..count {
        number(&mut bytes)?;
        sizes.push(number(&mut bytes)?);
    }
    Some(sizes)
}

/// The options that a frame header shows, and whether it is a single segment.
fn zstd_head(encoded: &[u8]) -> Option<(ZstdOptions, bool)> {
    (encoded.get(..4)? == [0x28, 0xb5, 0x2f, 0xfd]).then_some(())?;
    let descriptor = *encoded.get(4)?;
    // Reserved bit, dictionary.
    (descriptor & 0b1011 == 0).then_some(())?;
    let single = descriptor & 0x20 != 0;
    let mut switches = 0;
    if single || descriptor >> 6 != 0 {
        switches |= ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
    }
    if descriptor & 4 != 0 {
        switches |= ZstdOptions::CHECKSUM;
    }
    let window_log = if single {
        let size = match descriptor >> 6 {
            0 => u64::from(*encoded.get(5)?),
            1 => u64::from(u16::from_le_bytes(encoded.get(5..7)?.try_into().ok()?)) + 256,
            2 => u32_at(encoded, 5)?.into(),
            _ => u64_at(encoded, 5)?,
        };
        size.clamp(1 << 10, 1 << 40).next_power_of_two().ilog2() as u8
    } else {
        let byte = *encoded.get(5)?;
        10 + (byte >> 3) + u8::from(byte & 7 != 0)
    };
    (window_log <= WINDOW_LOG_MAX).then_some(())?;
    let options = ZstdOptions { level: 3, window_log, switches, ..ZstdOptions::default() };
    Some((options, single))
}

/// Recipes that may make `encoded` of `plain` bytes, the likely ones first. What
/// worked before in the same place, `favourites`, comes first of all.
pub(super) fn candidates(
    form: Form,
    encoded: &[u8],
    plain: usize,
    favourites: &[Recipe],
) -> Vec<Recipe> {
    let mut out = Vec::new();
    let all = match decodes(form, encoded) {
        Some(Recipe::Deflate { wrapper, options }) => deflates(wrapper, options.level),
        Some(Recipe::Xz(head)) => xzs(head, encoded, plain),
        Some(Recipe::Zstd(_)) => zstds(encoded, plain),
        _ => return out,
    };
    let alike = |recipe: &Recipe| favourites.iter().position(|known| same_effort(known, recipe));
    for rank in 0..favourites.len() {
        out.extend(all.iter().filter(|recipe| alike(recipe) == Some(rank)));
    }
    out.extend(all.iter().filter(|recipe| alike(recipe).is_none()));
    out
}

/// Whether two recipes are those of one program run the same way.
pub(super) fn same_effort(one: &Recipe, other: &Recipe) -> bool {
    match (one, other) {
        (Recipe::Deflate { options: a, .. }, Recipe::Deflate { options: b, .. }) => a == b,
        (Recipe::Xz(a), Recipe::Xz(b)) => {
            let effort =
                |x: &XzRecipe| (x.options.mode, x.options.finder, x.options.nice, x.options.depth);
            effort(a) == effort(b)
        }
        (Recipe::Zstd(a), Recipe::Zstd(b)) => {
            (a.level, a.switches, a.splitter, a.long) == (b.level, b.switches, b.splitter, b.long)
        }
        _ => false,
    }
}

fn deflates(wrapper: Wrapper, level: u8) -> Vec<Recipe> {
    const ANY: [u8; 9] = [9, 6, 1, 5, 8, 7, 4, 3, 2];
    let levels = match (wrapper, level) {
        (Wrapper::Zlib { .. }, 1) => [1, 0, 0, 0, 0, 0, 0, 0, 0],
        (Wrapper::Zlib { .. }, 5) => [5, 4, 3, 2, 0, 0, 0, 0, 0],
        (Wrapper::Zlib { .. }, 9) => [9, 8, 7, 0, 0, 0, 0, 0, 0],
        (Wrapper::Zlib { .. }, _) => [6, 9, 0, 0, 0, 0, 0, 0, 0],
        _ => ANY,
    };
    let window_bits = match wrapper {
        Wrapper::Zlib { header } => ((header[0] >> 4) + 8).max(9),
        _ => 15,
    };
    let mut out = Vec::new();
    for (strategy, mem_level) in [(0, 8), (0, 9), (1, 8), (4, 8), (3, 8), (2, 8)] {
        // With one of the last three, a header says that little was tried, at any level.
        let levels = if strategy > 1 && level == 1 { ANY } else { levels };
        for level in levels.into_iter().filter(|level| *level > 0) {
            let options = DeflateOptions { level, window_bits, mem_level, strategy };
            out.push(Recipe::Deflate { wrapper, options });
        }
    }
    out
}

/// Preset and variant in the order of their frequency in firmware.
const XZ_EFFORTS: [(u8, bool); 9] = [
    (6, false),
    (6, true),
    (5, false),
    (4, false),
    (5, true),
    (3, false),
    (2, false),
    (1, false),
    (0, false),
];

fn xzs(head: XzRecipe, encoded: &[u8], plain: usize) -> Vec<Recipe> {
    let blocks = xz_blocks(encoded).unwrap_or_default();
    let mut head = head;
    if let [first, _, ..] = *blocks {
        head.block = first;
    }
    if head.sized {
        // A program with threads lays headers out for its block size, three
        // dictionaries, and not for the one smaller block that is there.
        let threads = 3 * u64::from(head.options.dict).max(1 << 20);
        let len = encoded.get(12).map_or(0, |byte| (usize::from(*byte) + 1) * 4);
        let fits = |block| xz::header_len(&XzRecipe { block, ..head }, plain as u64) == len;
        if head.block == 0 && !fits(0) && fits(threads) {
            head.block = threads;
        }
    }
    let longest = blocks.iter().copied().max().unwrap_or(plain as u64);
    let mut out = Vec::new();
    for dict in dictionaries(head.options.dict, longest) {
        for (level, extreme) in XZ_EFFORTS {
            let Some(effort) = LzmaOptions::preset(level, extreme) else { continue };
            let LzmaOptions { lc, lp, pb, .. } = head.options;
            let options = LzmaOptions { dict, lc, lp, pb, ..effort };
            out.push(Recipe::Xz(XzRecipe { options, ..head }));
        }
    }
    out
}

/// The dictionaries with which an encoder may make what it made with `stated`
/// bytes, out of a content of `plain` bytes, the least memory first. One that
/// covers the content finds the same matches, unless its smaller hash table makes
/// strings collide where the search's depth is limited; measured on kernels and
/// programs it never did. One under the same power of two has the same tables
/// (`lz_encoder_prepare`) and prices.
fn dictionaries(stated: u32, plain: u64) -> Vec<u32> {
    let covering = covering(plain);
    let mut out = Vec::new();
    if u64::from(covering) * 2 <= u64::from(stated) {
        out.push(covering);
    }
    let power = stated.next_power_of_two() / 2;
    out.push(covering.max(power.saturating_add(DICTIONARY_STEP)).min(stated));
    out
}

/// Dictionaries of more than four of these are multiples of it, smaller ones are
/// sizes that a header can state: so that streams of a like size share a recipe.
const DICTIONARY_STEP: u32 = 1 << 20;

fn covering(plain: u64) -> u32 {
    let plain = u32::try_from(plain.max(1 << 16)).unwrap_or(u32::MAX - DICTIONARY_STEP);
    if plain > 4 * DICTIONARY_STEP {
        return plain.next_multiple_of(DICTIONARY_STEP);
    }
    xz::dictionary(xz::dictionary_byte(plain)).unwrap_or(plain)
}

/// Levels of zstd in the order of their frequency in images.
const ZSTD_LEVELS: [i8; 22] =
    [15, 19, 3, 22, 9, 12, 18, 20, 21, 1, 6, 10, 11, 17, 16, 14, 13, 8, 7, 5, 4, 2];

/// The most content of one block.
const ZSTD_BLOCK: usize = 128 << 10;

fn zstds(encoded: &[u8], plain: usize) -> Vec<Recipe> {
    let Some((head, single)) = zstd_head(encoded) else { return Vec::new() };
    let mut ways: Vec<(u16, u8)> = Vec::new();
    let known = head.switches & ZstdOptions::PLEDGED != 0;
    // Releases before 1.5.7 do not split blocks before they look for sequences, and
    // then it makes no difference whether the content is given at once.
    ways.push((0, 1));
    if plain > ZSTD_BLOCK {
        ways.push((0, 0));
        if known {
            ways.push((ZstdOptions::AT_ONCE, 0));
        }
    }
    let mut out = Vec::new();
    for (way, splitter) in ways {
        for level in ZSTD_LEVELS {
            let switches = head.switches | way;
            let natural = ZstdOptions { level, switches, splitter, ..ZstdOptions::default() };
            // A single segment states no window; anything else states the encoder's.
            let stated = u32::from(head.window_log);
            let asked = !single && natural.window(plain as u64) != stated;
            let window_log = if asked { head.window_log } else { 0 };
            out.push(Recipe::Zstd(ZstdOptions { window_log, ..natural }));
        }
    }
    out
}
