//! Where ext2, ext3 and ext4 put the blocks of their files (Documentation/filesystems/ext4).

use super::bytes::{u16_at, u32_at};
use super::pieces::Pieces;
use alloc::vec::Vec;

/// The superblock starts here.
const SUPER: usize = 1024;

/// Incompatible features: block groups' descriptors are spread, wide numbers.
const META_BG: u32 = 0x10;
const WIDE: u32 = 0x80;

/// Of an inode: blocks are told by extents; the content is in the inode.
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;

/// Extents lie so deep at most.
const DEPTH_MAX: u16 = 5;

struct FileSystem<'a> {
    bytes: &'a [u8],
    block: usize,
    /// Blocks that may still be read as lists: damaged ones point in circles.
    left: usize,
}

/// Blocks of a file that lie together: its block, the image's, how many; nothing is
/// stored of those at 0.
#[derive(Debug, Clone, Copy)]
struct Extent {
    logical: usize,
    at: usize,
    count: usize,
}

/// The regular files.
pub(super) fn files(bytes: &[u8]) -> Vec<Pieces> {
    read(bytes).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<Pieces>> {
    let number = |at| u32_at(bytes, SUPER + at).map(|number| number as usize);
    let log = u32_at(bytes, SUPER + 0x18).filter(|log| *log <= 6)?;
    let block = 1024usize << log;
    let (blocks, first) = (number(4)?, number(0x14)?);
    let (each, inodes) = (number(0x20)?, number(0x28)?);
    (each > 0 && inodes > 0 && inodes <= block * 8).then_some(())?;
    let old = number(0x4c)? == 0;
    let inode = if old { 128 } else { usize::from(u16_at(bytes, SUPER + 0x58)?) };
    let own = if old { 11 } else { number(0x54)? };
    (inode >= 128 && inode <= block).then_some(())?;
    let features = u32_at(bytes, SUPER + 0x60)?;
    (features & META_BG == 0).then_some(())?;
    let descriptor =
        if features & WIDE == 0 { 32 } else { usize::from(u16_at(bytes, SUPER + 0xfe)?).max(32) };
    let mut files = Vec::new();
    let mut system = FileSystem { bytes, block, left: bytes.len() / block };
    for group in 0..blocks.div_ceil(each) {
        let at = (first + 1).checked_mul(block)?.checked_add(group.checked_mul(descriptor)?)?;
        let Some(table) = u32_at(bytes, at + 8) else { break };
        let Some(table) = (table as usize).checked_mul(block) else { break };
        for number in 0..inodes {
            let at = table.checked_add(number * inode)?;
            let Some(head) = bytes.get(at..at + 128) else { break };
            if group * inodes + number + 1 >= own {
                files.extend(system.file(head));
            }
        }
    }
    Some(files)
}

impl FileSystem<'_> {
    /// The file of an inode, up to the first of its blocks that is not stored.
    fn file(&mut self, inode: &[u8]) -> Option<Pieces> {
        let (mode, links) = (u16_at(inode, 0)?, u16_at(inode, 0x1a)?);
        let size = u64::from(u32_at(inode, 4)?) | u64::from(u32_at(inode, 0x6c)?) << 32;
        let size = usize::try_from(size).ok()?;
        let flags = u32_at(inode, 0x20)?;
        let regular = mode & 0xf000 == 0x8000 && links > 0 && flags & INLINE == 0;
        (regular && size <= self.bytes.len()).then_some(())?;
        let told = inode.get(0x28..0x64)?;
        let mut extents = Vec::new();
        if flags & EXTENTS == 0 {
            self.blocks(told, size.div_ceil(self.block), &mut extents);
        } else {
            self.extents(told, &mut extents, DEPTH_MAX)?;
        }
        let (mut file, mut logical) = (Pieces::default(), 0usize);
        for extent in extents {
            if extent.logical != logical || extent.at == 0 {
                break;
            }
            let (at, len) = (extent.at.checked_mul(self.block)?, extent.count * self.block);
            (at.checked_add(len)? <= self.bytes.len()).then_some(())?;
            file.push(at, len);
            logical += extent.count;
            if file.len() >= size {
                break;
            }
        }
        file.truncate(size);
        Some(file)
    }

    /// A block that lists others.
    fn list(&mut self, number: usize) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        let at = number.checked_mul(self.block).filter(|_| number > 0)?;
        self.bytes.get(at..at.checked_add(self.block)?).map(<[u8]>::to_vec)
    }

    fn extents(&mut self, node: &[u8], out: &mut Vec<Extent>, depth: u16) -> Option<()> {
        let level = u16_at(node, 6)?;
        (u16_at(node, 0)? == 0xf30a && level <= depth).then_some(())?;
        for number in 1..=usize::from(u16_at(node, 2)?) {
            let entry = node.get(number * 12..number * 12 + 12)?;
            if level > 0 {
                let next = self.list(u32_at(entry, 4)? as usize)?;
                self.extents(&next, out, level - 1)?;
                continue;
            }
            let logical = u32_at(entry, 0)? as usize;
            let count = usize::from(u16_at(entry, 4)?);
            // What is allocated and never written counts from 32768.
            let (at, count) = match count {
                0..=32768 => (u32_at(entry, 8)? as usize, count),
                more => (0, more - 32768),
            };
            out.push(Extent { logical, at, count });
        }
        Some(())
    }

    /// The blocks of a file as ext2 lists them: twelve, and lists of one to three levels.
    fn blocks(&mut self, told: &[u8], most: usize, out: &mut Vec<Extent>) {
        for (number, entry) in told.chunks(4).take(15).enumerate() {
            let at = u32_at(entry, 0).unwrap_or(0) as usize;
            let level = number.saturating_sub(11);
            if self.blocks_of(at, level, most, out).is_none() {
                return;
            }
        }
    }

    /// Nothing if that was the last.
    fn blocks_of(
        &mut self,
        at: usize,
        level: usize,
        most: usize,
        out: &mut Vec<Extent>,
    ) -> Option<()> {
        let logical = out.last().map_or(0, |last| last.logical + last.count);
        (logical < most && at > 0).then_some(())?;
        if level == 0 {
            match out.last_mut() {
                Some(last) if last.at + last.count == at => last.count += 1,
                _ => out.push(Extent { logical, at, count: 1 }),
            }
            return Some(());
        }
        let list = self.list(at)?;
        list.chunks(4).try_for_each(|entry| {
            let next = u32_at(entry, 0)? as usize;
            self.blocks_of(next, level - 1, most, out)
        })
    }
}
