//! ChromeOS's bits in a GPT: priority, tries and success are attributes of a
//! kernel's partition.
//!
//! Of an entry's 64 attribute bits, 48 to 51 are the priority (0 never), 52 to 55 the
//! tries, 56 says that it started well (ChromiumOS, disk format). Both copies of the
//! table are changed, the one at the end of the disk first: at any moment one is
//! whole, which is the one that a firmware takes.

use super::android::ranked;
use super::{Convention, Memory, Place, Standing};
use std::io;
use std::path::PathBuf;
use types::{Slot, Tries};

/// The largest partition table, in bytes.
const TABLE_MAX: usize = 1 << 20;
/// Bytes of the header that its CRC covers.
const HEADER: usize = 92;
/// The bits that are ours.
const MASK: u64 = 0x1ff << 48;

/// A firmware that reads ChromeOS's bits.
#[derive(Debug, Clone)]
pub struct ChromeOs {
    /// The disk.
    pub disk: PathBuf,
    /// Bytes of a sector.
    pub sector: usize,
    /// Number of slot A's partition, from 1.
    pub a: u32,
    /// Number of slot B's partition.
    pub b: u32,
    /// Tries of a slot, 15 at most.
    pub tries: u8,
}

/// One copy of the table.
struct Table {
    header: Vec<u8>,
    entries: Vec<u8>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

/// The header's CRC, whose own field counts as zero.
fn header_crc(header: &[u8]) -> u32 {
    let mut header = header.get(..HEADER).unwrap_or_default().to_vec();
    put(&mut header, 16, &[0; 4]);
    crc32fast::hash(&header)
}

impl ChromeOs {
    fn at(&self, sector: u64) -> Place {
        Place { path: self.disk.clone(), offset: sector * self.sector as u64 }
    }

    /// The copy whose header is in `sector`, where it is whole.
    fn table(&self, sector: u64) -> io::Result<Option<Table>> {
        let header = self.at(sector).read(self.sector)?;
        let numbers = || {
            let signed = header.get(..8)? == b"EFI PART" && u32_at(&header, 12)? == 92;
            let whole = u32_at(&header, 16)? == header_crc(&header);
            let len = u32_at(&header, 80)?.checked_mul(u32_at(&header, 84)?)?;
            let len = usize::try_from(len).ok().filter(|len| *len <= TABLE_MAX)?;
            (signed && whole).then_some((u64_at(&header, 72)?, len, u32_at(&header, 88)?))
        };
        let Some((first, len, crc)) = numbers() else { return Ok(None) };
        let entries = self.at(first).read(len)?;
        let whole = crc32fast::hash(&entries) == crc;
        Ok(whole.then_some(Table { header, entries }))
    }

    /// Sectors of the two headers.
    fn headers(&self) -> io::Result<[u64; 2]> {
        let backup = self.table(1)?.and_then(|table| u64_at(&table.header, 32));
        if let Some(backup) = backup {
            return Ok([1, backup]);
        }
        // The first header is damaged: the other one is in the last sector.
        use std::io::{Seek, SeekFrom};
        let bytes = std::fs::File::open(&self.disk)?.seek(SeekFrom::End(0))?;
        Ok([1, (bytes / self.sector as u64).saturating_sub(1)])
    }

    fn attributes(&self, table: &Table, slot: Slot) -> io::Result<(usize, u64)> {
        let number = match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        };
        let entry = || {
            let index = usize::try_from(number.checked_sub(1)?).ok()?;
            let size = usize::try_from(u32_at(&table.header, 84)?).ok()?;
            let at = index.checked_mul(size)?.checked_add(48)?;
            Some((at, u64_at(&table.entries, at)?))
        };
        entry().ok_or_else(|| io::Error::other(format!("there is no partition {number}")))
    }

    fn change(&self, sector: u64, memory: &Memory) -> io::Result<()> {
        let Some(mut table) = self.table(sector)? else { return Ok(()) };
        for slot in Slot::BOTH {
            let Standing { priority, left, good } = memory.of(slot);
            let (at, before) = self.attributes(&table, slot)?;
            let bits =
                u64::from(priority & 15) | u64::from(left.min(15)) << 4 | u64::from(good) << 8;
            put(&mut table.entries, at, &(before & !MASK | bits << 48).to_le_bytes());
        }
        put(&mut table.header, 88, &crc32fast::hash(&table.entries).to_le_bytes());
        let crc = header_crc(&table.header);
        put(&mut table.header, 16, &crc.to_le_bytes());
        let first = u64_at(&table.header, 72).unwrap_or(0);
        self.at(first).write(&table.entries)?;
        self.at(sector).write(&table.header)
    }
}

impl Convention for ChromeOs {
    fn tries(&self) -> Tries {
        Tries::Counted(self.tries.min(15))
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        for sector in self.headers()? {
            let Some(table) = self.table(sector)? else { continue };
            let of = |slot| {
                let (_, bits) = self.attributes(&table, slot)?;
                let [.., low, high] = bits.to_le_bytes();
                let (priority, left) = (low & 15, low >> 4);
                Ok::<_, io::Error>(Standing { priority, left, good: high & 1 == 1 })
            };
            return Ok(Some(ranked(of(Slot::A)?, of(Slot::B)?)));
        }
        let disk = self.disk.display();
        Err(io::Error::other(format!("`{disk}` has no whole partition table")))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let [primary, backup] = self.headers()?;
        self.change(backup, memory)?;
        self.change(primary, memory)
    }
}

/// A small disk with two empty partitions and both copies of the table, for tests.
#[cfg(test)]
pub(super) fn two_partitions() -> Vec<u8> {
    const SECTORS: u64 = 256;
    let mut entries = vec![0_u8; 128 * 128];
    for (at, first) in [(0, 40_u64), (128, 48)] {
        let entry = [&[0x5a; 32][..], &first.to_le_bytes(), &(first + 7).to_le_bytes()].concat();
        put(&mut entries, at, &entry);
    }
    let mut disk = vec![0; (SECTORS * 512) as usize];
    for (mine, other, table) in [(1, SECTORS - 1, 2_u64), (SECTORS - 1, 1, SECTORS - 33)] {
        let mut header = [&b"EFI PART"[..], &[0, 0, 1, 0], &92_u32.to_le_bytes()].concat();
        header.resize(92, 0);
        for (at, value) in [(24, mine), (32, other), (40, 34), (48, SECTORS - 34), (72, table)] {
            put(&mut header, at, &value.to_le_bytes());
        }
        put(&mut header, 80, &[128, 0, 0, 0, 128, 0, 0, 0]);
        put(&mut header, 88, &crc32fast::hash(&entries).to_le_bytes());
        let crc = header_crc(&header);
        put(&mut header, 16, &crc.to_le_bytes());
        put(&mut disk, (mine * 512) as usize, &header);
        put(&mut disk, (table * 512) as usize, &entries);
    }
    disk
}
