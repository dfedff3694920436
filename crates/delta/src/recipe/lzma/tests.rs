//! Streams of other encoders, told again; and words that lead to none.

use super::*;
use crate::Recipe;
use crate::codec::lzma::LzmaOptions;
use crate::correction::Correction;
use crate::open::tell::lzma as tell;
use crate::packets::Packet;
use crate::recipe::words;
use crate::recipe::xz::XzRecipe;
use crate::sequences::Sequence;
use alloc::vec;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Text, code for several processors, and noise.
fn content(len: usize) -> Vec<u8> {
    let (mut state, mut out) = (1u32, Vec::with_capacity(len + 64));
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = state >> 20;
        match state >> 13 & 63 {
            0..40 => out.extend(std::format!("{:x} ", word % 700).bytes()),
            40..46 => out.extend((0xeb00_0000 | word).to_le_bytes()),
            46..50 => out.extend((0x9400_0000 | word).to_le_bytes()),
            50..55 => out.extend([0xe8, word as u8, (word >> 8) as u8, 0, 0]),
            _ => out.extend((state ^ state >> 7).to_le_bytes()),
        }
        if state >> 22 == 5 {
            out.resize(out.len() + 400, 0);
        }
    }
    out.truncate(len);
    out
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 9u64;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    core::iter::repeat_with(next).take(len).collect()
}

/// liblzma's preset 6, and what is otherwise.
fn odd(change: impl Fn(&mut XzRecipe)) -> XzRecipe {
    let options = LzmaOptions { dict: 1 << 20, ..LzmaOptions::preset(6, false).unwrap() };
    let mut xz = XzRecipe { check: 4, sized: false, block: 0, branch: 0, dict_byte: 16, options };
    change(&mut xz);
    xz
}

