//! Frames from anybody fill their chunks, or are refused.

use crate::images;
use delta::{FrameDecoder, FrameEncoder};

/// Bytes of a chunk.
const CHUNK: u32 = 4 << 10;
/// Bytes that come at once.
const PIECE: usize = 500;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let image = images::all(0);
    let Ok(mut encoder) = FrameEncoder::new(3) else { return Vec::new() };
    let frames =
        image.chunks(CHUNK as usize).take(4).filter_map(|chunk| encoder.encode(chunk).ok());
    let frames: Vec<Vec<u8>> = frames.collect();
    let all = frames.concat();
    frames.into_iter().chain([all]).collect()
}

pub(crate) fn run(data: &[u8]) {
    let mut decoder = FrameDecoder::new(CHUNK);
    let mut chunk = vec![0; CHUNK as usize];
    let mut rest = data;
    while !rest.is_empty() {
        let piece = rest.get(..PIECE.min(rest.len())).unwrap_or_default();
        let Ok(step) = decoder.decode(piece, &mut chunk) else { return };
        assert!(step.done || step.consumed == piece.len(), "bytes were left in a frame");
        rest = rest.get(step.consumed..).unwrap_or_default();
    }
}
