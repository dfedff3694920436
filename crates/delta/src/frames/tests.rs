//! Frames of every shape in, chunks or refusals out; never a panic.

use super::*;
use crate::FrameEncoder;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const CHUNK: usize = 1 << 16;

/// Bytes that compress neither perfectly nor not at all.
fn chunk(len: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9u32;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    (0..len).map(|at| if at % 64 < 40 { (at / 64) as u8 } else { next() as u8 }).collect()
}

fn frame(chunk: &[u8]) -> Vec<u8> {
    FrameEncoder::new(3).unwrap().encode(chunk).unwrap()
}

/// Feeds `input` in pieces of `piece` bytes until a chunk of `len` is there;
/// returns it and the bytes that were left.
fn decode(
    decoder: &mut FrameDecoder,
    mut input: &[u8],
    piece: usize,
    len: usize,
) -> Result<(Vec<u8>, usize), DecodeError> {
    let mut out = vec![0; len];
    while !input.is_empty() {
        let part = &input[..piece.min(input.len())];
        let step = decoder.decode(part, &mut out)?;
        assert!(step.done || step.consumed == part.len());
        input = &input[step.consumed..];
        if step.done {
            return Ok((out, input.len()));
        }
    }
    Err(DecodeError::Damaged("cut"))
}

#[test]
fn pieces_of_any_size_give_the_chunk() {
    let chunk = chunk(CHUNK);
    let frame = frame(&chunk);
    let mut decoder = FrameDecoder::new(CHUNK as u32);
    for piece in [1, 2, 3, 5, 6, 7, 13, 100, 4096, 16 << 10, frame.len() - 1, frame.len()] {
        assert_eq!(decode(&mut decoder, &frame, piece, CHUNK), Ok((chunk.clone(), 0)), "{piece}");
    }
}

#[test]
fn frames_follow_each_other() {
    let lens = [CHUNK, CHUNK, 1, 255, 256, 257, CHUNK - 1];
    let chunks: Vec<_> = lens.into_iter().map(chunk).collect();
    let stream: Vec<u8> = chunks.iter().flat_map(|c| frame(c)).collect();
    for piece in [1, 1000, 1 << 20] {
        let mut decoder = FrameDecoder::new(CHUNK as u32);
        let mut rest = &stream[..];
        for chunk in &chunks {
            let (out, left) = decode(&mut decoder, rest, piece, chunk.len()).unwrap();
            assert_eq!(&out, chunk);
            rest = &rest[rest.len() - left..];
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn every_level_keeps_the_window_small() {
    let chunk = chunk(1 << 20);
    for level in [1, 3, 12, 19, 22, 99] {
        let frame = FrameEncoder::new(level).unwrap().encode(&chunk).unwrap();
        let mut decoder = FrameDecoder::new(1 << 20);
        assert_eq!(decode(&mut decoder, &frame, frame.len(), 1 << 20), Ok((chunk.clone(), 0)));
    }
}

/// What is said about `frame` for a chunk of `len` bytes.
fn check(frame: &[u8], len: usize, expected: DecodeError) {
    for piece in [1, frame.len()] {
        let mut decoder = FrameDecoder::new(CHUNK as u32);
        assert_eq!(decode(&mut decoder, frame, piece, len), Err(expected), "pieces of {piece}");
    }
}

#[test]
fn a_frame_must_hold_exactly_the_chunk() {
    let got = CHUNK as u64;
    check(&frame(&chunk(CHUNK)), CHUNK - 1, DecodeError::Size { got, want: got - 1 });
    check(&frame(&chunk(100)), CHUNK, DecodeError::Size { got: 100, want: got });
    let got = got + 1;
    check(&frame(&chunk(CHUNK + 1)), CHUNK + 1, DecodeError::Size { got, want: CHUNK as u64 });
}

#[test]
fn what_is_no_frame_is_refused() {
    check(b"hello, this is no frame", 5, DecodeError::NotAFrame);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    check(&skippable, 4, DecodeError::NotAFrame);
}

#[test]
fn a_frame_that_never_ends_is_refused() {
    // A content of 4 bytes, then empty raw blocks without an end.
    let mut endless = vec![0x28, 0xb5, 0x2f, 0xfd, 0b0010_0000, 4];
    endless.extend([0, 0, 0].repeat(1000));
    check(&endless, 4, DecodeError::Endless);
}

#[test]
fn a_cut_frame_goes_on_after_a_reset() {
    let chunk = chunk(CHUNK);
    let frame = frame(&chunk);
    let mut decoder = FrameDecoder::new(CHUNK as u32);
    for cut in [1, 5, 6, frame.len() / 2, frame.len() - 1] {
        decode(&mut decoder, &frame[..cut], 700, CHUNK).unwrap_err();
        decoder.reset();
        assert_eq!(decode(&mut decoder, &frame, 700, CHUNK), Ok((chunk.clone(), 0)));
    }
}

#[test]
fn another_buffer_in_the_middle_is_refused() {
    let frame = frame(&chunk(CHUNK));
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut decoder = FrameDecoder::new(CHUNK as u32);
    let step = decoder.decode(&frame[..1000], &mut one).unwrap();
    assert!(!step.done);
    assert!(decoder.decode(&frame[1000..], &mut other).is_err());
}

proptest! {
    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 1..300), len in 0usize..300) {
        let mut decoder = FrameDecoder::new(CHUNK as u32);
        let _ = decode(&mut decoder, &noise, 7, len);
        let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &noise].concat();
        decoder.reset();
        let _ = decode(&mut decoder, &framed, 7, len);
        decoder.reset();
        let single = [&[0x28, 0xb5, 0x2f, 0xfd, 0b0010_0000, len as u8][..], &noise].concat();
        let _ = decode(&mut decoder, &single, 300, len);
    }

    #[test]
    fn mutated_frames_never_panic(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..8),
        piece in 1usize..2000,
    ) {
        let chunk = chunk(4096);
        let mut frame = frame(&chunk);
        for (at, mask) in flips {
            let at = at.index(frame.len());
            frame[at] ^= mask;
        }
        let mut decoder = FrameDecoder::new(4096);
        let _ = decode(&mut decoder, &frame, piece, chunk.len());
    }
}
