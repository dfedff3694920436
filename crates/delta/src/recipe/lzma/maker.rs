//! Makes a stream of its words and its content.

use super::super::xz::{self, Check};
use super::packer::{IMPOSSIBLE, Packer};
use super::{Frame, LzmaRecipe, Told};
use crate::codec::Fault;
use crate::packets::branch::{Branch, Way};
use alloc::vec::Vec;

/// Bytes of heap beside words, window and model: a chunk, and content on its way through a
/// converter.
pub(super) const HEAP: u64 = 112 << 10;

/// Makes a stream.
pub(crate) struct ToldMaker {
    recipe: LzmaRecipe,
    told: Told,
    /// Words that are still to come.
    wanted: usize,
    words: Vec<u8>,
    packer: Packer,
    /// Bytes of heads that were written.
    heads: usize,
    block: Option<Block>,
    /// Unpadded and plain size of each block so far.
    index: Vec<(u64, u64)>,
    started: bool,
}

/// A block of a stream.
struct Block {
    check: Check,
    branch: Option<Branch>,
    /// Bytes that wait for more behind them.
    waiting: Vec<u8>,
    plain: u64,
    /// Content that is still to come.
    left: u64,
    /// Bytes that came out before the content, and of it.
    head: u64,
    encoded: u64,
}

impl ToldMaker {
    /// Of `plain` bytes of words and content.
    pub(crate) fn new(recipe: LzmaRecipe, mut told: Told, plain: u64) -> Result<Self, Fault> {
        let sound = recipe.told && told.words as u64 <= plain && told.reach <= plain;
        sound.then_some(()).ok_or(IMPOSSIBLE)?;
        let in_chunks = matches!(recipe.frame, Frame::Xz { .. });
        let chunks = core::mem::take(&mut told.chunks);
        let packer = Packer::new(recipe.properties(), told.reach, in_chunks, chunks)?;
        let (wanted, words) = (told.words, Vec::with_capacity(told.words));
        let (block, index) = (None, Vec::new());
        Ok(Self { recipe, told, wanted, words, packer, heads: 0, block, index, started: false })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (words, mut plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        while !plain.is_empty() {
            let mut block = match self.block.take() {
                Some(block) => block,
                None => self.open(out)?,
            };
            let room = usize::try_from(block.left).unwrap_or(usize::MAX);
            let (now, later) = plain.split_at(room.min(plain.len()));
            plain = later;
            self.code(&mut block, now, out)?;
            if block.left == 0 {
                self.close(block, out)?;
            } else {
                self.block = Some(block);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let over = self.started && self.block.is_none() && self.packer.is_over();
        (over && self.heads == self.told.heads.len()).then_some(()).ok_or(IMPOSSIBLE)?;
        match self.recipe.frame {
            Frame::Xz { check, .. } => xz::put_index(&self.index, check, out),
            Frame::Alone | Frame::Lzip => out.extend_from_slice(&self.told.tail),
        }
        Ok(())
    }

    /// A block begins.
    fn open(&mut self, out: &mut Vec<u8>) -> Result<Block, Fault> {
        let (check, branch) = match self.recipe.frame {
            Frame::Xz { check, branch } => (check, branch),
            // There is one only.
            _ if self.started => return Err(IMPOSSIBLE),
            _ => (0, 0),
        };
        if !self.started {
            self.packer.hear(core::mem::take(&mut self.words));
            if let Frame::Xz { check, .. } = self.recipe.frame {
                xz::put_start(check, out);
            }
        }
        self.started = true;
        let left = self.packer.begin()?;
        let before = out.len();
        self.head(out)?;
        let head = (out.len() - before) as u64;
        let branch = Branch::new(branch, Way::ToAddresses);
        let (check, waiting) = (Check::new(check)?, Vec::new());
        Ok(Block { check, branch, waiting, plain: 0, left, head, encoded: 0 })
    }

    /// What stands before a block.
    fn head(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let heads = self.told.heads.get(self.heads..).unwrap_or_default();
        let head = match (self.recipe.frame, heads.first()) {
            (Frame::Xz { branch, .. }, _) if self.told.heads.is_empty() => {
                out.extend(xz::plain_header(branch, self.recipe.dict_byte));
                return Ok(());
            }
            (Frame::Xz { .. }, first) => {
                let words = usize::from(*first.ok_or(IMPOSSIBLE)?) + 1;
                heads.get(..words * 4).ok_or(IMPOSSIBLE)?
            }
            _ => heads,
        };
        out.extend_from_slice(head);
        self.heads += head.len();
        Ok(())
    }

    /// Content of a block.
    fn code(&mut self, block: &mut Block, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        block.check.take(plain);
        block.plain += plain.len() as u64;
        block.left -= plain.len() as u64;
        let before = out.len();
        match &mut block.branch {
            None => self.packer.code(plain, out)?,
            Some(branch) => {
                let bytes = &mut block.waiting;
                bytes.extend_from_slice(plain);
                let done = branch.code(bytes);
                // The last bytes stay as they are.
                let done = if block.left == 0 { bytes.len() } else { done };
                self.packer.code(bytes.get(..done).unwrap_or_default(), out)?;
                bytes.drain(..done);
            }
        }
        block.encoded += (out.len() - before) as u64;
        Ok(())
    }

    /// A block ends.
    fn close(&mut self, mut block: Block, out: &mut Vec<u8>) -> Result<(), Fault> {
        let before = out.len();
        self.packer.end(self.told.marked, out)?;
        block.encoded += (out.len() - before) as u64;
        if let Frame::Xz { .. } = self.recipe.frame {
            xz::pad(out, block.encoded);
            let sum = block.check.put(out);
            self.index.push((block.head + block.encoded + sum, block.plain));
        }
        Ok(())
    }
}
