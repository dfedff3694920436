//! The whole image without the old one: what a patch must not be longer than.

use crate::apply::{PACKED_HEAP, least_heap};
use crate::codec::FrameEncoder;
use crate::coder::{Models, Pace};
use crate::header::MAGIC;
use crate::patch::{FRAME, MODELS, Method, PACKED, PACKED_MAX, PatchHeader, WINDOW_LOGS};
use alloc::vec::Vec;

/// The level of a full payload.
const LEVEL: i32 = 12;

/// A level that packs many times as fast, into less than so many times the bytes.
const QUICK: i32 = 1;
const QUICK_TIMES: usize = 2;

/// The patch that makes `new` of nothing, if it is shorter than `longest` bytes and takes
/// at most `heap` to apply. It is given up as soon as it is as long: what is tried in vain
/// is so much of the image as packs into the patch that there is.
pub(super) fn packed(
    header: &PatchHeader,
    new: &[u8],
    longest: usize,
    heap: u64,
) -> Option<Vec<u8>> {
    let window_log = *WINDOW_LOGS.start();
    let models = Models { log: *MODELS.start(), pace: Pace::Quick };
    let needs = least_heap(window_log, models, &[]) + PACKED_HEAP;
    if needs > heap {
        return None;
    }
    if is_hopeless(new, longest) {
        return None;
    }
    let header = PatchHeader { heap: needs, window_log, models, ..header.clone() };
    let mut bytes = header.to_bytes();
    let mut encoder = FrameEncoder::new(LEVEL).ok()?;
    for chunk in new.chunks(PACKED) {
        let whole = span(&mut encoder, chunk)?;
        let half = chunk.len().div_ceil(2);
        if whole.len() <= FRAME + PACKED_MAX && whole.len() <= chunk.len() {
            bytes.extend(whole);
        } else {
            for half in chunk.chunks(half) {
                let packed = span(&mut encoder, half)?;
                if packed.len() < FRAME + half.len() {
                    bytes.extend(packed);
                } else {
                    Method::Stored.write(&mut bytes, &[half]);
                }
            }
        }
        if bytes.len() >= longest {
            return None;
        }
    }
    (bytes.len() < longest).then_some(bytes)
}

/// Even a quick look says that packing is far from it.
fn is_hopeless(new: &[u8], longest: usize) -> bool {
    let Ok(mut encoder) = FrameEncoder::new(QUICK) else { return false };
    let most = longest.saturating_mul(QUICK_TIMES);
    let mut bytes = 0usize;
    new.chunks(PACKED).any(|chunk| {
        bytes += encoder.encode(chunk).map_or(0, |frame| frame.len());
        bytes > most
    })
}

/// One frame without its first four bytes, which are always the same.
fn span(encoder: &mut FrameEncoder, content: &[u8]) -> Option<Vec<u8>> {
    let frame = encoder.encode(content).ok()?;
    let mut span = Vec::with_capacity(FRAME + frame.len());
    Method::Packed.write(&mut span, &[frame.get(MAGIC.len()..)?]);
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::tests::apply;
    use crate::diff::image;
    use alloc::vec;

    /// What a full payload has: a frame for each chunk.
    fn full(new: &[u8]) -> usize {
        let mut encoder = FrameEncoder::new(LEVEL).unwrap();
        new.chunks(PACKED).map(|chunk| encoder.encode(chunk).unwrap().len()).sum()
    }

    fn check(new: &[u8]) {
        let models = Models { log: 0, pace: Pace::Quick };
        let header = PatchHeader {
            source: image(b"old"),
            target: image(new),
            heap: 0,
            window_log: 0,
            models,
            cache: 0,
            encoders: 0,
            work: [0; 3],
            decoded: 0,
            libraries: [0; 3],
            recipes: vec![],
            moves: vec![],
        };
        let patch = packed(&header, new, usize::MAX, 4 << 20).unwrap();
        assert!(patch.len() <= full(new) + 256, "{} bytes, full {}", patch.len(), full(new));
        let (out, _) = apply(&patch, b"old").unwrap();
        assert!(out == new, "other bytes came out");
        assert_eq!(packed(&header, new, patch.len(), 4 << 20), None);
        assert_eq!(packed(&header, new, patch.len() + 1, 4 << 20), Some(patch));
        assert_eq!(packed(&header, new, usize::MAX, 1 << 20), None);
    }

    /// Noise of which one byte in `each` is a zero.
    fn noise(len: usize, each: usize) -> Vec<u8> {
        let mut seed = 7u64;
        let mut next = |at: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if at.is_multiple_of(each) { 0 } else { (seed >> 56) as u8 }
        };
        (0..len).map(&mut next).collect()
    }

    #[test]
    fn no_image_takes_more_than_in_full() {
        check(&[]);
        check(b"a few bytes");
        check(&vec![0; 3 << 20]);
        for each in [2, 8, 16, 64, 4096, usize::MAX] {
            check(&noise((5 << 20) + 17, each));
        }
    }
}
