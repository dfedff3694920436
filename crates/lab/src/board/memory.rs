//! What the bootloader remembers, read from the disk as its script reads it, and what
//! the script would start.
//!
//! This is the script's own logic once more, from what `contrib/boot/uboot.cmd` says it
//! does. It judges disks by the dozen; some of them are given to the real bootloader
//! too, which has to do the same.

use types::Slot;

/// Bytes of a state file.
pub const SIZE: usize = 0x4000;
/// Tries that slots have when nothing is known of them.
const TRIES: u32 = 3;

/// What is remembered of both slots.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Memory {
    order: Vec<Slot>,
    a: Standing,
    b: Standing,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    left: u32,
    good: bool,
}

/// The slots that the script starts one after the other when none of them comes up, each
/// once, up to the first that it trusts. `files` are its state files.
pub fn would_start(files: &[Vec<u8>]) -> Vec<Slot> {
    let whole = files.iter().filter_map(|bytes| Memory::read(bytes));
    let newest = whole.reduce(|one, two| if two.generation > one.generation { two } else { one });
    let mut memory = newest.unwrap_or_else(Memory::unknown);
    let mut slots = Vec::new();
    while let Some(slot) = memory.pick() {
        if !slots.contains(&slot) {
            slots.push(slot);
        }
        if memory.standing(slot).good {
            break;
        }
    }
    slots
}

impl Memory {
    /// Both slots as new.
    fn unknown() -> Self {
        let new = Standing { left: TRIES, good: false };
        Self { order: Slot::BOTH.to_vec(), a: new, b: new, generation: 0 }
    }

    /// A state file: CRC-32, then pairs that end in zeros. `None` when it is not whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (crc, pairs) = bytes.split_first_chunk::<4>().filter(|_| bytes.len() == SIZE)?;
        if u32::from_le_bytes(*crc) != crc32(pairs) {
            return None;
        }
        // An empty pair ends them; what pads the file behind it is not looked at.
        let pairs = pairs.split(|byte| *byte == 0).take_while(|pair| !pair.is_empty());
        let text: Vec<_> = pairs.map(String::from_utf8_lossy).collect();
        let pairs: Vec<_> = text.iter().filter_map(|pair| pair.split_once('=')).collect();
        let value = |wanted: &str| {
            pairs.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value)
        };
        let standing = |slot: &str| Standing {
            left: u32::from_str_radix(value(&format!("BOOT_{slot}_LEFT")), 16).unwrap_or(0),
            good: value(&format!("BOOT_{slot}_GOOD")) == "1",
        };
        let order = value("BOOT_ORDER").split_whitespace();
        Some(Self {
            order: order.filter_map(|slot| slot.parse().ok()).collect(),
            a: standing("A"),
            b: standing("B"),
            generation: u64::from_str_radix(value("refit_generation"), 16).unwrap_or(0),
        })
    }

    fn standing(&self, slot: Slot) -> Standing {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    /// The slot that is started next; its try is counted.
    fn pick(&mut self) -> Option<Slot> {
        let order = self.order.clone();
        let slot = order.into_iter().find(|slot| {
            let Standing { left, good } = self.standing(*slot);
            good || left > 0
        })?;
        let standing = match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        };
        standing.left = standing.left.saturating_sub(u32::from(!standing.good));
        Some(slot)
    }
}

/// CRC-32 as zlib has it, which U-Boot uses.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state file as `mkenvimage` makes it.
    fn state(pairs: &str) -> Vec<u8> {
        let mut bytes = pairs.replace(' ', "\0").replace('+', " ").into_bytes();
        bytes.extend([0, 0]);
        bytes.resize(SIZE - 4, 0xff);
        [crc32(&bytes).to_le_bytes().to_vec(), bytes].concat()
    }

    fn check(files: &[Vec<u8>], want: &[Slot]) {
        assert_eq!(would_start(files), want);
    }

    #[test]
    fn the_checksum_is_zlib_s() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_is_on_trial_is_left_for_what_is_trusted() {
        let factory = "BOOT_ORDER=A BOOT_A_LEFT=3 BOOT_A_GOOD=1 BOOT_B_LEFT=0 BOOT_B_GOOD=0";
        let trial = "BOOT_ORDER=B+A BOOT_A_LEFT=3 BOOT_A_GOOD=1 BOOT_B_LEFT=3 BOOT_B_GOOD=0";
        let good = "BOOT_ORDER=B+A BOOT_A_LEFT=3 BOOT_A_GOOD=1 BOOT_B_LEFT=3 BOOT_B_GOOD=1";
        let [factory, trial, good] = [(factory, 1), (trial, 2), (good, 0x10)]
            .map(|(pairs, generation)| state(&format!("{pairs} refit_generation={generation:x}")));
        check(&[factory.clone(), factory.clone()], &[Slot::A]);
        check(&[factory.clone(), trial.clone()], &[Slot::B, Slot::A]);
        check(&[good.clone(), trial.clone()], &[Slot::B]);
        let mut damaged = good;
        damaged[40] ^= 1;
        check(&[damaged.clone(), trial], &[Slot::B, Slot::A]);
        check(&[damaged, Vec::new()], &[Slot::A, Slot::B]);
        let spent = state("BOOT_ORDER=B BOOT_A_LEFT=0 BOOT_B_LEFT=0");
        check(&[spent], &[]);
    }
}
