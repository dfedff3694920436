//! squashfs 4.0: where its compressed blocks are. Only positions are read here;
//! nothing of what the file system means.

use super::Form;
use super::bytes::{u16_at, u32_at, u64_at};
use super::unpack::unpack;
use crate::codec::deflate::DeflateOptions;
use crate::codec::zstd::ZstdOptions;
use crate::recipe::{Framing, Recipe, Wrapper};
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of the superblock.
pub(super) const SUPERBLOCK: usize = 96;
/// The most bytes that a metadata block holds.
pub(super) const METADATA: usize = 8192;
/// The bit of a metadata block's length that says: not compressed.
const METADATA_PLAIN: u16 = 0x8000;
/// The bit of a data block's length that says: not compressed.
const DATA_PLAIN: u32 = 1 << 24;
/// There is none of this table, or no fragment.
const NONE: u64 = u64::MAX;
/// Tables of more bytes than this are not followed: 4 million files' inodes.
const TABLE_MAX: usize = 1 << 28;

/// Which of an image's recipes a block follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// File contents and fragments.
    Data,
    /// Inodes, directories and tables.
    Metadata,
}

/// One compressed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where in the image.
    pub(super) range: Range<usize>,
    pub(super) role: Role,
}

/// A squashfs inside the bytes given.
pub(super) struct Squashfs {
    /// The image in those bytes.
    pub(super) range: Range<usize>,
    /// Compressed blocks, sorted, disjoint.
    pub(super) blocks: Vec<Block>,
    /// How blocks are compressed, or `None` if this program cannot open them.
    pub(super) form: Option<Form>,
    /// The most plain bytes of a data block.
    pub(super) block_size: usize,
    /// The compressor's options as they are stored.
    options: Vec<u8>,
}

impl Squashfs {
    /// What the image itself says about how its blocks were made.
    pub(super) fn hints(&self) -> Vec<Recipe> {
        match self.form {
            Some(Form::Zlib) => {
                let level = u32_at(&self.options, 0).map_or(9, |level| level.clamp(1, 9) as u8);
                let window = u16_at(&self.options, 4).map_or(15, |bits| bits.clamp(9, 15) as u8);
                let with = |strategy| {
                    let options =
                        DeflateOptions { level, window_bits: window, mem_level: 8, strategy };
                    Recipe::Deflate { wrapper: Wrapper::Raw, options }
                };
                strategies(u16_at(&self.options, 6).unwrap_or(0)).map(with).collect()
            }
            Some(Form::Zstd) => {
                let level = u32_at(&self.options, 0).map_or(15, |level| level.clamp(1, 22) as i8);
                let known = ZstdOptions::CONTENT_SIZE | ZstdOptions::PLEDGED;
                let with = |switches, splitter| {
                    let options = ZstdOptions { level, switches, splitter, ..Default::default() };
                    Recipe::Zstd(options)
                };
                alloc::vec![with(known, 1), with(known | ZstdOptions::AT_ONCE, 0)]
            }
            _ => Vec::new(),
        }
    }
}

/// zlib's numbers of the strategies that were tried for each block, out of a bit for each;
/// and the default one, which metadata always has.
fn strategies(bits: u16) -> impl Iterator<Item = u8> {
    let named = (0..5).filter(move |number| bits >> number & 1 == 1);
    named.chain((bits & 1 == 0).then_some(0))
}

struct Super {
    compressor: u16,
    block_size: usize,
    fragments: usize,
    ids: usize,
    inodes: usize,
    flags: u16,
    used: usize,
    id_table: u64,
    xattr_table: u64,
    inode_table: u64,
    directory_table: u64,
    fragment_table: u64,
    export_table: u64,
}