fn made(xz: XzRecipe, plain: &[u8]) -> Vec<u8> {
    let mut encoder = Recipe::Xz(xz).encoder(plain.len() as u64).unwrap();
    let mut out = vec![];
    encoder.push(plain, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

/// What a recipe makes in pieces; nothing if it refuses.
fn make(recipe: LzmaRecipe, told: &Told, all: &[u8], piece: usize) -> Option<Vec<u8>> {
    let correction = Correction::of_sequences(told.to_bytes());
    let mut encoder = Recipe::Lzma(recipe).corrected(all.len() as u64, correction).ok()?;
    let mut out = vec![];
    for piece in all.chunks(piece) {
        encoder.push(piece, &mut out).ok()?;
    }
    encoder.finish(&mut out).ok()?;
    Some(out)
}

/// What a reader gives, in pieces.
fn read(recipe: LzmaRecipe, encoded: &[u8], plain: usize, piece: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Recipe::Lzma(recipe).decoder(plain as u64)?;
    let (mut out, mut filled, mut at) = (vec![0; plain], 0, 0);
    loop {
        let input = &encoded[at..encoded.len().min(at + piece)];
        let end = plain.min(filled + piece);
        let step = decoder.step(input, &mut out[filled..end])?;
        (at, filled) = (at + step.consumed, filled + step.filled);
        if step.done || filled == plain || step.consumed == 0 && step.filled == 0 {
            out.truncate(filled);
            return Ok(out);
        }
    }
}

/// A stream is told, read and made in any pieces; what is told of it.
fn check(recipe: LzmaRecipe, encoded: &[u8], plain: &[u8]) -> Told {
    let recipe = LzmaRecipe { told: true, ..recipe };
    let (words, marked) = tell::words(encoded, plain.len(), recipe).unwrap();
    let (_, correction) = tell::told(encoded, plain, recipe, &words, marked).unwrap();
    let told = Told::read(correction.sequences()).unwrap();
    let all = [words.as_slice(), plain].concat();
    for piece in [1 << 30, 4099, 1] {
        assert!(make(recipe, &told, &all, piece).as_deref() == Some(encoded), "by {piece}");
        let out = read(recipe, encoded, all.len(), piece).unwrap();
        assert!(out == all, "{recipe:?} by {piece}: {} of {}", out.len(), all.len());
        let bare = LzmaRecipe { told: false, ..recipe };
        assert!(read(bare, encoded, plain.len(), piece).unwrap() == plain, "bare by {piece}");
    }
    told
}

/// Bytes of a stream up to which it has to be there for so much of what it was made of.
fn again(recipe: LzmaRecipe, told: &Told, encoded: &[u8], all: &[u8], until: usize) -> usize {
    let mut again = again::again(recipe, told.clone(), all.len() as u64).unwrap();
    let (mut out, mut took) = (vec![], 0);
    let mut read = |at: u64, into: &mut [u8]| {
        let from = encoded.get(at as usize..at as usize + into.len()).ok_or("behind the end")?;
        into.copy_from_slice(from);
        Ok::<(), Fault>(())
    };
    // In steps, as spans are looked at.
    for until in [until / 3, until / 2, until] {
        let count = (until - out.len()) as u64;
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        took = again.give(count, encoded.len() as u64, &mut read, &mut sink).unwrap() as usize;
    }
    assert!(out == all[..until], "other bytes up to {until}");
    took
}

/// Words between the content lead to the same stream, whose start tells both again; an
/// encoder that gets them stands where it stood.
fn check_woven(recipe: LzmaRecipe, encoded: &[u8], plain: &[u8], runs: &[usize]) {
    let recipe = LzmaRecipe { told: true, ..recipe };
    let (words, marked) = tell::words(encoded, plain.len(), recipe).unwrap();
    let (_, correction) = tell::told(encoded, plain, recipe, &words, marked).unwrap();
    let mut told = Told::read(correction.sequences()).unwrap();
    let runs: Vec<usize> = runs.iter().map(|units| units * RUN_UNIT).collect();
    let (all, places) = told.weave(&words, plain, runs.clone()).unwrap();
    assert_eq!(Told::read(&told.to_bytes()).as_ref(), Ok(&told));
    assert!(places.len() == runs.len() + 1 && told.held() < words.len(), "{places:?}");
    for piece in [1 << 30, 4099, 7] {
        assert!(make(recipe, &told, &all, piece).as_deref() == Some(encoded), "by {piece}");
    }
    let correction = Correction::of_sequences(told.to_bytes());
    let maker = || Recipe::Lzma(recipe).corrected(all.len() as u64, correction.clone()).unwrap();
    let heap = again::heap(recipe, &told, all.len() as u64).unwrap();
    for until in (0..all.len()).step_by(all.len() / 19).chain([all.len()]) {
        let took = again(recipe, &told, encoded, &all, until);
        assert_eq!(again(recipe, &told, &encoded[..took], &all, until), took);
        let (mut encoder, mut out) = (maker(), vec![]);
        encoder.push(&all[..until], &mut out).unwrap();
        assert!(encoded.starts_with(&out), "up to {until}");
        encoder.push(&all[until..], &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert!(out == encoded, "from {until}");
    }
    // The first half is read out of little more than the first half.
    let half = again(recipe, &told, encoded, &all, all.len() / 2);
    assert!(half < encoded.len() * 4 / 5, "{half} of {}", encoded.len());
    assert!(heap < Recipe::Lzma(recipe).decoder_heap(2 * all.len() as u64), "{heap}");
    // Less is granted than waits.
    let mut less = told.clone();
    less.weave.as_mut().unwrap().weave.held /= 3;
    assert!(make(recipe, &less, &all, 4099).is_none());
}

#[test]
fn what_is_told_between_the_content_is_gone_on_with() {
    let plain = [&content(300_000), &*noise(70_000), &vec![0; 90_000], &content(200_000)].concat();
    for (branch, check, block) in [(0, 1, 0), (4, 4, 0), (7, 10, 250_001), (8, 1, 90_000)] {
        let xz = odd(|xz| {
            (xz.branch, xz.check, xz.block) = (branch, check, block);
            xz.options.dict = 1 << 17;
            xz.dict_byte = 10;
            xz.options.nice = 9;
        });
        let recipe = tell::telling(&Recipe::Xz(xz)).unwrap();
        check_woven(recipe, &made(xz, &plain), &plain, &[1, 9, 12]);
    }
}

fn check_xz(xz: XzRecipe, plain: &[u8]) -> Told {
    let recipe = tell::telling(&Recipe::Xz(xz)).unwrap();
    check(recipe, &made(xz, plain), plain)
}

/// No recipe is guessed that has these.
#[test]
fn any_way_of_searching_is_told() {
    let plain = content(200_000);
    for (mode, finder, nice, depth) in
        [(1, 3, 2, 1), (1, 4, 273, 0), (2, 0x12, 7, 3), (2, 0x13, 33, 9), (2, 0x14, 64, 0)]
    {
        let told = check_xz(
            odd(|xz| {
                let options = LzmaOptions { mode, finder, nice, depth, ..xz.options };
                xz.options = options;
            }),
            &plain,
        );
        assert!(told.chunks.is_empty() && told.heads.is_empty() && !told.marked, "{told:?}");
    }
}

#[test]
fn any_properties_checks_and_converters_are_told() {
    let plain = content(60_000);
    for (number, branch) in [0, 4, 5, 7, 8, 9, 10].into_iter().enumerate() {
        let number = number as u8;
        let told = check_xz(
            odd(|xz| {
                (xz.branch, xz.check) = (branch, [0, 1, 4, 10][usize::from(number % 4)]);
                let (lc, lp, pb) = (number % 5, (4 - number % 5).min(number / 2), number % 5);
                xz.options = LzmaOptions { lc, lp, pb, ..xz.options };
            }),
            &plain,
        );
        assert!(told.chunks.is_empty() && told.heads.is_empty(), "{told:?}");
    }
}

#[test]
fn blocks_and_chunks_are_told() {
    let plain = content(900_000);
    let sized = check_xz(odd(|xz| (xz.sized, xz.block) = (true, 300_000)), &plain);
    assert!(!sized.heads.is_empty() && sized.chunks.is_empty());
    let blocks = check_xz(odd(|xz| (xz.block, xz.branch) = (300_001, 7)), &plain);
    assert!(blocks.heads.is_empty() && blocks.chunks.is_empty());
    // Much content in one chunk.
    let zeros = vec![0; 5_000_000];
    assert!(check_xz(odd(|_| {}), &zeros).chunks.is_empty());
    // Noise is not packed, and what is reset behind it is told.
    let mixed = [&content(150_000), &*noise(200_000), &content(100_000), &noise(70_000)].concat();
    assert!(check_xz(odd(|_| {}), &mixed).chunks.len() > 3);
    assert!(check_xz(odd(|_| {}), &noise(70_000)).chunks.len() > 1);
    check_xz(odd(|_| {}), &noise(1));
}

/// Words of matches as any encoder may choose them, and their content.
fn any_words(choices: &[(u8, u32, u32, u32)], last: u32) -> (Vec<u8>, Vec<u8>) {
    let (mut words, mut content, mut repeats) = (vec![], vec![], [0u32; 4]);
    let put = |content: &mut Vec<u8>, count: u32| {
        for _ in 0..count {
            content.push((content.len() * 7 % 251) as u8);
        }
    };
    for (kind, literals, length, distance) in choices {
        let literals = literals % 5 + u32::from(content.is_empty());
        put(&mut content, literals);
        let length = 2 + length % 272;
        let distance = distance % content.len() as u32;
        let which = usize::from(kind % 4);
        let packet = match kind / 4 % 3 {
            0 if repeats[0] < content.len() as u32 => Packet::Short,
            1 if repeats[which] < content.len() as u32 => Packet::Repeat { which, length },
            _ => Packet::Match { distance, length },
        };
        match packet {
            Packet::Match { .. } => {
                repeats.rotate_right(1);
                repeats[0] = distance;
            }
            Packet::Repeat { which, .. } => repeats[..=which].rotate_right(1),
            _ => {}
        }
        for _ in 0..packet.length() {
            content.push(content[content.len() - 1 - repeats[0] as usize]);
        }
        words::put(&mut words, packet.told(literals));
    }
    put(&mut content, last);
    words::put(&mut words, Sequence { literals: last, ..Sequence::default() });
    (words, content)
}

fn frames() -> impl Strategy<Value = Frame> {
    prop_oneof![
        Just(Frame::Alone),
        Just(Frame::Lzip),
        Just(Frame::Xz { check: 1, branch: 0 }),
        Just(Frame::Xz { check: 10, branch: 0 }),
    ]
}

/// A stream, and how it is told.
static STREAM: LazyLock<(LzmaRecipe, Vec<u8>, Told, Vec<u8>)> = LazyLock::new(|| {
    let plain = [&content(20_000), &*noise(3000), &content(9000)].concat();
    let xz = odd(|xz| xz.options.nice = 9);
    let recipe = LzmaRecipe { told: true, ..tell::telling(&Recipe::Xz(xz)).unwrap() };
    let encoded = made(xz, &plain);
    let told = check(recipe, &encoded, &plain);
    let (words, _) = tell::words(&encoded, plain.len(), recipe).unwrap();
    (recipe, encoded, told, [words, plain].concat())
});

proptest! {
    /// Any packets that describe a content make a stream that reads as these packets.
    #[test]
    fn any_packets_come_back(
        choices in proptest::collection::vec((any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>()), 1..200),
        last in 0..4u32,
        frame in frames(),
        (lc, lp, pb) in (0..5u8, 0..5u8, 0..5u8),
        marked in any::<bool>(),
    ) {
        let (words, plain) = any_words(&choices, last);
        let properties = match frame {
            Frame::Lzip => LZIP.byte(),
            _ => Properties { lc, lp: lp.min(4 - lc), pb }.byte(),
        };
        let recipe = LzmaRecipe { frame, dict_byte: 20, properties, told: true };
        let size = if marked { u64::MAX } else { plain.len() as u64 };
        let alone = [&[properties, 0, 0, 16, 0][..], &size.to_le_bytes()].concat();
        let (heads, tail) = match frame {
            Frame::Alone => (alone, vec![]),
            Frame::Lzip => (b"LZIP\x01\x14".to_vec(), vec![1; LZIP_TAIL]),
            Frame::Xz { .. } => (vec![], vec![]),
        };
        let marked = match frame { Frame::Alone => marked, frame => frame == Frame::Lzip };
        let reach = plain.len() as u64;
        let told = Told { words: words.len(), reach, heads, marked, tail, ..Told::default() };
        let all = [words.as_slice(), &plain].concat();
        let encoded = make(recipe, &told, &all, 100).unwrap();
        let out = read(recipe, &encoded, all.len(), 1000).unwrap();
        let end = words.len();
        prop_assert_eq!(&out, &all);
        let least = check(recipe, &encoded, &out[end..]);
        prop_assert!(least.reach <= reach && least.words == end);
    }

    /// Other words than those of the content: an error or another stream, never more.
    #[test]
    fn any_words_are_refused_or_harmless(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        stored in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        woven in any::<bool>(),
    ) {
        let (recipe, _, told, all) = &*STREAM;
        let (mut told, mut all) = (told.clone(), all.clone());
        if woven {
            let (words, plain) = all.split_at(told.words);
            (all, _) = told.weave(words, plain, vec![RUN_UNIT]).unwrap();
        }
        for (at, byte) in changes {
            all[at.index(told.words)] = byte;
        }
        let mut bytes = told.to_bytes();
        for (at, byte) in stored {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(told) = Told::read(&bytes)
            && let Some(out) = make(*recipe, &told, &all, 1 << 12)
        {
            prop_assert!(out.len() < all.len() * 8 + 100_000);
        }
    }

    /// Any bytes where a stream is expected, and a stream with other bytes in it.
    #[test]
    fn any_stream_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        frame in frames(),
    ) {
        let (recipe, encoded, _, all) = &*STREAM;
        let mut encoded = encoded.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut encoded) = byte;
        }
        let other = LzmaRecipe { frame, ..*recipe };
        for (recipe, bytes) in [
            (*recipe, encoded.as_slice()),
            (*recipe, &encoded[..cut.index(encoded.len())]),
            (other, &encoded[12..]),
        ] {
            for told in [true, false] {
                if let Ok(out) = read(LzmaRecipe { told, ..recipe }, bytes, all.len(), 1 << 16) {
                    prop_assert!(out.len() <= all.len());
                }
            }
        }
    }

    /// A stream with other bytes in it, of which anything is told, is read again to an end.
    #[test]
    fn any_stream_is_read_again_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        stored in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        until in any::<prop::sample::Index>(),
    ) {
        let (recipe, encoded, told, all) = &*STREAM;
        let (mut encoded, mut told) = (encoded.clone(), told.clone());
        let (words, plain) = all.split_at(told.words);
        told.weave(words, plain, vec![RUN_UNIT]).unwrap();
        for (at, byte) in changes {
            *at.get_mut(&mut encoded) = byte;
        }
        let mut bytes = told.to_bytes();
        for (at, byte) in stored {
            *at.get_mut(&mut bytes) = byte;
        }
        let Ok(told) = Told::read(&bytes) else { return Ok(()) };
        let size = all.len() as u64;
        if again::heap(*recipe, &told, size).is_none_or(|heap| heap > 1 << 20) {
            return Ok(());
        }
        let (count, there) = (until.index(all.len()) as u64, cut.index(encoded.len()) as u64);
        let mut out = 0;
        let mut read = |at: u64, into: &mut [u8]| {
            let from = encoded.get(at as usize..at as usize + into.len()).ok_or("behind the end")?;
            into.copy_from_slice(from);
            Ok::<(), Fault>(())
        };
        let mut sink = |bytes: &[u8]| {
            out += bytes.len() as u64;
            Ok(())
        };
        if let Ok(mut again) = again::again(*recipe, told, size)
            && again.give(count, there, &mut read, &mut sink).is_ok()
        {
            prop_assert_eq!(out, count);
        }
        prop_assert!(out <= count);
    }

    #[test]
    fn stored_forms_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(told) = Told::read(&bytes) {
            prop_assert_eq!(Told::read(&told.to_bytes()), Ok(told));
        }
        let mut stored = bytes.as_slice();
        if let Ok(recipe) = LzmaRecipe::take(&mut stored) {
            let mut out = vec![];
            recipe.put(&mut out);
            prop_assert_eq!(LzmaRecipe::take(&mut out.as_slice()), Ok(recipe));
        }
    }
}
