//! The last bytes of a content.

use crate::codec::Fault;
use alloc::vec::Vec;

/// Up to so many of them.
pub(crate) struct Window {
    bytes: Vec<u8>,
    most: usize,
    /// Where the next one goes.
    at: usize,
}

impl Window {
    /// Room for `most` bytes is taken at once.
    pub(crate) fn new(most: u64) -> Result<Self, Fault> {
        let most = usize::try_from(most).map_err(|_| NO_ROOM)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(most).map_err(|_| NO_ROOM)?;
        Ok(Self { bytes, most, at: 0 })
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from a place on, where none were forgotten.
    pub(crate) fn held_mut(&mut self, from: usize) -> &mut [u8] {
        self.bytes.get_mut(from..).unwrap_or_default()
    }

    /// How many more fit before the first is forgotten.
    pub(crate) fn left(&self) -> usize {
        self.most - self.bytes.len()
    }

    #[inline]
    pub(crate) fn put(&mut self, byte: u8) {
        if self.bytes.len() < self.most {
            self.bytes.push(byte);
            self.at = self.bytes.len() % self.most;
        } else if let Some(slot) = self.bytes.get_mut(self.at) {
            *slot = byte;
            self.at = (self.at + 1) % self.most;
        }
    }

    pub(crate) fn put_all(&mut self, bytes: &[u8]) {
        if bytes.len() < self.left() {
            self.bytes.extend_from_slice(bytes);
            self.at = self.bytes.len();
        } else {
            bytes.iter().for_each(|byte| self.put(*byte));
        }
    }

    /// The byte so many before the next one, the last one at 0.
    #[inline]
    pub(crate) fn back(&self, distance: u32) -> Option<u8> {
        let distance = (distance as usize).saturating_add(1);
        let at = match self.at.checked_sub(distance) {
            Some(at) => at,
            None if distance > self.bytes.len() || self.bytes.len() < self.most => return None,
            None => (self.at + self.most).checked_sub(distance)?,
        };
        self.bytes.get(at).copied()
    }

    /// Repeats bytes, as many as `length`, which are appended to `out` as well.
    pub(crate) fn repeat(&mut self, distance: u32, length: u32, out: Option<&mut Vec<u8>>) -> bool {
        if self.back(distance).is_none() {
            return false;
        }
        let from = self.at.checked_sub((distance as usize).saturating_add(1));
        let len = length as usize;
        match from {
            Some(from) if distance >= length && self.left() > len => {
                self.bytes.extend_from_within(from..from + len);
                self.at = self.bytes.len();
                if let Some(out) = out {
                    out.extend_from_slice(self.bytes.get(self.at - len..).unwrap_or_default());
                }
            }
            _ => {
                let mut sink = out;
                for _ in 0..length {
                    let byte = self.back(distance).unwrap_or(0);
                    self.put(byte);
                    if let Some(out) = sink.as_deref_mut() {
                        out.push(byte);
                    }
                }
            }
        }
        true
    }
}

const NO_ROOM: Fault = "a stream needs more memory than there is";