fn superblock(image: &[u8]) -> Option<Super> {
    (image.get(..4)? == b"hsqs").then_some(())?;
    let (major, log) = (u16_at(image, 28)?, u16_at(image, 22)?);
    let block_size = u32_at(image, 12)? as usize;
    (major == 4 && (12..=20).contains(&log) && block_size == 1 << log).then_some(())?;
    let used = usize::try_from(u64_at(image, 40)?).ok()?;
    (used >= SUPERBLOCK && used <= image.len()).then_some(())?;
    Some(Super {
        compressor: u16_at(image, 20)?,
        block_size,
        fragments: u32_at(image, 16)? as usize,
        ids: u16_at(image, 26)?.into(),
        inodes: u32_at(image, 4)? as usize,
        flags: u16_at(image, 24)?,
        used,
        id_table: u64_at(image, 48)?,
        xattr_table: u64_at(image, 56)?,
        inode_table: u64_at(image, 64)?,
        directory_table: u64_at(image, 72)?,
        fragment_table: u64_at(image, 80)?,
        export_table: u64_at(image, 88)?,
    })
}

/// Reads the squashfs that starts at the front of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Option<Squashfs> {
    let head = superblock(bytes)?;
    let image = bytes.get(..head.used)?;
    let form = match head.compressor {
        1 => Some(Form::Zlib),
        2 => Some(Form::Alone),
        4 => Some(Form::Xz),
        5 => Some(Form::Lz4(Framing::One { log: 0 })),
        6 => Some(Form::Zstd),
        _ => None,
    };
    let mut options = Vec::new();
    if head.flags & 0x400 != 0 {
        let len = usize::from(u16_at(image, SUPERBLOCK)? & !METADATA_PLAIN);
        options = image.get(SUPERBLOCK + 2..SUPERBLOCK + 2 + len)?.to_vec();
    }
    let mut walk = Walk { image, form, block_size: head.block_size, blocks: Vec::new() };
    // What cannot be followed ends the walk; the blocks so far are good all the same.
    let _ = walk.everything(&head);
    let mut blocks = walk.blocks;
    blocks.sort_by_key(|block| block.range.start);
    let mut end = SUPERBLOCK;
    blocks.retain(|block| {
        let fits = block.range.start >= end;
        end = end.max(block.range.end);
        fits
    });
    let range = 0..head.used;
    Some(Squashfs { range, blocks, form, block_size: head.block_size, options })
}

struct Walk<'a> {
    image: &'a [u8],
    form: Option<Form>,
    block_size: usize,
    blocks: Vec<Block>,
}

