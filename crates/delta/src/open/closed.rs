//! What is recognised and not opened: counted, so that the census says what is left.

use super::bytes::u32_at;

/// The bytes of an erofs that starts here and compresses.
pub(super) fn erofs(bytes: &[u8]) -> Option<usize> {
    const COMPRESSED: u32 = 3;
    let superblock = bytes.get(1024..)?;
    let log = u32::from(*superblock.get(12)?);
    let sound = (9..=16).contains(&log) && u32_at(superblock, 80)? & COMPRESSED != 0;
    sound.then_some(())?;
    (u32_at(superblock, 36)? as usize).checked_mul(1 << log)
}

/// The bytes of an LZ4 frame (its format 1.6.2) with at least one block.
pub(super) fn lz4(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(4)?;
    // Version, reserved bit; a size, a dictionary.
    (flags >> 6 == 1 && flags & 2 == 0).then_some(())?;
    let [size, dictionary, each, last] =
        [flags & 8, flags & 1, flags & 16, flags & 4].map(|flag| usize::from(flag != 0));
    let head = 7 + 8 * size + 4 * dictionary;
    let end = blocks(bytes, head, 4 * each, 0)?;
    Some(end + 4 * last)
}

/// The bytes of LZ4's older form, that of kernels: up to a block that is none.
pub(super) fn lz4_legacy(bytes: &[u8]) -> Option<usize> {
    blocks(bytes, 4, 0, bytes.len())
}

/// Where blocks end: with a size of zero, or with one that is none and is left out.
fn blocks(bytes: &[u8], mut at: usize, sum: usize, most: usize) -> Option<usize> {
    let start = at;
    loop {
        let size = u32_at(bytes, at).filter(|size| *size > 0);
        let next = size.and_then(|size| at.checked_add(4 + (size & 0x7fff_ffff) as usize + sum));
        match next.filter(|next| *next <= bytes.len()) {
            Some(next) => at = next,
            None if most > 0 => return (at > start).then_some(at),
            None => return (u32_at(bytes, at) == Some(0) && at > start).then_some(at + 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn frames_of_lz4_end_where_they_say() {
        let block = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
        let head: &[u8] = &[4, 0x22, 0x4d, 0x18, 0x64, 0x70, 0xb9];
        let frame: Vec<u8> = [head, &block(b"some"), &block(b"bytes"), &[0; 4], &[9; 4]].concat();
        assert_eq!(lz4(&[&frame[..], b"behind"].concat()), Some(frame.len()));
        assert_eq!(lz4(&frame[..15]), None);
        let legacy = [&[2, 0x21, 0x4c, 0x18][..], &block(b"kernel")].concat();
        assert_eq!(lz4_legacy(&[&legacy[..], &[0; 9]].concat()), Some(legacy.len()));
        assert_eq!(lz4_legacy(&legacy[..9]), None);
    }
}
