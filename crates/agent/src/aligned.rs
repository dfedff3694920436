//! Buffers that a medium can be written from and read into without a copy.

/// What any disk or flash driver asks of an address, in bytes.
pub const ALIGNMENT: usize = 4096;

/// Bytes that start at a multiple of [`ALIGNMENT`], zero at first. Direct writes
/// take them as they are; any other buffer is copied once more.
#[derive(Default)]
pub struct Aligned {
    raw: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes.
    pub fn new(len: usize) -> Self {
        let raw = vec![0; len.saturating_add(ALIGNMENT)];
        let start = raw.as_ptr().align_offset(ALIGNMENT);
        Self { raw, start, len }
    }

    /// Has `len` bytes from now on; what they are is not said.
    pub fn resize(&mut self, len: usize) {
        if self.start.saturating_add(len) > self.raw.len() {
            *self = Self::new(len);
        }
        self.len = len;
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.raw.get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.raw.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

/// Whether `bytes` start at a multiple of [`ALIGNMENT`].
pub fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_any_length_are_aligned() {
        for len in [0, 1, 4095, 4096, 4097, 1 << 20] {
            let mut buffer = Aligned::new(len);
            assert_eq!(buffer.bytes_mut().len(), len);
            assert!(len == 0 || is_aligned(buffer.bytes()), "{len}");
            for other in [len / 2, len, 2 * len] {
                buffer.resize(other);
                assert_eq!(buffer.bytes().len(), other);
                assert!(other == 0 || is_aligned(buffer.bytes()), "{len} to {other}");
            }
        }
    }
}
