//! The header of a frame (RFC 8878, 3.1.1.1), read before the codec sees a byte.
//!
//! The codec would skip what is no frame and allocate whatever window a frame
//! asks for; the format allows neither.

use crate::WINDOW_MAX;
use crate::frames::DecodeError;

/// The first four bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest header that the format allows, in bytes: magic number,
/// descriptor, window and content size; there is no dictionary.
pub(crate) const LONGEST: usize = 4 + 1 + 1 + 8;

/// How many bytes the header has that starts with `start`, as far as they tell.
pub(crate) fn length(start: &[u8]) -> usize {
    match start.get(4) {
        None => 5,
        Some(descriptor) => 5 + usize::from(!is_single(*descriptor)) + size_bytes(*descriptor),
    }
}

/// Reads the content size out of a complete header.
pub(crate) fn content_size(header: &[u8]) -> Result<u64, DecodeError> {
    let (magic, rest) = header.split_first_chunk().ok_or(DecodeError::NotAFrame)?;
    let (descriptor, rest) = rest.split_first().ok_or(DecodeError::NotAFrame)?;
    if *magic != MAGIC || descriptor & 0b1000 != 0 {
        return Err(DecodeError::NotAFrame);
    }
    if descriptor & 0b11 != 0 {
        return Err(DecodeError::Dictionary);
    }
    let (window, rest) = rest
        .split_at_checked(usize::from(!is_single(*descriptor)))
        .ok_or(DecodeError::NotAFrame)?;
    if size_bytes(*descriptor) == 0 {
        return Err(DecodeError::NoContentSize);
    }
    if window.first().is_some_and(|byte| window_size(*byte) > WINDOW_MAX) {
        return Err(DecodeError::Window);
    }
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    // Two bytes start counting where one byte ends.
    let from = if size_bytes(*descriptor) == 2 { 256 } else { 0 };
    Ok(u64::from_le_bytes(bytes).saturating_add(from))
}

/// The content is one segment: it is its own window, and none is stated.
fn is_single(descriptor: u8) -> bool {
    descriptor & 0b10_0000 != 0
}

/// Bytes of the content size's field.
fn size_bytes(descriptor: u8) -> usize {
    match descriptor >> 6 {
        0 => usize::from(is_single(descriptor)),
        flag => 1 << flag,
    }
}

/// Bytes of the window that the window byte asks for.
fn window_size(byte: u8) -> u64 {
    let base = 1u64 << (10 + (byte >> 3));
    base + (base / 8) * u64::from(byte & 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[u8], expected: Result<u64, DecodeError>) {
        let whole = [&MAGIC, header].concat();
        assert_eq!(length(&whole), whole.len());
        assert_eq!(content_size(&whole), expected);
    }

    #[test]
    fn headers_are_those_of_rfc_8878() {
        check(&[0b0010_0000, 7], Ok(7));
        check(&[0b0110_0000, 0, 1], Ok(512));
        check(&[0b1010_0000, 0, 0, 16, 0], Ok(1 << 20));
        check(&[0b1110_0000, 0, 0, 0, 0, 1, 0, 0, 0], Ok(1 << 32));
        check(&[0b1000_0000, 11 << 3, 0, 0, 16, 0], Ok(1 << 20));
        check(&[0b1000_0000, 11 << 3 | 1, 0, 0, 16, 0], Err(DecodeError::Window));
        check(&[0b1000_0000, 0xff, 0, 0, 16, 0], Err(DecodeError::Window));
        check(&[0b0000_0000, 0], Err(DecodeError::NoContentSize));
        check(&[0b0010_1000, 7], Err(DecodeError::NotAFrame));
        check(&[0b0010_0001, 7], Err(DecodeError::Dictionary));
    }

    #[test]
    fn a_skippable_frame_is_no_frame() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert_eq!(content_size(&skippable), Err(DecodeError::NotAFrame));
    }
}
