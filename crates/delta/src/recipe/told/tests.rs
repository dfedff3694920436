//! Frames of the real program, told again; and words that lead to none.

use super::*;
use crate::recipe::{chosen, zstd_frame};
use crate::sequences::Sequence;
use crate::{Recipe, ZstdOptions};
use alloc::vec;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Sequences of a few matches, of so many bytes of content.
fn words(plain: usize, mut seed: u32) -> Vec<u8> {
    let (mut out, mut done) = (vec![], 0);
    while done < plain {
        let end = plain.min((done / BLOCK + 1) * BLOCK);
        loop {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (literals, length) = (1 + (seed >> 9) % 5, 3 + (seed >> 14) % 40);
            if done + (literals + length) as usize > end {
                break;
            }
            let offset = 1 + (seed >> 20) % (done as u32 + 1).min(90);
            let repeat = if seed >> 30 == 0 { 1 } else { 0 };
            let offset = if repeat == 0 { offset } else { 0 };
            words::put(&mut out, Sequence { offset, literals, length, repeat });
            done += (literals + length) as usize;
        }
        let literals = (end - done) as u32;
        words::put(&mut out, Sequence { literals, ..Sequence::default() });
        done = end;
    }
    out
}

use super::super::words;

fn told(words: &[u8], every: usize) -> Told {
    Told { words: words.len(), every, head: vec![0, 0x38], ..Told::default() }
}

/// What is made of words and content, in pieces.
fn make(told: Told, strategy: i8, all: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
    let mut encoder = ToldEncoder::new(told, strategy, true, all.len() as u64)?;
    let mut out = vec![];
    for piece in all.chunks(piece) {
        encoder.push(piece, &mut out)?;
    }
    encoder.finish(&mut out)?;
    Ok(out)
}

/// What a decoder gives, in pieces.
fn read(frame: &[u8], plain: usize, piece: usize) -> Result<Vec<u8>, Fault> {
    let options = ZstdOptions { switches: ZstdOptions::TOLD, ..ZstdOptions::default() };
    let mut decoder =
        Recipe::Zstd(ZstdOptions { window_log: 17, ..options }).decoder(plain as u64)?;
    let (mut out, mut filled, mut at) = (vec![0; plain], 0, 0);
    loop {
        let input = &frame[at..frame.len().min(at + piece)];
        let end = plain.min(filled + piece);
        let step = decoder.step(input, &mut out[filled..end])?;
        (at, filled) = (at + step.consumed, filled + step.filled);
        if step.done || step.consumed + step.filled == 0 {
            out.truncate(filled);
            return Ok(out);
        }
    }
}

/// Content, and the words of three blocks of it.
static THREE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let plain = 2 * BLOCK + 70_000;
    let words = words(plain, 3);
    // What the sequences lead to: literals of text, and copies.
    let mut content: Vec<u8> = vec![];
    let mut last = [1u32, 4, 8];
    for (number, sequence) in words::Words::new(&words).enumerate() {
        for at in 0..sequence.literals {
            content.push((number as u32 * 7 + at * 31 % 11) as u8 & 0x3f);
        }
        if sequence.length > 0 {
            if sequence.repeat == 0 {
                last = [sequence.offset, last[0], last[1]];
            }
            // The words above say a repeated offset after literals only: it is the last.
            let from = last[0] as usize;
            for _ in 0..sequence.length {
                content.push(content[content.len() - from.min(content.len())]);
            }
        }
    }
    (words, content)
});

#[test]
fn what_is_told_comes_back() {
    let (words, content) = &*THREE;
    let all = [words.as_slice(), content].concat();
    for (strategy, every) in [(1, 0), (3, 1), (7, 0), (9, 2)] {
        let frame = make(told(words, every), strategy, &all, 1 << 30).unwrap();
        assert!(make(told(words, every), strategy, &all, 4099).unwrap() == frame);
        assert!(zstd_frame::words(&frame, content.len()).as_deref() == Some(words));
        for piece in [1 << 30, 4099] {
            assert!(read(&frame, all.len(), piece).unwrap() == all, "{strategy} by {piece}");
        }
    }
}

/// Bytes of a frame up to which it has to be there for so much of what it was made of.
fn again(told: &Told, frame: &[u8], all: &[u8], until: usize) -> Result<usize, Fault> {
    let mut again = again::again(told.clone(), all.len() as u64)?;
    let mut out = vec![];
    let mut read = |at: u64, into: &mut [u8]| {
        let from = frame.get(at as usize..at as usize + into.len()).ok_or("behind the end")?;
        into.copy_from_slice(from);
        Ok::<(), Fault>(())
    };
    let mut took = 0;
    // In steps, as spans are looked at.
    for until in [until / 3, until / 2, until] {
        let count = (until - out.len()) as u64;
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        took = again.give(count, frame.len() as u64, &mut read, &mut sink)? as usize;
    }
    assert!(out == all[..until], "other bytes up to {until}");
    Ok(took)
}

