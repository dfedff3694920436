//! Streams of any encoder, heard and made again; and words that lead to none.

use super::told::{Told, ToldMaker, ToldReader};
use super::*;
use crate::recipe::words;
use crate::sequences::Sequence;
use crate::tokens::Hearing;
use alloc::vec;
use proptest::prelude::*;
use std::string::String;

/// Words of text, and some that nobody foresees.
fn content(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 400);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(std::format!("{:x} ", (state >> 20) % 300).as_bytes());
        if state >> 10 & 0xff == 0 {
            out.extend((0..300u32).map(|n| (n.wrapping_mul(state) >> 15) as u8));
        }
    }
    out.truncate(len);
    out
}

/// Bits of a stream, least first.
#[derive(Default)]
struct Put {
    out: Vec<u8>,
    count: usize,
}

impl Put {
    fn bits(&mut self, value: u32, bits: u32) {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.out.push(0);
            }
            let last = self.out.len() - 1;
            self.out[last] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }
}

fn zlib(plain: &[u8], level: u8, mem_level: u8, strategy: u8) -> Vec<u8> {
    let options = DeflateOptions { level, window_bits: 15, mem_level, strategy };
    let (mut encoder, mut out) = (DeflateEncoder::new(Wrapper::Raw, options).unwrap(), vec![]);
    encoder.push(plain, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

/// The words of a stream.
fn hear(stream: &[u8]) -> Option<(Vec<u8>, Told)> {
    let (mut hearing, mut words) = (Hearing::new(), vec![]);
    hearing.hear(stream, true, &mut words, usize::MAX)?;
    hearing.ended.then_some(())?;
    if hearing.gathered == 0 {
        let (mut early, mut same) = (Hearing::of_told_codes(), vec![]);
        early.hear(stream, true, &mut same, usize::MAX)?;
        assert!(same == words, "heard without waiting");
    }
    let told = Told { words: words.len(), gathered: hearing.gathered, weave: None };
    Some((words, told))
}

/// What is made of words and content, in pieces.
fn make(wrapper: Wrapper, told: &Told, all: &[u8], piece: usize) -> Result<Vec<u8>, String> {
    let mut maker = ToldMaker::new(wrapper, &told.to_bytes(), all.len() as u64)?;
    let mut out = vec![];
    for piece in all.chunks(piece) {
        maker.push(piece, &mut out)?;
    }
    maker.finish(&mut out)?;
    Ok(out)
}

/// What a reader gives, in pieces.
fn read(wrapper: Wrapper, stream: &[u8], plain: usize, piece: usize) -> Result<Vec<u8>, String> {
    let mut reader = ToldReader::new(wrapper, plain as u64)?;
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

/// A stream comes back, bare and in a wrapper, and is read for its words and content.
fn check(stream: &[u8], plain: &[u8]) -> Told {
    let (words, told) = hear(stream).unwrap();
    let all = [&words[..], plain].concat();
    for piece in [777, 1 << 20] {
        assert!(make(Wrapper::Raw, &told, &all, piece).as_deref() == Ok(stream), "{piece}");
        assert!(read(Wrapper::Raw, stream, all.len(), piece).as_ref() == Ok(&all), "{piece}");
    }
    let header = [0x78, 0x9c];
    let around = [&header, stream, &adler32(plain, 1).to_be_bytes()].concat();
    let wrapper = Wrapper::Zlib { header };
    assert!(make(wrapper, &told, &all, 5000).as_ref() == Ok(&around));
    assert!(read(wrapper, &around, all.len(), 5000).as_ref() == Ok(&all));
    assert_eq!(Told::read(&told.to_bytes()).as_ref(), Ok(&told));
    told
}

#[test]
fn what_zlib_chose_comes_back() {
    let plain = content(400_000, 3);
    for (level, mem_level, strategy) in
        [(9, 8, 0), (1, 8, 0), (6, 9, 0), (6, 1, 0), (9, 8, 4), (9, 8, 2), (6, 8, 3)]
    {
        let told = check(&zlib(&plain, level, mem_level, strategy), &plain);
        // Codes of blocks are built, not told.
        assert!(told.gathered > 0 || strategy == 4, "{told:?}");
    }
}

/// Blocks that are stored, empty, of fixed codes, and of codes that nobody builds so.
#[test]
fn blocks_of_every_kind_come_back() {
    let mut put = Put::default();
    let stored = |put: &mut Put, padding: u32, plain: &[u8]| {
        put.bits(0, 3);
        put.bits(padding, (8 - put.count as u32 % 8) % 8);
        put.bits(plain.len() as u32, 16);
        put.bits(!(plain.len() as u32) & 0xffff, 16);
        plain.iter().for_each(|byte| put.bits((*byte).into(), 8));
    };
    stored(&mut put, 0b1011, &[7; 300]);
    stored(&mut put, 0, &[]);
    // Fixed codes, of which there is only the end.
    put.bits(0b010, 3);
    put.bits(0, 7);
    // Two codes of one bit each, for 'a' and the end: one of the 19 is 18, one is 1.
    put.bits(0b100, 3);
    put.bits(0, 5);
    put.bits(0, 5);
    put.bits(14, 4);
    let lengths = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    lengths.iter().for_each(|length| put.bits(*length, 3));
    // 97 zeros, one, 138 + 20 zeros, one; a single distance of no bits.
    for (symbol, extra) in [(1, 86), (0, 0), (1, 127), (1, 9), (0, 0), (0, 0)] {
        put.bits(symbol, 1);
        put.bits(extra, if symbol == 1 { 7 } else { 0 });
    }
    put.bits(0, 1);
    put.bits(0, 1);
    put.bits(1, 1);
    stored(&mut put, 0, &vec![9; 65_535]);
    put.bits(0b011, 3);
    put.bits(0, 7);
    let plain = [vec![7; 300], vec![b'a'; 2], vec![9; 65_535]].concat();
    check(&put.out, &plain);
}

/// A block of more words than are held.
#[test]
fn long_blocks_come_back() {
    let mut put = Put::default();
    put.bits(0b011, 3);
    // 'a' (8 bits, first one first), and 60,000 matches of 3 at the distance 1.
    put.bits((0x30u32 + 97).reverse_bits() >> 24, 8);
    for _ in 0..60_000 {
        put.bits(1u32.reverse_bits() >> 25, 7);
        put.bits(0, 5);
    }
    put.bits(0, 7);
    check(&put.out, &vec![b'a'; 180_001]);
}

/// Words that describe so many bytes of content, and lead to nothing.
fn check_refused(wanted: &[Sequence], content: usize) {
    let mut all = vec![];
    wanted.iter().for_each(|sequence| words::put(&mut all, *sequence));
    let told = Told { words: all.len(), gathered: 100, weave: None };
    all.resize(all.len() + content, 7);
    assert!(make(Wrapper::Raw, &told, &all, 99).is_err(), "{wanted:?}");
}

#[test]
fn words_that_are_no_blocks_are_refused() {
    let end = |literals| Sequence { literals, ..Sequence::default() };
    let copy = |offset, length| Sequence { offset, literals: 9, length, repeat: 0 };
    let block = |kind: u32| Sequence { offset: 0, literals: 0, length: 3 + kind, repeat: 1 };
    let data = |value: u32| Sequence { offset: value + 1, literals: 0, length: 3, repeat: 0 };
    let fixed = block(3);
    let good = [fixed, copy(1, 3), end(5)];
    let mut all = vec![];
    good.iter().for_each(|sequence| words::put(&mut all, *sequence));
    let told = Told { words: all.len(), gathered: 0, weave: None };
    all.resize(all.len() + 17, 7);
    assert!(make(Wrapper::Raw, &told, &all, 99).is_ok());
    // Too little and too much content, no block, none that is the last, one behind that.
    check_refused(&good, 16);
    check_refused(&good, 18);
    check_refused(&[copy(1, 3), end(5)], 17);
    check_refused(&[block(2), copy(1, 3), end(5)], 17);
    check_refused(&[fixed, copy(1, 3), fixed, end(5)], 17);
    // Matches that there are none of.
    check_refused(&[fixed, copy(1, 259), end(5)], 273);
    check_refused(&[fixed, copy(0x8001, 3), end(5)], 17);
    check_refused(&[fixed, Sequence { repeat: 2, ..copy(0, 3) }, end(5)], 17);
    // Kinds that there are none of; heads that are missing, too long, and of nothing.
    check_refused(&[block(8), end(5)], 5);
    check_refused(&[block(5), end(5)], 5);
    check_refused(&[block(5), data(2), data(0), end(5)], 5);
    check_refused(&[block(5), data(9000), end(5)], 5);
    check_refused(&[block(1), data(2), data(0x0600), end(5)], 5);
    check_refused(&[block(1), data(2), data(0x0500), copy(1, 3), end(0)], 12);
    // More tokens than are held.
    check_refused(&[block(7), end(101)], 101);
    check_refused(&[Sequence { literals: u32::MAX, ..fixed }, end(u32::MAX)], 90);
}

#[test]
fn what_is_no_stream_is_refused() {
    for stream in [&[][..], &[6], &[7; 99], &[1, 5, 0, 0, 0], &[0; 7], &[4, 0xff, 0xff, 0xff]] {
        assert!(hear(stream).is_none(), "{stream:?}");
        assert!(read(Wrapper::Raw, stream, 500, 99).is_err(), "{stream:?}");
    }
    assert!(read(Wrapper::Raw, &[7; 9000], 500, 99).is_err(), "longer than its content can be");
}

proptest! {
    /// Any words and any bytes lead to an end, and to little more than what came in.
    #[test]
    fn any_words_are_harmless(
        kinds in proptest::collection::vec((0..4u32, 0..20u32, 0..300u32, 0..0x9000u32), 0..60),
        gathered in 0..70_000u64,
        content in 0..2000usize,
    ) {
        let mut all = vec![];
        for (kind, literals, length, offset) in kinds {
            let repeat = if kind == 3 { 1 } else { 0 };
            let length = if kind == 3 { 3 + length % 9 } else { length };
            let offset = if repeat == 0 { offset } else { 0 };
            words::put(&mut all, Sequence { literals, length, offset, repeat });
        }
        let told = Told { words: all.len(), gathered, weave: None };
        all.resize(all.len() + content, 1);
        if let Ok(made) = make(Wrapper::Raw, &told, &all, 500) {
            prop_assert!(made.len() <= 4 * all.len() + 100, "{} of {}", made.len(), all.len());
        }
    }

    #[test]
    fn any_stream_is_harmless(stream in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Some((words, told)) = hear(&stream) {
            prop_assert_eq!(words.len(), told.words);
        }
        let _ = read(Wrapper::Raw, &stream, 4000, 100);
    }
}
