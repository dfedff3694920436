//! Chains of clusters of FAT12, FAT16 and FAT32. Directories are not read: a chain that
//! no other one leads into is a file, or a directory, which does no harm.

use super::bytes::{u16_at, u32_at};
use super::pieces::Pieces;
use alloc::vec;
use alloc::vec::Vec;

/// The files, each with what is left of its last cluster.
pub(super) fn files(bytes: &[u8]) -> Vec<Pieces> {
    read(bytes).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<Pieces>> {
    let sector = usize::from(u16_at(bytes, 11)?);
    let cluster = usize::from(*bytes.get(13)?) * sector;
    let reserved = usize::from(u16_at(bytes, 14)?) * sector;
    let entries = (usize::from(u16_at(bytes, 17)?) * 32).next_multiple_of(sector.max(1));
    let size = match usize::from(u16_at(bytes, 22)?) {
        0 => u32_at(bytes, 36)? as usize,
        sectors => sectors,
    };
    let tables = size.checked_mul(sector)?.checked_mul(usize::from(*bytes.get(16)?))?;
    let start = reserved.checked_add(tables)?.checked_add(entries)?;
    (cluster > 0).then_some(())?;
    let sectors = match usize::from(u16_at(bytes, 19)?) {
        0 => u32_at(bytes, 32)? as usize,
        few => few,
    };
    let all = sectors.checked_mul(sector)?.min(bytes.len());
    let count = all.checked_sub(start)? / cluster;
    let table = bytes.get(reserved..reserved.checked_add(size * sector)?)?;
    let mut next: Vec<usize> = (0..count + 2).map(|at| entry(table, at, count)).collect();
    let mut led = vec![false; next.len()];
    for to in &next {
        if let Some(led) = led.get_mut(*to) {
            *led = true;
        }
    }
    let mut files = Vec::new();
    for head in 2..next.len() {
        let mut file = Pieces::default();
        let mut at = if led.get(head) == Some(&false) { head } else { 0 };
        while let Some(entry) = next.get_mut(at)
            && at >= 2
            && *entry > 0
        {
            file.push(start + (at - 2) * cluster, cluster);
            // Nothing goes this way twice.
            at = core::mem::take(entry);
        }
        files.push(file);
    }
    Some(files)
}

/// What an entry of the table says: 0 free, more than there are: the end.
fn entry(table: &[u8], at: usize, count: usize) -> usize {
    let number = if count < 4085 {
        let pair = u16_at(table, at + at / 2).unwrap_or(0);
        usize::from(if at % 2 == 1 { pair >> 4 } else { pair & 0xfff })
    } else if count < 65525 {
        usize::from(u16_at(table, at * 2).unwrap_or(0))
    } else {
        u32_at(table, at * 4).unwrap_or(0) as usize & 0x0fff_ffff
    };
    if number < 2 || at < 2 { 0 } else { number }
}