/// Words between the content lead to the same frame, whose start tells both again; an
/// encoder that gets them stands where it stood.
#[test]
fn what_is_told_between_the_content_is_gone_on_with() {
    let (words, content) = &*THREE;
    let frame = make(told(words, 0), 9, &[words.as_slice(), content].concat(), 1 << 30).unwrap();
    for closed in [vec![], vec![100_000..200_000, BLOCK + 90_000..2 * BLOCK + 1]] {
        let mut told = told(words, 0);
        let (all, places) = told.weave(words, content, &closed).unwrap();
        let third = closed.last().map_or(2 * BLOCK, |range| range.start);
        assert!(places.len() == 3 && places[2].0 == third, "{places:?}");
        assert!(chosen::Told::Zstd(told.clone()).words_of(&all).as_ref() == Some(words));
        assert!(told.weave.as_ref().unwrap().held < words.len());
        for piece in [1 << 30, 4099, 7] {
            assert!(make(told.clone(), 9, &all, piece).unwrap() == frame, "by {piece}");
        }
        for until in (0..all.len()).step_by(9001).chain([all.len()]) {
            let took = again(&told, &frame, &all, until).unwrap();
            assert!(again(&told, &frame[..took], &all, until).is_ok());
            let mut encoder = ToldEncoder::new(told.clone(), 9, true, all.len() as u64).unwrap();
            let mut out = vec![];
            encoder.push(&all[..until], &mut out).unwrap();
            assert!(out.len() <= took.max(6) && frame.starts_with(&out), "up to {until}");
            encoder.push(&all[until..], &mut out).unwrap();
            encoder.finish(&mut out).unwrap();
            assert!(out == frame, "from {until}");
        }
        // Less is granted than waits.
        told.weave.as_mut().unwrap().held -= 1;
        assert!(make(told, 9, &all, 4099).is_err());
    }
}

#[test]
fn heap_figures_hold_for_what_is_told() {
    let (words, content) = &*THREE;
    for strategy in 1..=9 {
        let mut telling = Telling::new(words.clone(), strategy, true).unwrap();
        let mut out = vec![];
        telling.code(&content[..content.len() - 1], &mut out).unwrap();
        telling.finish(&content[content.len() - 1..], &mut out).unwrap();
        let (took, declared) = (telling.context_heap(), encoder_heap(strategy, true));
        assert!(took <= declared, "{strategy}: {took} > {declared}");
        assert!(declared < took * 3 / 2, "{strategy}: {declared} far above {took}");
    }
}

#[test]
fn stored_forms_are_read_or_refused() {
    let blocks = vec![BLOCK, 1, 70_000];
    let weave = Some(Weave { held: 5000, early: vec![(3, 400), (7, 9)] });
    let (head, tail) = (vec![1; 14], vec![2; 4]);
    let wanted = Told { words: 70_000, weave, every: 16, blocks, head, tail };
    let stored = wanted.to_bytes();
    assert_eq!(Told::read(&stored).as_ref(), Ok(&wanted));
    assert!((0..18).all(|cut| Told::read(&stored[..cut]).is_err()));
    assert!(Told::read(&[stored, vec![3]].concat()).is_err());
    assert!(ToldEncoder::new(wanted, 9, true, 69_999).is_err());
}

proptest! {
    /// Other words than those of the content: an error or another frame, never more.
    #[test]
    fn any_words_are_refused_or_harmless(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        every in 0..4usize,
    ) {
        let (words, content) = &*THREE;
        let mut words = words.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut words) = byte;
        }
        let all = [words.as_slice(), content].concat();
        if let Ok(frame) = make(told(&words, every), 9, &all, 1 << 30) {
            prop_assert!(frame.len() < all.len() + 1000);
        }
    }

    /// Any bytes where a frame is expected, and a frame with other bytes in it.
    #[test]
    fn any_frame_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        static FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let (words, content) = &*THREE;
            make(told(words, 0), 9, &[words.as_slice(), content].concat(), 1 << 30).unwrap()
        });
        let mut frame = FRAME.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut frame) = byte;
        }
        let plain = THREE.0.len() + THREE.1.len();
        for frame in [frame.as_slice(), &frame[..cut.index(frame.len())]] {
            if let Ok(out) = read(frame, plain, 1 << 16) {
                prop_assert!(out.len() <= plain);
            }
        }
    }
}
