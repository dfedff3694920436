//! Blocks made and read again, in pieces; and words that lead to none.

use super::*;
use crate::recipe::words;
use crate::sequences::Sequence;
use alloc::vec;
use proptest::prelude::*;
use std::string::String;

const FRAMINGS: [Framing; 4] =
    [Framing::One { log: 12 }, Framing::Each { log: 12 }, Framing::Legacy, Framing::Frame];

/// Words of blocks, and the content that they describe; so many blocks of so many
/// sequences.
fn told(framing: Framing, blocks: usize, sequences: usize, seed: u32) -> (Vec<u8>, Vec<u8>) {
    let mut state = seed;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 10) % below
    };
    let (mut words, mut content) = (vec![], vec![]);
    for block in 0..blocks {
        if framing == Framing::Frame && block % 3 == 1 {
            words::put(&mut words, Sequence::default());
            words::put(&mut words, Sequence { literals: 70, ..Sequence::default() });
            content.extend((0..70).map(|_| next(256) as u8));
            continue;
        }
        for _ in 0..sequences {
            let literals = if next(9) == 0 { 10 + next(40) } else { 1 + next(9) };
            let length = if next(9) == 0 { 15 + next(600) } else { 4 + next(14) };
            content.extend((0..literals).map(|_| next(256) as u8));
            let offset = 1 + next((content.len() as u32).min(0xffff));
            words::put(&mut words, Sequence { offset, literals, length, repeat: 0 });
            for _ in 0..length {
                content.push(content[content.len() - offset as usize]);
            }
        }
        words::put(&mut words, Sequence { literals: 5, ..Sequence::default() });
        content.extend((0..5).map(|_| next(256) as u8));
    }
    (words, content)
}

fn outside(framing: Framing, words: usize) -> Told {
    let (head, tail) = match framing {
        Framing::Frame => (&b"\x04\x22\x4d\x18\x64\x40\xa7"[..], &b"\0\0\0\0sums"[..]),
        Framing::Legacy => (&block::LEGACY[..], &[][..]),
        _ => (&[][..], &[][..]),
    };
    Told { words, weave: None, head: head.to_vec(), tail: tail.to_vec() }
}

/// What is made of words and content, in pieces.
fn make(framing: Framing, told: &Told, all: &[u8], piece: usize) -> Result<Vec<u8>, String> {
    let recipe = Lz4Recipe { framing, told: true };
    let mut maker = Maker::new(recipe, &told.to_bytes(), all.len() as u64)?;
    let mut out = vec![];
    for piece in all.chunks(piece) {
        let before = out.len();
        maker.push(piece, &mut out)?;
        assert!(out.len() - before <= 2 * piece.len() + (64 << 10), "much comes out at once");
    }
    maker.finish(&mut out)?;
    Ok(out)
}

/// What a reader gives, in pieces.
fn read(recipe: Lz4Recipe, stream: &[u8], plain: usize, piece: usize) -> Result<Vec<u8>, String> {
    let mut reader = Reader::new(recipe, plain as u64)?;
    let (mut out, mut filled, mut at) = (vec![0; plain + 1], 0, 0);
    loop {
        let input = &stream[at..stream.len().min(at + piece)];
        let end = out.len().min(filled + piece);
        let step = reader.step(input, &mut out[filled..end])?;
        assert!(step.done || step.consumed + step.filled > 0, "nothing goes on");
        (at, filled) = (at + step.consumed, filled + step.filled);
        if step.done || filled == out.len() {
            out.truncate(filled);
            return Ok(out);
        }
    }
}

fn check(framing: Framing, blocks: usize, sequences: usize, piece: usize) {
    let (words, content) = told(framing, blocks, sequences, 7);
    let all = [&words[..], &content].concat();
    let stream = make(framing, &outside(framing, words.len()), &all, piece).unwrap();
    for (told, plain) in [(true, &all), (false, &content)] {
        let recipe = Lz4Recipe { framing, told };
        assert!(read(recipe, &stream, plain.len(), piece).unwrap() == *plain, "{recipe:?}");
    }
}

