//! The .xz container (version 1.2.1 of its format) around raw LZMA2, so that
//! every way in which programs fill it in can be repeated.

use crate::codec::lzma::{Chain, Lzma, LzmaOptions, crc32, crc64, encoder_heap as raw_heap};
use crate::codec::{Fault, drain};
use crate::correction::put_number;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// How an .xz stream was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XzRecipe {
    /// The number of the check: 0 none, 1 CRC-32, 4 CRC-64, 10 SHA-256.
    pub check: u8,
    /// The block headers state sizes, as programs do that have whole blocks in memory.
    pub sized: bool,
    /// Plain bytes of each block but the last; 0 is one block for all.
    pub block: u64,
    /// The branch converter's number in the format, or 0.
    pub branch: u8,
    /// The dictionary as the block header states it.
    pub dict_byte: u8,
    /// What the encoder is told. Its dictionary may be smaller than what is stated.
    pub options: LzmaOptions,
}

impl XzRecipe {
    pub(crate) fn chain(&self) -> Chain {
        Chain::Lzma2((self.branch != 0).then_some(self.branch.into()))
    }
}

/// The dictionary that a header byte states, in bytes.
pub(crate) fn dictionary(byte: u8) -> Option<u32> {
    match byte {
        0..=39 => Some((2 | u32::from(byte & 1)) << (u32::from(byte) / 2 + 11)),
        40 => Some(u32::MAX),
        _ => None,
    }
}

/// The smallest header byte that states at least `dict` bytes.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn dictionary_byte(dict: u32) -> u8 {
    (0..40).find(|byte| dictionary(*byte).is_some_and(|size| size >= dict)).unwrap_or(40)
}

/// Bytes that encoding `plain` bytes takes. The match finder's tables are
/// allocated for the whole dictionary; of its two position arrays and of the
/// window only as much is ever touched as there are bytes.
pub(crate) fn encoder_heap(recipe: &XzRecipe, plain: u64) -> u64 {
    let block = if recipe.block == 0 { plain } else { plain.min(recipe.block) };
    let buffered = if recipe.sized { block.saturating_add(block / 8 + 4096) } else { 0 };
    raw_heap(recipe.chain(), recipe.options)
        .saturating_sub(untouched(recipe.options, block))
        .saturating_add(buffered)
}

/// Bytes that liblzma allocates for a dictionary and that `plain` bytes of
/// content never reach.
pub(crate) fn untouched(options: LzmaOptions, plain: u64) -> u64 {
    let dict = u64::from(options.dict);
    let links = if options.finder & 0x10 == 0 { 4 } else { 8 };
    let unused = dict.saturating_sub(plain);
    // The window is the dictionary, half of it again, and a constant.
    let window = (dict + dict / 2).saturating_sub(plain);
    // What malloc gives from its own arenas may have been touched before.
    const FROM_MMAP: u64 = 1 << 20;
    let kept = |bytes: u64| if bytes < FROM_MMAP { 0 } else { bytes };
    kept(unused * links) + kept(window)
}

pub(super) enum Check {
    None,
    Crc32(u32),
    Crc64(u64),
    Sha256(Sha256),
}

impl Check {
    pub(super) fn new(number: u8) -> Result<Self, Fault> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Crc32(0)),
            4 => Ok(Self::Crc64(0)),
            10 => Ok(Self::Sha256(Sha256::new())),
            _ => Err("unknown check of an xz stream"),
        }
    }

    pub(super) fn take(&mut self, plain: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32(sum) => *sum = crc32(plain, *sum),
            Self::Crc64(sum) => *sum = crc64(plain, *sum),
            Self::Sha256(sum) => sum.update(plain),
        }
    }

    /// Writes the sum; says how many bytes it has.
    pub(super) fn put(self, out: &mut Vec<u8>) -> u64 {
        let before = out.len();
        match self {
            Self::None => {}
            Self::Crc32(sum) => out.extend(sum.to_le_bytes()),
            Self::Crc64(sum) => out.extend(sum.to_le_bytes()),
            Self::Sha256(sum) => out.extend(sum.finalize()),
        }
        (out.len() - before) as u64
    }
}

/// One block that is being encoded.
struct Block {
    codec: Lzma,
    check: Check,
    /// Encoded bytes that wait for the header in front of them.
    waiting: Vec<u8>,
    plain: u64,
    encoded: u64,
}

/// Writes one stream.
pub(crate) struct XzEncoder {
    recipe: XzRecipe,
    block: Option<Block>,
    /// Unpadded and plain size of each block so far.
    index: Vec<(u64, u64)>,
    started: bool,
}

impl XzEncoder {
    pub(crate) fn new(recipe: XzRecipe) -> Result<Self, Fault> {
        Check::new(recipe.check)?;
        Ok(Self { recipe, block: None, index: Vec::new(), started: false })
    }

    pub(crate) fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.start(out);
        while !plain.is_empty() {
            let mut block = match self.block.take() {
                Some(block) => block,
                None => self.open(out)?,
            };
            let size = if self.recipe.block == 0 { u64::MAX } else { self.recipe.block };
            let room = usize::try_from(size - block.plain).unwrap_or(usize::MAX);
            let (now, later) = plain.split_at(room.min(plain.len()));
            plain = later;
            self.code(&mut block, now, false, out)?;
            if block.plain == size {
                self.close(block, out)?;
            } else {
                self.block = Some(block);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.start(out);
        if let Some(block) = self.block.take() {
            self.close(block, out)?;
        }
        put_index(&self.index, self.recipe.check, out);
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            put_start(self.recipe.check, out);
            self.started = true;
        }
    }

