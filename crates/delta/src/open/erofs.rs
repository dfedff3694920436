//! erofs: where its compressed clusters are (Linux, fs/erofs/erofs_fs.h). Only positions
//! are read here, as for squashfs; what is stored as it is stays in the image.

use super::bytes::{u16_at, u32_at, u64_at};
use crate::recipe::Framing;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

/// The superblock starts here.
const SUPER: usize = 1024;

/// Incompatible features: zeros come before a cluster; inodes say which codec they use;
/// the ends of files lie together in a file of their own. All that are known.
const ZEROS_BEFORE: u32 = 1;
const CODECS: u32 = 2;
const FRAGMENTS: u32 = 0x20;
const KNOWN: u32 = 0x7f;

/// What an inode's map advises: pairs of bytes tell clusters; clusters have several
/// blocks; the last one is in the inode, or its end is elsewhere.
const PAIRS: u16 = 1;
const BIG: u16 = 6;
const NO_LAST: u16 = 8 | 0x20;

/// How an inode's content is stored.
const FLAT: u16 = 0;
const FULL: u16 = 1;
const INLINE: u16 = 2;
const COMPACT: u16 = 3;

/// A cluster's first block is not compressed, or what begins here is in the one before.
const PLAIN: u16 = 0;
const NOT_FIRST: u16 = 2;

/// Where blocks of a cluster are counted.
const COUNTED: u16 = 1 << 11;

/// A directory is not larger than this: a million names.
const DIRECTORY_MAX: usize = 1 << 26;

/// Compressed clusters of an erofs.
pub(super) struct Erofs {
    /// Those of LZ4, sorted, disjoint.
    pub(super) clusters: Vec<(Range<usize>, Framing)>,
    /// Bytes of those that cannot be opened.
    pub(super) closed: usize,
}

/// One cluster: its first block, how many there are, and the codec that inodes number.
struct Cluster {
    block: usize,
    count: usize,
    codec: u8,
}

struct Walk<'a> {
    image: &'a [u8],
    log: u32,
    meta: usize,
    features: u32,
    /// Bytes of the file whose map is read.
    size: usize,
    clusters: Vec<Cluster>,
}

/// Reads the erofs that starts at the front of `image`.
pub(super) fn read(image: &[u8]) -> Option<Erofs> {
    let number = |at| u32_at(image, SUPER + at);
    let log = u32::from(*image.get(SUPER + 12)?);
    (9..=16).contains(&log).then_some(())?;
    let features = number(80)?;
    (features & !KNOWN == 0 && features & ZEROS_BEFORE != 0).then_some(())?;
    let meta = (number(40)? as usize).checked_mul(1 << log)?;
    let mut walk = Walk { image, log, meta, features, size: 0, clusters: Vec::new() };
    let mut todo = alloc::vec![u64::from(u16_at(image, SUPER + 14)?)];
    if features & FRAGMENTS != 0 {
        todo.extend(u64_at(image, SUPER + 96).filter(|packed| *packed > 0));
    }
    let mut seen = BTreeSet::new();
    while let Some(number) = todo.pop() {
        if seen.insert(number) {
            // What cannot be followed is left out.
            let _ = walk.inode(number, &mut todo);
        }
    }
    Some(walk.sorted())
}

