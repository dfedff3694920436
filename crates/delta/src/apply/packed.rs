//! Spans that hold a piece of the image as one frame of zstd: what a patch is made of
//! that would be longer than the image sent in full.

use super::ApplyError;
use crate::frames::FrameDecoder;
use crate::header;
use crate::patch::{FRAME, PACKED, PACKED_MAX, SPAN_MAX};
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of heap that it takes: what comes out, a longer span, and libzstd's decoder,
/// which takes less than half a MiB.
pub(crate) const HEAP: u64 = (PACKED + PACKED_MAX - SPAN_MAX + (512 << 10)) as u64;

/// What the span `bytes`, its frame included, holds.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let body = bytes.get(FRAME..).unwrap_or_default();
    let start = body.len().min(header::LONGEST - header::MAGIC.len());
    let head = [&header::MAGIC, body.get(..start).unwrap_or_default()].concat();
    let head = head.get(..header::length(&head)).ok_or(DAMAGED)?;
    let size = header::content_size(head).map_err(|_| DAMAGED)?;
    let size = usize::try_from(size).ok().filter(|size| (1..=PACKED).contains(size));
    let mut out = vec![0; size.ok_or(DAMAGED)?];
    let mut decoder = FrameDecoder::new(PACKED as u32);
    let begun = decoder.decode(&header::MAGIC, &mut out).map_err(|_| DAMAGED)?;
    let step = decoder.decode(body, &mut out).map_err(|_| DAMAGED)?;
    if begun.done || !step.done || step.consumed != body.len() {
        return Err(DAMAGED);
    }
    Ok(out)
}

const DAMAGED: ApplyError = ApplyError::Damaged("a packed span is no frame");
