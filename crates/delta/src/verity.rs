//! dm-verity's tree of hashes (Linux, Documentation/admin-guide/device-mapper/verity):
//! the terminal makes it again out of what it hashes, and it is not sent.
//!
//! The tree's top comes first and the hashes of the content last, and a terminal
//! has no room for all of them: the content is hashed twice, once for the levels
//! above the last one, which are held, and once for the last one. Deliberately
//! absent: forward error correction, hashes other than SHA-256.

use crate::read::{ReadAt, ReadFault};
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

#[cfg(any(test, feature = "diff"))]
pub(crate) mod find;

/// Bytes of a hash.
pub(crate) const HASH: usize = 32;

/// The most bytes of a salt: what the superblock has room for.
pub(crate) const SALT_MAX: usize = 256;

/// Blocks have 512 bytes to 64 KiB.
pub(crate) const BLOCK_LOGS: core::ops::RangeInclusive<u8> = 9..=16;

/// The most bytes of the levels that are held: those of 64 GiB of content.
pub(crate) const HELD_MAX: u64 = 5 << 20;

/// How a tree is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verity {
    /// Where in the image the content begins.
    pub(crate) data_at: u64,
    /// Blocks of content.
    pub(crate) blocks: u64,
    /// Bytes of a block of content, as a power of two.
    pub(crate) data_log: u8,
    /// Bytes of a block of hashes, as a power of two.
    pub(crate) hash_log: u8,
    /// The salt comes behind what is hashed: type 0, as Chrome OS has it.
    pub(crate) salt_last: bool,
    /// What is hashed with every block.
    pub(crate) salt: Vec<u8>,
}

impl Verity {
    /// Whether a tree can be made of it.
    pub(crate) fn is_sound(&self) -> bool {
        BLOCK_LOGS.contains(&self.data_log)
            && BLOCK_LOGS.contains(&self.hash_log)
            && self.salt.len() <= SALT_MAX
            && (2..1 << 40).contains(&self.blocks)
            && self.data_at < 1 << 48
            && self.heap() <= HELD_MAX
    }

    /// Bytes of content.
    pub(crate) fn data_len(&self) -> u64 {
        self.blocks << self.data_log
    }

    /// Blocks of each level, the one above the content first.
    fn levels(&self) -> Vec<u64> {
        let each = 1 << (self.hash_log - HASH.ilog2() as u8);
        let mut levels = Vec::new();
        let mut below = self.blocks;
        while below > 1 {
            below = below.div_ceil(each);
            levels.push(below);
        }
        levels
    }

    /// Bytes of the tree.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn tree_len(&self) -> u64 {
        self.levels().iter().sum::<u64>() << self.hash_log
    }

    /// Bytes of heap that making it takes.
    pub(crate) fn heap(&self) -> u64 {
        let held: u64 = self.levels().iter().skip(1).sum();
        // What is held, a block of either kind, and what waits to be given out.
        (held << self.hash_log) + (3 << self.hash_log) + (1 << self.data_log)
    }

    fn hash(&self, block: &[u8]) -> [u8; HASH] {
        let mut hash = Sha256::new();
        if self.salt_last {
            hash.update(block);
            hash.update(&self.salt);
        } else {
            hash.update(&self.salt);
            hash.update(block);
        }
        hash.finalize().into()
    }
}

/// A tree that is being made.
pub(crate) struct Tree {
    verity: Verity,
    /// The levels above the last one that are not given out, the top last.
    held: Vec<Vec<u8>>,
    /// Bytes of the topmost that were given out.
    given: usize,
    /// The next block of the last level.
    next: u64,
    block: Vec<u8>,
}

impl Tree {
    /// Hashes the content once, for all levels but the last.
    pub(crate) fn new(verity: Verity, image: &mut dyn ReadAt) -> Result<Self, ReadFault> {
        let block = vec![0; 1 << verity.data_log];
        let mut tree = Self { verity, held: Vec::new(), given: 0, next: 0, block };
        let levels = tree.verity.levels();
        let size = 1usize << tree.verity.hash_log;
        let held = |blocks: Option<&u64>| {
            Vec::with_capacity(blocks.map_or(HASH, |blocks| *blocks as usize * size))
        };
        // The hashes that fill the next level.
        let (mut hashes, mut block) = (held(levels.get(1)), Vec::new());
        for number in 0..levels.first().copied().unwrap_or(0) {
            tree.last_level(number, image, &mut block)?;
            hashes.extend(tree.verity.hash(&block));
            block.clear();
        }
        for (level, blocks) in levels.iter().enumerate().skip(1) {
            hashes.resize(*blocks as usize * size, 0);
            let mut above = held(levels.get(level + 1));
            above.extend(hashes.chunks(size).flat_map(|block| tree.verity.hash(block)));
            tree.held.push(core::mem::replace(&mut hashes, above));
        }
        Ok(tree)
    }

    /// Appends a block to `out`; whether others follow.
    pub(crate) fn next(
        &mut self,
        image: &mut dyn ReadAt,
        out: &mut Vec<u8>,
    ) -> Result<bool, ReadFault> {
        let size = 1usize << self.verity.hash_log;
        if let Some(level) = self.held.last() {
            out.extend(level.iter().skip(self.given).take(size));
            self.given += size;
            if self.given >= level.len() {
                self.held.pop();
                self.given = 0;
            }
            return Ok(true);
        }
        self.last_level(self.next, image, out)?;
        self.next += 1;
        Ok(self.verity.levels().first().is_some_and(|blocks| self.next < *blocks))
    }

    /// Appends a block of hashes of the content.
    fn last_level(
        &mut self,
        number: u64,
        image: &mut dyn ReadAt,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadFault> {
        let end = out.len() + (1 << self.verity.hash_log);
        let each = 1u64 << (self.verity.hash_log - HASH.ilog2() as u8);
        let first = number * each;
        for block in first..self.verity.blocks.min(first + each) {
            image
                .read_at(self.verity.data_at + (block << self.verity.data_log), &mut self.block)?;
            out.extend(self.verity.hash(&self.block));
        }
        out.resize(end, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
