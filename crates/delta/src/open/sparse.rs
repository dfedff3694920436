//! Android's sparse images: chunks of an image, without those that are filled with one
//! word or with nothing (libsparse/sparse_format.h).

use super::bytes::{u16_at, u32_at};
use super::pieces::Pieces;

const RAW: u16 = 0xcac1;
const FILL: u16 = 0xcac2;
const NOTHING: u16 = 0xcac3;

/// The bytes of the image that starts here.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    walk(bytes, |_, _, _| Some(()))
}

/// The image that the chunks make, if it has at most `most` bytes; what is filled counts
/// as zeros.
pub(super) fn image(bytes: &[u8], most: usize) -> Option<Pieces> {
    let mut image = Pieces::default();
    walk(bytes, |kind, at, len| {
        (len <= most.checked_sub(image.len())?).then_some(())?;
        if kind == RAW {
            image.push(at, len);
        } else {
            image.push_zeros(len);
        }
        Some(())
    })?;
    Some(image)
}

/// Tells `each` of every chunk: its kind, where its bytes are, and how many of the image
/// it makes. Returns where the last one ends.
fn walk(bytes: &[u8], mut each: impl FnMut(u16, usize, usize) -> Option<()>) -> Option<usize> {
    let (header, head) = (usize::from(u16_at(bytes, 8)?), usize::from(u16_at(bytes, 10)?));
    let block = u32_at(bytes, 12)? as usize;
    (header >= 28 && head >= 12 && u16_at(bytes, 4)? == 1).then_some(())?;
    let mut at = header;
    for _ in 0..u32_at(bytes, 20)? {
        let chunk = bytes.get(at..)?;
        let (kind, own) = (u16_at(chunk, 0)?, u32_at(chunk, 8)? as usize);
        let len = (u32_at(chunk, 4)? as usize).checked_mul(block)?;
        let stored = own.checked_sub(head)?;
        match kind {
            RAW if stored == len => each(RAW, at + head, len)?,
            FILL | NOTHING => each(kind, at + head, len)?,
            RAW => return None,
            _ => {}
        }
        at = at.checked_add(own)?;
        (at <= bytes.len()).then_some(())?;
    }
    Some(at)
}
