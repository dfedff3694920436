//! Android's `bootloader_control`, 32 bytes in the `misc` partition.
//!
//! Four bytes of suffix, the magic `BCAB` (u32), version 1, the number of slots in
//! three bits, then from byte 12 two bytes for each of four slots: priority (4 bits,
//! 15 first, 0 never), tries (3 bits), successful (1 bit), and in the second byte
//! whether verity found it corrupt; at byte 28 the CRC-32 of what is before
//! (`bootloader_message.h`). Little-endian. Bits that are not ours stay.

use super::{Convention, Counting, Memory, Place, Standing};
use std::io;
use types::{Slot, Tries};

/// Where the structure is in the partition.
pub const OFFSET: u64 = 2048;
const SIZE: usize = 32;
const CRC_AT: usize = 28;
const MAGIC: [u8; 4] = 0x4241_4342_u32.to_le_bytes();
const VERSION: u8 = 1;
/// The priorities that are written for rank 0, 1 and 2.
const PRIORITIES: [u8; 3] = [0, 14, 15];
/// The most tries that three bits hold.
pub const TRIES_MAX: u8 = 7;

/// A bootloader that keeps Android's `bootloader_control`.
#[derive(Debug, Clone)]
pub struct Android {
    /// Where the structure is.
    pub place: Place,
    /// Tries of a slot, 7 at most.
    pub tries: u8,
}

/// The structure's bytes.
type Bytes = [u8; SIZE];

fn crc(bytes: &Bytes) -> [u8; 4] {
    crc32fast::hash(bytes.get(..CRC_AT).unwrap_or_default()).to_le_bytes()
}

fn is_whole(bytes: &Bytes) -> bool {
    let magic = bytes.get(4..8) == Some(&MAGIC);
    magic && bytes.get(8) == Some(&VERSION) && bytes.get(CRC_AT..) == Some(&crc(bytes))
}

/// Two slots of which nothing is known, as a bootloader makes it anew.
fn new() -> Bytes {
    let mut bytes = [0; SIZE];
    let head = [&b"_a\0\0"[..], &MAGIC, &[VERSION, 2]].concat();
    for (to, from) in bytes.iter_mut().zip(head) {
        *to = from;
    }
    bytes
}

fn at(slot: Slot) -> usize {
    match slot {
        Slot::A => 12,
        Slot::B => 14,
    }
}

fn standing(bytes: &Bytes, slot: Slot) -> Standing {
    let byte = bytes.get(at(slot)).copied().unwrap_or(0);
    Standing { priority: byte & 15, left: byte >> 4 & 7, good: byte & 128 != 0 }
}

impl Android {
    fn bytes(&self) -> io::Result<Option<Bytes>> {
        let bytes = self.place.read(SIZE)?;
        let bytes: Bytes = bytes.try_into().map_err(|_| {
            io::Error::other(format!("`{}` is too small", self.place.path.display()))
        })?;
        Ok(is_whole(&bytes).then_some(bytes))
    }
}

/// Priorities of any scale as ranks.
pub(super) fn ranked(a: Standing, b: Standing) -> Memory {
    let rank = |mine: u8, other: u8, first: bool| match mine {
        0 => 0,
        _ if mine > other || (mine == other && first) => 2,
        _ => 1,
    };
    Memory {
        a: Standing { priority: rank(a.priority, b.priority, true), ..a },
        b: Standing { priority: rank(b.priority, a.priority, false), ..b },
    }
}

impl Convention for Android {
    fn tries(&self) -> Tries {
        Tries::Counted(self.tries.min(TRIES_MAX))
    }

    fn counting(&self) -> Counting {
        Counting::Trial
    }

    fn load(&self) -> io::Result<Option<Memory>> {
        let bytes = self.bytes()?;
        Ok(bytes.map(|bytes| ranked(standing(&bytes, Slot::A), standing(&bytes, Slot::B))))
    }

    fn save(&self, memory: &Memory) -> io::Result<()> {
        let mut bytes = self.bytes()?.unwrap_or_else(new);
        for slot in Slot::BOTH {
            let Standing { priority, left, good } = memory.of(slot);
            let priority = PRIORITIES.get(usize::from(priority)).copied().unwrap_or(15);
            let byte = priority | left.min(TRIES_MAX) << 4 | u8::from(good) << 7;
            if let Some(to) = bytes.get_mut(at(slot)) {
                *to = byte;
            }
            // What was corrupt is not any more, once it was written anew and is tried.
            if let (Some(verity), false) = (bytes.get_mut(at(slot) + 1), good) {
                *verity &= !1;
            }
        }
        if let Some(slot) = memory.order().next()
            && let Some(letter) = bytes.get_mut(1)
        {
            *letter = if slot == Slot::A { b'a' } else { b'b' };
        }
        let crc = crc(&bytes);
        for (to, from) in bytes.iter_mut().skip(CRC_AT).zip(crc) {
            *to = from;
        }
        self.place.write(&bytes)
    }
}