    fn open(&self, out: &mut Vec<u8>) -> Result<Block, Fault> {
        if !self.recipe.sized {
            out.extend(header(&self.recipe, None, 0));
        }
        Ok(Block {
            codec: Lzma::raw_encoder(self.recipe.chain(), self.recipe.options)?,
            check: Check::new(self.recipe.check)?,
            waiting: Vec::new(),
            plain: 0,
            encoded: 0,
        })
    }

    fn code(
        &self,
        block: &mut Block,
        plain: &[u8],
        finish: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Block { codec, check, waiting, .. } = block;
        check.take(plain);
        let to = if self.recipe.sized { waiting } else { out };
        let before = to.len();
        drain(plain, to, finish, |input, out, end| codec.code(input, out, end))?;
        block.encoded += (to.len() - before) as u64;
        block.plain += plain.len() as u64;
        Ok(())
    }

    fn close(&mut self, mut block: Block, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.code(&mut block, &[], true, out)?;
        let sizes = self.recipe.sized.then_some((block.encoded, block.plain));
        let most = if self.recipe.block == 0 { block.plain } else { self.recipe.block };
        let header = header(&self.recipe, sizes, most);
        if self.recipe.sized {
            out.extend_from_slice(&header);
            out.extend_from_slice(&block.waiting);
        }
        pad(out, block.encoded);
        let sum = block.check.put(out);
        self.index.push((header.len() as u64 + block.encoded + sum, block.plain));
        Ok(())
    }
}

/// Bytes of a check.
pub(crate) fn check_len(number: u8) -> usize {
    match number {
        1 => 4,
        4 => 8,
        10 => 32,
        _ => 0,
    }
}

/// The head of a stream.
pub(super) fn put_start(check: u8, out: &mut Vec<u8>) {
    out.extend([0xfd, b'7', b'z', b'X', b'Z', 0, 0, check]);
    out.extend(crc32(&[0, check], 0).to_le_bytes());
}

/// What stands behind the blocks, of which unpadded and plain sizes are given.
pub(super) fn put_index(index: &[(u64, u64)], check: u8, out: &mut Vec<u8>) {
    let before = out.len();
    out.push(0);
    put_number(out, index.len() as u64);
    for (unpadded, plain) in index {
        put_number(out, *unpadded);
        put_number(out, *plain);
    }
    pad(out, (out.len() - before) as u64);
    let sum = crc32(out.get(before..).unwrap_or_default(), 0);
    out.extend(sum.to_le_bytes());
    let index = ((out.len() - before) / 4 - 1) as u32;
    let mut tail = Vec::with_capacity(6);
    tail.extend(index.to_le_bytes());
    tail.extend([0, check]);
    out.extend(crc32(&tail, 0).to_le_bytes());
    out.extend(tail);
    out.extend(*b"YZ");
}

/// A block header. Room for the sizes is that of the largest block, because
/// programs lay the header out before they know them.
fn header(recipe: &XzRecipe, sizes: Option<(u64, u64)>, most: u64) -> Vec<u8> {
    filters_header(recipe.branch, recipe.dict_byte, sizes, most)
}

/// A block header without sizes.
pub(crate) fn plain_header(branch: u8, dict_byte: u8) -> Vec<u8> {
    filters_header(branch, dict_byte, None, 0)
}

fn filters_header(branch: u8, dict_byte: u8, sizes: Option<(u64, u64)>, most: u64) -> Vec<u8> {
    let filters = u8::from(branch != 0);
    let mut body = Vec::with_capacity(32);
    body.extend([0, filters | if sizes.is_some() { 0xc0 } else { 0 }]);
    let mut len = body.len();
    if let Some((encoded, plain)) = sizes {
        put_number(&mut body, encoded);
        put_number(&mut body, plain);
        // An uncompressed LZMA2 chunk of 64 KiB has a header of three bytes.
        let bound = most + most.div_ceil(1 << 16) * 3 + 1;
        len += number_len(bound) + number_len(most);
    }
    let at = body.len();
    if branch != 0 {
        body.extend([branch, 0]);
    }
    body.extend([0x21, 1, dict_byte]);
    len += body.len() - at;
    body.resize((len + 4).next_multiple_of(4).saturating_sub(4).max(body.len()), 0);
    let size = (body.len() / 4) as u8;
    if let Some(first) = body.first_mut() {
        *first = size;
    }
    let sum = crc32(&body, 0);
    body.extend(sum.to_le_bytes());
    body
}

/// Bytes of the first block's header, for blocks of at most `plain` bytes.
#[cfg(any(test, feature = "diff"))]
pub(crate) fn header_len(recipe: &XzRecipe, plain: u64) -> usize {
    let most = if recipe.block == 0 { plain } else { recipe.block };
    header(recipe, recipe.sized.then_some((plain.max(1), plain)), most).len()
}

pub(super) fn pad(out: &mut Vec<u8>, len: u64) {
    out.resize(out.len() + (len.wrapping_neg() & 3) as usize, 0);
}

fn number_len(number: u64) -> usize {
    (64 - number.max(1).leading_zeros() as usize).div_ceil(7)
}