#[test]
fn blocks_come_back() {
    for framing in FRAMINGS {
        let blocks = if let Framing::One { .. } = framing { 1 } else { 5 };
        let sequences = if let Framing::Each { .. } = framing { 230 } else { 9000 };
        for piece in [1000, 1 << 20] {
            check(framing, blocks, sequences, piece);
        }
        check(framing, 1, 120, 1);
    }
}

/// Words that describe so many bytes of content, and lead to nothing.
fn check_refused(framing: Framing, wanted: &[Sequence], content: usize) {
    let mut all = vec![];
    wanted.iter().for_each(|sequence| words::put(&mut all, *sequence));
    let told = outside(framing, all.len());
    all.resize(all.len() + content, 7);
    assert!(make(framing, &told, &all, 99).is_err(), "{framing:?} {wanted:?}");
}

#[test]
fn words_that_are_no_blocks_are_refused() {
    let end = |literals| Sequence { literals, ..Sequence::default() };
    let copy = |offset, length| Sequence { offset, literals: 90, length, repeat: 0 };
    for framing in FRAMINGS {
        check_refused(framing, &[copy(1, 4)], 94);
        check_refused(framing, &[copy(1, 3), end(5)], 98);
        check_refused(framing, &[copy(0x10000, 4), end(5)], 99);
        check_refused(framing, &[Sequence { repeat: 1, ..copy(0, 9) }, end(5)], 104);
        check_refused(framing, &[end(90)], 89);
        check_refused(framing, &[end(90)], 91);
        check_refused(framing, &[end(0), end(0)], 0);
        check_refused(framing, &[end(1)], 1);
        check_refused(framing, &[end(u32::MAX), end(u32::MAX)], 90);
    }
    // A page of zeros before few bytes; two blocks; one that is too long; a stored one.
    check_refused(Framing::Each { log: 12 }, &[end(900)], 900);
    check_refused(Framing::One { log: 0 }, &[end(90), end(90)], 180);
    check_refused(Framing::Each { log: 9 }, &[end(900)], 900);
    check_refused(Framing::Legacy, &[end(0), end(90)], 90);
}

#[test]
fn a_stream_that_is_none_is_refused() {
    let recipe = Lz4Recipe { framing: Framing::One { log: 0 }, told: false };
    // A match before the content; an offset of zero; lengths that do not end.
    for stream in
        [&[0x10, 7, 9, 0, 0][..], &[0x10, 7, 0, 0, 0], &[0xf0, 255, 255], &[0x1f, 7, 1, 0]]
    {
        assert!(read(recipe, stream, 500, 99).is_err(), "{stream:?}");
    }
    assert!(read(recipe, &[7; 9000], 500, 99).is_err(), "longer than its content can be");
}

fn any_framing() -> impl Strategy<Value = Framing> {
    proptest::sample::select(FRAMINGS.to_vec())
}

proptest! {
    #[test]
    fn any_words_make_something_or_nothing(
        framing in any_framing(),
        words in proptest::collection::vec(any::<u8>(), 0..80),
        small in any::<bool>(),
        plain in 0..3000usize,
    ) {
        let mut words: Vec<u8> = words;
        if small {
            // Likelier ones.
            (3..words.len()).step_by(4).for_each(|at| words[at] = 0);
        }
        let told = outside(framing, words.len());
        words.resize(words.len() + plain, 7);
        let _ = make(framing, &told, &words, 97);
    }

    #[test]
    fn any_stream_is_read_to_an_end(
        framing in any_framing(),
        told in any::<bool>(),
        stream in proptest::collection::vec(any::<u8>(), 0..3000),
        plain in 0..9000usize,
    ) {
        let head = outside(framing, 0).head;
        let _ = read(Lz4Recipe { framing, told }, &[head, stream].concat(), plain, 1000);
    }

    #[test]
    fn what_is_told_is_read_again(words in 0..1usize << 40, head in 0..19usize, tail in 0..8usize) {
        let told = Told { words, weave: None, head: vec![1; head], tail: vec![2; tail] };
        prop_assert_eq!(Told::read(&told.to_bytes()), Ok(told));
    }
}

mod woven;