impl Walk<'_> {
    /// The clusters in order, each once.
    fn sorted(mut self) -> Erofs {
        self.clusters.sort_by_key(|cluster| cluster.block);
        let mut erofs = Erofs { clusters: Vec::new(), closed: 0 };
        let mut end = 0;
        for Cluster { block, count, codec } in self.clusters {
            let range = block.checked_mul(1 << self.log).zip(count.checked_mul(1 << self.log));
            let Some((at, len)) = range else { continue };
            let is_inside = at.checked_add(len).is_some_and(|end| end <= self.image.len());
            if at < end || len == 0 || !is_inside {
                continue;
            }
            end = at + len;
            let log = self.log as u8;
            match codec {
                0 if count == 1 => erofs.clusters.push((at..end, Framing::Each { log })),
                0 => erofs.clusters.push((at..end, Framing::One { log })),
                _ => erofs.closed += len,
            }
        }
        erofs
    }

    /// Reads an inode: the names of a directory, the clusters of anything else.
    fn inode(&mut self, number: u64, todo: &mut Vec<u64>) -> Option<()> {
        let at = usize::try_from(number).ok()?.checked_mul(32)?.checked_add(self.meta)?;
        let head = self.image.get(at..)?;
        let (format, attributes, mode) = (u16_at(head, 0)?, u16_at(head, 2)?, u16_at(head, 4)?);
        let (size, own) = match format & 1 {
            0 => (u64::from(u32_at(head, 8)?), 32),
            _ => (u64_at(head, 8)?, 64),
        };
        let size = usize::try_from(size).ok()?;
        let attributes = usize::from(attributes);
        let extra = if attributes == 0 { 0 } else { 12 + (attributes - 1) * 4 };
        let behind = at + own + extra;
        match format >> 1 & 7 {
            layout @ (FLAT | INLINE) if mode >> 12 == 4 => {
                let first = (u32_at(head, 16)? as usize).checked_mul(1 << self.log)?;
                self.directory(first, behind, size, layout == INLINE, todo)
            }
            layout @ (FULL | COMPACT) => self.map(behind.next_multiple_of(8), size, layout),
            _ => None,
        }
    }

    /// The inodes that a directory names; its last block may be behind the inode.
    fn directory(
        &self,
        first: usize,
        behind: usize,
        size: usize,
        inline: bool,
        todo: &mut Vec<u64>,
    ) -> Option<()> {
        (size <= DIRECTORY_MAX).then_some(())?;
        let block = 1 << self.log;
        for start in (0..size).step_by(block) {
            let is_last = size - start <= block;
            let at = if is_last && inline { behind } else { first.checked_add(start)? };
            let names = self.image.get(at..)?.get(..block.min(size - start))?;
            // The first name starts where the entries end.
            let count = usize::from(u16_at(names, 8)?) / 12;
            for entry in (0..count).map(|number| number * 12) {
                todo.push(u64_at(names, entry)?);
            }
        }
        Some(())
    }

    /// The clusters of a file whose map stands at a place.
    fn map(&mut self, at: usize, size: usize, layout: u16) -> Option<()> {
        let (mut advice, mut codecs) = (0, 0);
        if layout == COMPACT || self.features & !ZEROS_BEFORE != 0 {
            let bits = *self.image.get(at.checked_add(7)?)?;
            // Otherwise blocks and what the map counts differ, or all of it is elsewhere.
            (bits == 0).then_some(())?;
            advice = u16_at(self.image, at + 4)?;
            codecs = *self.image.get(at + 6)?;
        }
        if self.features & CODECS == 0 {
            codecs = 0;
        }
        self.size = size;
        let count = size.div_ceil(1 << self.log);
        (count <= self.image.len()).then_some(())?;
        let before = self.clusters.len();
        let read = match layout {
            FULL => self.full(at + 16, count, advice & BIG != 0, codecs),
            _ => self.compact(at + 8, count, advice, codecs),
        };
        if advice & NO_LAST != 0 && self.clusters.len() > before {
            self.clusters.pop();
        }
        read
    }

    /// Notes a cluster whose content begins in a block of the file, so far in it; one
    /// that begins at the end is none.
    fn begin(&mut self, kind: u16, (number, over): (usize, u16), block: usize, codecs: u8) {
        if (number << self.log) + usize::from(over) >= self.size {
            return;
        }
        let codec = if kind == 3 { codecs >> 4 } else { codecs & 15 };
        // What is not compressed is noted, too, so that it can be counted and left out.
        let count = usize::from(kind != PLAIN);
        self.clusters.push(Cluster { block, count, codec });
    }

    /// Of the cluster that began last, so many blocks are told.
    fn told(&mut self, count: usize) {
        if let Some(last) = self.clusters.last_mut().filter(|last| last.count > 0) {
            last.count = count;
        }
    }

    /// Eight bytes for each block of content.
    fn full(&mut self, at: usize, count: usize, big: bool, codecs: u8) -> Option<()> {
        let mut begun = false;
        for number in 0..count {
            let entry = self.image.get(at.checked_add(number * 8)?..)?;
            let kind = u16_at(entry, 0)? & 3;
            let behind = u16_at(entry, 4)?;
            if kind != NOT_FIRST {
                let place = (number, u16_at(entry, 2)?);
                self.begin(kind, place, u32_at(entry, 4)? as usize, codecs);
            } else if big && begun && behind & COUNTED != 0 {
                self.told(usize::from(behind & !COUNTED));
            }
            begun = kind != NOT_FIRST;
        }
        Some(())
    }

    /// Packs: entries of a few bits, and the block before the first that begins in them.
    fn compact(&mut self, at: usize, count: usize, advice: u16, codecs: u8) -> Option<()> {
        (self.log <= 14).then_some(())?;
        // Packs of two entries stand before those of sixteen until these are aligned.
        let first = ((32 - at % 32) / 4 % 8).min(count);
        let pairs = if advice & PAIRS != 0 { (count - first) / 16 * 16 } else { 0 };
        (pairs == 0 || self.log <= 12).then_some(())?;
        let parts = [(first, 8, 2), (pairs, 32, 16), (count - first - pairs, 8, 2)];
        let (mut at, mut begun, mut number) = (at, false, 0);
        for (mut left, bytes, entries) in parts {
            while left > 0 {
                // The first pack may begin in the middle.
                let over = at % bytes * entries / bytes;
                let pack = self.image.get(at - at % bytes..)?.get(..bytes)?;
                let pack: [u8; 32] = core::array::from_fn(|k| pack.get(k).copied().unwrap_or(0));
                let pack = Pack { bytes: pack, len: bytes, entries, low: self.log.max(12) };
                let here = left.min(entries - over);
                let own = Own { first: number, entries: over..over + here };
                self.pack(&pack, &own, advice & BIG != 0, codecs, &mut begun)?;
                left -= here;
                number += here;
                at += here * bytes / entries;
            }
        }
        Some(())
    }

    /// The entries of a pack that are the file's.
    fn pack(
        &mut self,
        pack: &Pack,
        own: &Own,
        big: bool,
        codecs: u8,
        begun: &mut bool,
    ) -> Option<()> {
        let mut block = u32_at(&pack.bytes, pack.len - 4)? as usize;
        if !big {
            block = block.checked_add(1)?;
        }
        let mut here = false;
        for number in 0..pack.entries {
            let (kind, low) = pack.entry(number)?;
            let is_own = own.entries.contains(&number);
            if kind != NOT_FIRST {
                if is_own {
                    let of_file = own.first + (number - own.entries.start);
                    self.begin(kind, (of_file, low), block, codecs);
                }
                block = block.checked_add(1)?;
                here = true;
            } else if big && low & COUNTED != 0 {
                let count = usize::from(low & !COUNTED);
                // One block was counted where the cluster began, if that was here.
                block = block.checked_add(count)?.checked_sub(usize::from(here))?;
                if is_own && *begun {
                    self.told(count);
                }
            }
            if is_own {
                *begun = kind != NOT_FIRST;
            }
        }
        Some(())
    }
}

/// Which entries of a pack are the file's.
struct Own {
    /// The number of the first in the file.
    first: usize,
    entries: Range<usize>,
}

/// A pack of entries.
struct Pack {
    bytes: [u8; 32],
    len: usize,
    entries: usize,
    /// Bits of an entry below its kind.
    low: u32,
}

impl Pack {
    /// The kind of an entry, and what it says.
    fn entry(&self, number: usize) -> Option<(u16, u16)> {
        let bits = (self.len - 4) * 8 / self.entries;
        let at = number * bits;
        let word = u32_at(&self.bytes, at / 8)? >> (at % 8);
        Some(((word >> self.low & 3) as u16, (word & ((1 << self.low) - 1)) as u16))
    }
}
