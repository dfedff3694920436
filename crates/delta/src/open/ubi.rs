//! Volumes of UBI: each erase block begins with two headers, which say what of which
//! volume follows (drivers/mtd/ubi/ubi-media.h).

use super::pieces::{Pieces, index};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

/// The signatures of the two headers.
const ERASE: &[u8] = b"UBI#\x01";
const VOLUME: &[u8] = b"UBI!\x01";

/// Erase blocks are powers of two from 4 KiB to 4 MiB.
const LOGS: Range<u32> = 12..23;

/// Volumes from here on are UBI's own.
const INTERNAL: usize = 0x7fff_0000;

/// The bytes of the image that starts here.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let block = block(bytes)?;
    let blocks = bytes.chunks(block).take_while(|block| block.starts_with(ERASE));
    Some(blocks.map(<[u8]>::len).sum())
}

/// How large an erase block is.
fn block(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(ERASE).then_some(())?;
    let follows = |size: &usize| bytes.get(*size..).is_some_and(|rest| rest.starts_with(ERASE));
    LOGS.map(|log| 1 << log).find(follows)
}

/// The volumes, each as far as its blocks are there.
pub(super) fn volumes(bytes: &[u8]) -> Vec<Pieces> {
    let Some(size) = block(bytes) else { return Vec::new() };
    let mut blocks = BTreeMap::new();
    for (number, block) in bytes.chunks_exact(size).enumerate() {
        if !block.starts_with(ERASE) {
            break;
        }
        if let Some((volume, logical, range)) = content(block) {
            let at = number * size;
            blocks.entry((volume, logical)).or_insert(at + range.start..at + range.end);
        }
    }
    let mut volumes: Vec<Pieces> = Vec::new();
    let mut expected = None;
    for ((volume, logical), range) in blocks {
        if expected != Some((volume, logical)) {
            volumes.push(Pieces::default());
        }
        if let Some(last) = volumes.last_mut() {
            last.push(range.start, range.len());
        }
        expected = Some((volume, logical + 1));
    }
    volumes
}

/// What an erase block holds: the volume, the number of the block in it, and where.
fn content(block: &[u8]) -> Option<(usize, usize, Range<usize>)> {
    let (header, start) = (index(block, 16)?, index(block, 20)?);
    let header = block.get(header..)?;
    header.starts_with(VOLUME).then_some(())?;
    let (volume, logical) = (index(header, 8)?, index(header, 12)?);
    // Static volumes say how much of the block is theirs.
    let end = match header.get(5)? {
        2 => start.checked_add(index(header, 20)?)?.min(block.len()),
        _ => block.len(),
    };
    (volume < INTERNAL && start > 0 && start <= end).then_some((volume, logical, start..end))
}