impl Walk<'_> {
    fn everything(&mut self, head: &Super) -> Option<()> {
        let tables = [
            (head.fragment_table, head.fragments.checked_mul(16)?),
            (head.export_table, head.inodes.checked_mul(8)?),
            (head.id_table, head.ids.checked_mul(4)?),
        ];
        let xattrs = self.xattrs(head);
        let mut fragments = Vec::new();
        let mut first = head.used as u64;
        for (table, len) in tables {
            if table == NONE || len == 0 {
                continue;
            }
            let content = self.table(table, len, &mut first)?;
            if table == head.fragment_table {
                fragments = content;
            }
        }
        if let Some(start) = xattrs {
            first = first.min(start);
        }
        let inodes = self.metadata(head.inode_table, head.directory_table)?;
        // Where directories end is where the next table's first block is.
        self.metadata(head.directory_table, first);
        for entry in fragments.chunks_exact(16) {
            self.data(u64_at(entry, 0)?, u32_at(entry, 8)?);
        }
        self.files(&inodes)
    }

    /// The blocks of a table that is reached through a list of positions.
    fn table(&mut self, list: u64, len: usize, first: &mut u64) -> Option<Vec<u8>> {
        let list = usize::try_from(list).ok()?;
        let mut content = Vec::new();
        *first = (*first).min(list as u64);
        for index in 0..len.div_ceil(METADATA) {
            let at = u64_at(self.image, list.checked_add(index * 8)?)?;
            *first = (*first).min(at);
            content.extend(self.metadata(at, at.checked_add(1)?)?);
            (content.len() <= TABLE_MAX).then_some(())?;
        }
        Some(content)
    }

    /// The extended attributes' blocks; says where they start.
    fn xattrs(&mut self, head: &Super) -> Option<u64> {
        if head.xattr_table == NONE {
            return None;
        }
        let list = usize::try_from(head.xattr_table).ok()?;
        let start = u64_at(self.image, list)?;
        let len = (u32_at(self.image, list.checked_add(8)?)? as usize).checked_mul(16)?;
        let mut first = head.xattr_table;
        self.table(head.xattr_table.checked_add(16)?, len, &mut first)?;
        self.metadata(start, first)?;
        Some(start)
    }

    /// A chain of metadata blocks from `at` until `end` is reached; its content.
    fn metadata(&mut self, at: u64, end: u64) -> Option<Vec<u8>> {
        let (mut at, end) = (usize::try_from(at).ok()?, usize::try_from(end).ok()?);
        let mut content = Vec::new();
        while at < end {
            let head = u16_at(self.image, at)?;
            let len = usize::from(head & !METADATA_PLAIN);
            let range = at.checked_add(2)?..at.checked_add(2 + len)?;
            let bytes = self.image.get(range.clone())?;
            at = range.end;
            if head & METADATA_PLAIN != 0 {
                content.extend_from_slice(bytes);
                continue;
            }
            content.extend(unpack(self.form?, bytes, METADATA)?.plain);
            (content.len() <= TABLE_MAX).then_some(())?;
            self.blocks.push(Block { range, role: Role::Metadata });
        }
        Some(content)
    }

    fn data(&mut self, at: u64, size: u32) {
        let len = (size & (DATA_PLAIN - 1)) as usize;
        let Ok(at) = usize::try_from(at) else { return };
        let inside = at.checked_add(len).is_some_and(|end| end <= self.image.len());
        if size & DATA_PLAIN == 0 && len > 0 && inside && self.form.is_some() {
            self.blocks.push(Block { range: at..at + len, role: Role::Data });
        }
    }

    /// The blocks of all files, by the inodes one after the other.
    fn files(&mut self, inodes: &[u8]) -> Option<()> {
        let mut at = 0usize;
        while at < inodes.len() {
            let inode = inodes.get(at..)?;
            let len = match u16_at(inode, 0)? {
                1 => 32,
                2 => {
                    let (start, size) = (u32_at(inode, 16)?.into(), u32_at(inode, 28)?.into());
                    self.file(inode, 32, start, size, u32_at(inode, 20)?)?
                }
                3 => 24 + u32_at(inode, 20)? as usize,
                4 | 5 => 24,
                6 | 7 => 20,
                8 => 40 + index_len(inode)?,
                9 => {
                    let (start, size) = (u64_at(inode, 16)?, u64_at(inode, 24)?);
                    self.file(inode, 56, start, size, u32_at(inode, 44)?)?
                }
                10 => 28 + u32_at(inode, 20)? as usize,
                11 | 12 => 28,
                13 | 14 => 24,
                _ => return None,
            };
            at = at.checked_add(len)?;
        }
        Some(())
    }

    /// The blocks of one file; the length of its inode.
    fn file(
        &mut self,
        inode: &[u8],
        list: usize,
        start: u64,
        size: u64,
        fragment: u32,
    ) -> Option<usize> {
        let block = self.block_size as u64;
        let count = if fragment == u32::MAX { size.div_ceil(block) } else { size / block };
        let count = usize::try_from(count).ok()?;
        let mut at = start;
        for index in 0..count {
            let size = u32_at(inode, list.checked_add(index.checked_mul(4)?)?)?;
            self.data(at, size);
            at = at.checked_add(u64::from(size & (DATA_PLAIN - 1)))?;
        }
        list.checked_add(count.checked_mul(4)?)
    }
}

/// The length of a directory's index.
fn index_len(inode: &[u8]) -> Option<usize> {
    let mut len = 0usize;
    for _ in 0..u16_at(inode, 32)? {
        let name = u32_at(inode, 40 + len + 8)? as usize;
        len = len.checked_add(12 + 1)?.checked_add(name)?;
        (len <= TABLE_MAX).then_some(())?;
    }
    Some(len)
}
