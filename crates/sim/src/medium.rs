//! A medium that acknowledges writes at once and keeps them only after a flush.

use crate::chance::Chance;

/// Bytes of the smallest piece that a power cut leaves whole.
const SECTOR: usize = 512;

/// Bytes that are durable, and writes that are only acknowledged.
#[derive(Debug, Clone)]
pub struct Medium {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
    /// Bytes up to the end of what was written since the medium was prepared.
    extent: usize,
    /// Sectors written since the last read-back of theirs.
    unread: Vec<bool>,
}

impl Medium {
    /// A medium of `len` bytes that holds `content` and then zeros.
    pub fn new(len: usize, content: &[u8]) -> Self {
        let mut durable = content.to_vec();
        durable.resize(len, 0);
        Self { durable, pending: Vec::new(), extent: 0, unread: vec![false; len.div_ceil(SECTOR)] }
    }

    /// Bytes it can hold.
    pub fn len(&self) -> usize {
        self.durable.len()
    }

    /// Whether it can hold nothing.
    pub fn is_empty(&self) -> bool {
        self.durable.is_empty()
    }

    /// What a power cut would leave for certain.
    pub fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// Whether nothing waits to become durable.
    pub fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the first `len` bytes were read back since they were written.
    pub fn is_read_back(&self, len: usize) -> bool {
        self.unread.iter().take(len.div_ceil(SECTOR)).all(|unread| !unread)
    }

    /// Makes the medium ready for a new image.
    pub fn prepare(&mut self) {
        self.extent = 0;
    }

    /// Bytes up to the end of what was written since the medium was prepared.
    pub fn extent(&self) -> usize {
        self.extent
    }

    /// What was written since the medium was prepared, as far as it is durable.
    pub fn written(&self) -> &[u8] {
        self.durable.get(..self.extent).unwrap_or_default()
    }

    /// Acknowledges a write.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.extent = self.extent.max(at + bytes.len());
        for sector in at / SECTOR..(at + bytes.len()).div_ceil(SECTOR) {
            if let Some(unread) = self.unread.get_mut(sector) {
                *unread = true;
            }
        }
        self.pending.push((at, bytes.to_vec()));
    }

    /// Makes acknowledged writes durable.
    pub fn flush(&mut self) {
        for (at, bytes) in std::mem::take(&mut self.pending) {
            self.store(at, &bytes);
        }
    }

    /// Says that it flushed, and forgets one sector of what it was given.
    pub fn flush_forgetting(&mut self, chance: &mut Chance) {
        if let Some((_, bytes)) = self.pending.last_mut() {
            let keep = usize::try_from(chance.below(bytes.len() as u64)).unwrap_or(0);
            bytes.truncate(keep / SECTOR * SECTOR);
        }
        self.flush();
    }

    /// Reads what was written last, durable or not, as others of this device see it.
    pub fn peek(&self, at: usize, into: &mut [u8]) -> Option<()> {
        let end = at.checked_add(into.len())?;
        into.copy_from_slice(self.durable.get(at..end)?);
        for (from, bytes) in &self.pending {
            let first = at.max(*from);
            let overlap = first..end.min(from + bytes.len());
            if overlap.is_empty() {
                continue;
            }
            let to = into.get_mut(overlap.start - at..overlap.end - at)?;
            to.copy_from_slice(bytes.get(overlap.start - from..overlap.end - from)?);
        }
        Some(())
    }

    /// Reads what is durable.
    pub fn read_back(&mut self, at: usize, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.durable.get(at..at + into.len())?);
        for sector in at / SECTOR..(at + into.len()).div_ceil(SECTOR) {
            if let Some(unread) = self.unread.get_mut(sector) {
                *unread = false;
            }
        }
        Some(())
    }

    /// A power cut: of each write that is only acknowledged, each sector is kept, lost
    /// or torn.
    pub fn lose_power(&mut self, chance: &mut Chance) {
        for (at, bytes) in std::mem::take(&mut self.pending) {
            for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                let at = at + n * SECTOR;
                match chance.below(3) {
                    0 => self.store(at, sector),
                    1 => self.store(at, sector.get(..sector.len() / 2).unwrap_or_default()),
                    _ => {}
                }
            }
        }
    }

    fn store(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.durable.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_flushed_survives_for_certain() {
        let mut chance = Chance::new(7);
        let mut medium = Medium::new(64 << 10, b"old");
        medium.write(0, &[1; 1024]);
        medium.flush();
        medium.write(1024, &vec![2; 32 << 10]);
        medium.lose_power(&mut chance);
        assert!(medium.durable()[..1024].iter().all(|byte| *byte == 1));
        let kept = medium.durable()[1024..].iter().filter(|byte| **byte == 2).count();
        assert!((1..32 << 10).contains(&kept), "{kept} bytes were kept");
        assert!(medium.is_flushed());
    }

    #[test]
    fn others_see_what_was_written_last() {
        let mut medium = Medium::new(1024, b"old");
        medium.write(2, b"new");
        medium.write(4, b"er");
        let mut seen = [0; 8];
        medium.peek(0, &mut seen).unwrap();
        assert_eq!(&seen, b"olneer\0\0");
        medium.peek(3, &mut seen[..2]).unwrap();
        assert_eq!(&seen[..2], b"ee");
        assert_eq!(medium.peek(1020, &mut seen), None);
    }

    #[test]
    fn read_back_is_remembered_until_the_next_write() {
        let mut medium = Medium::new(1024, b"");
        medium.write(0, &[1; 512]);
        medium.flush();
        assert!(!medium.is_read_back(512));
        let mut into = [0; 512];
        medium.read_back(0, &mut into).unwrap();
        assert!(medium.is_read_back(512));
        assert!(medium.is_read_back(1024));
    }
}
