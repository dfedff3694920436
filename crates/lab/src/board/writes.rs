//! The emulator's log of what a disk was asked, as a recording that can be cut off.
//!
//! QEMU's `blklogwrites` writes the format of Linux's `dm-log-writes`: a first sector
//! (magic number, version, count of entries, bytes of a sector), then for each request a
//! sector (place, length, flags) and what was written. A request is in the log when the
//! disk has done it, so whatever comes before a flush in the log, the flush has made
//! durable; a write that overtook the flush counts as durable too early, never too late.

use crate::cuts::record::{Op, Recording};
use crate::cuts::tree::Change;
use anyhow::{Context, Result, bail, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
/// Bytes of a sector, which the machine's log is told to have.
pub const SECTOR: usize = 512;
const FLUSH: u64 = 1;

/// What happened to a disk that held `before`.
///
/// # Errors
/// The log is strange, or has requests that are neither a write nor a flush.
pub fn recording(before: Vec<u8>, log: &[u8]) -> Result<Recording> {
    let [magic, version, count, sector] = numbers(log).context("the log has no beginning")?;
    ensure!(magic == MAGIC && version == 1, "this is no log of writes");
    // The last number has only four bytes.
    ensure!(sector & 0xffff_ffff == SECTOR as u64, "its sectors have another size");
    let mut rest = log.get(SECTOR..).unwrap_or_default();
    let mut ops = Vec::new();
    for _ in 0..count {
        let (op, after) = entry(rest).context("the log is cut short")??;
        ops.push(op);
        rest = after;
    }
    Ok(Recording::of_disk(before, ops))
}

/// One request and the log behind it; `None` where the log ends before.
fn entry(log: &[u8]) -> Option<Result<(Op, &[u8])>> {
    let [sector, sectors, flags, _] = numbers(log)?;
    let (at, len) = (bytes(sector)?, bytes(sectors)?);
    let rest = log.get(SECTOR..)?;
    let (written, rest) = rest.split_at_checked(len)?;
    let op = match flags {
        FLUSH if len == 0 => Op::Flushed(Recording::DISK),
        0 => Op::Changed(Change::Write { file: Recording::DISK, at, bytes: written.to_vec() }),
        flags => return Some(unheard_of(flags)),
    };
    Some(Ok((op, rest)))
}

fn unheard_of<T>(flags: u64) -> Result<T> {
    bail!("the disk was asked something with flags {flags:#x}")
}

fn bytes(sectors: u64) -> Option<usize> {
    usize::try_from(sectors).ok()?.checked_mul(SECTOR)
}

/// Four numbers, little-endian.
fn numbers(bytes: &[u8]) -> Option<[u64; 4]> {
    let (chunks, _) = bytes.get(..32)?.as_chunks::<8>();
    let numbers: Vec<u64> = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::state::{Cut, after};
    use crate::cuts::tree::Node;

    fn sector(numbers: [u64; 4]) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    /// Two sectors of 1 at the second sector, a flush, one of 2 at the first.
    fn log(flags: u64) -> Vec<u8> {
        [
            sector([MAGIC, 1, 3, SECTOR as u64]),
            sector([1, 2, 0, 0]),
            vec![1; 2 * SECTOR],
            sector([0, 0, FLUSH, 0]),
            sector([0, 1, flags, 0]),
            vec![2; SECTOR],
        ]
        .concat()
    }

    #[test]
    fn a_log_can_be_cut_off() {
        let recording = recording(vec![0; 4 * SECTOR], &log(0)).unwrap();
        assert_eq!(recording.ops.len(), 3);
        for seed in 0..50 {
            let left = after(&recording, Cut { number: 2, seed });
            let Some(Node::File(disk)) = left.tree.node(Recording::DISK) else { panic!() };
            assert_eq!(disk.len(), 4 * SECTOR);
            assert!(disk[SECTOR..3 * SECTOR].iter().all(|byte| *byte == 1), "it was flushed");
            assert!(disk[..SECTOR].iter().all(|byte| [0, 2].contains(byte)));
        }
        let early = after(&recording, Cut { number: 1, seed: 1 });
        assert!(early.story.contains("a flush of `the disk`"), "{}", early.story);
    }

    #[test]
    fn a_strange_log_is_no_recording() {
        let check = |log: &[u8], part: &str| {
            let error = format!("{:#}", recording(Vec::new(), log).unwrap_err());
            assert!(error.contains(part), "{error}");
        };
        check(&[], "no beginning");
        check(&vec![0; SECTOR], "no log");
        check(&log(4), "flags 0x4");
        check(&log(0)[..3 * SECTOR], "cut short");
    }
}
