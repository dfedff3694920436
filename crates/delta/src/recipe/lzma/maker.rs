//! Makes a stream of its words and its content.

use super::super::weave::Loom;
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
    /// Words that are still to come before all content.
    wanted: usize,
    /// Words that come between the content, of which there are so many bytes, and so many
    /// came.
    loom: Loom,
    content: usize,
    done: usize,
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
    /// Content that is still to come, where all of its words did.
    left: Option<u64>,
    /// Bytes that came out before the content, and of it.
    head: u64,
    encoded: u64,
}

impl ToldMaker {
    /// Of `plain` bytes of words and content.
    pub(crate) fn new(recipe: LzmaRecipe, mut told: Told, plain: u64) -> Result<Self, Fault> {
        let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
        let content = content.filter(|_| recipe.told && told.reach <= plain).ok_or(IMPOSSIBLE)?;
        let in_chunks = matches!(recipe.frame, Frame::Xz { .. });
        let chunks = core::mem::take(&mut told.chunks);
        let packer = Packer::new(recipe.properties(), told.reach, told.held(), in_chunks, chunks)?;
        Ok(Self {
            recipe,
            wanted: if told.weave.is_some() { 0 } else { told.words },
            told,
            loom: Loom::default(),
            content,
            done: 0,
            packer,
            heads: 0,
            block: None,
            index: Vec::new(),
            started: false,
        })
    }

    pub(crate) fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.wanted > 0 {
            let (words, rest) = plain.split_at(self.wanted.min(plain.len()));
            self.packer.hear().extend_from_slice(words);
            self.wanted -= words.len();
            plain = rest;
        }
        loop {
            let until = self.weave(&mut plain)?;
            if plain.is_empty() {
                return Ok(());
            }
            let mut block = match self.block.take() {
                Some(block) => block,
                None => self.open(out)?,
            };
            block.left = self.packer.content().map(|content| content.saturating_sub(block.plain));
            let room = block.left.and_then(|left| usize::try_from(left).ok());
            let room = room.unwrap_or(usize::MAX).min(until);
            let (now, later) = plain.split_at(room.min(plain.len()));
            if now.is_empty() {
                return Err(IMPOSSIBLE);
            }
            plain = later;
            self.done = self.done.saturating_add(now.len());
            self.code(&mut block, now, out)?;
            if block.left == Some(0) {
                self.close(block, out)?;
            } else {
                self.block = Some(block);
            }
        }
    }

    /// Takes words off the front of what comes, where they come between the content;
    /// returns how much content comes before the next ones.
    fn weave(&mut self, plain: &mut &[u8]) -> Result<usize, Fault> {
        let Some(woven) = self.told.woven() else { return Ok(usize::MAX) };
        let most = self.told.held();
        while let Some(due) = self.loom.due(woven, self.content) {
            if due > self.done || plain.is_empty() {
                return Ok(due.saturating_sub(self.done));
            }
            let words = self.packer.hear();
            let room = most.saturating_sub(words.len()).min(plain.len());
            let (mut now, _) = plain.split_at(room);
            let came = self.loom.take(woven, &mut now, words).ok_or(IMPOSSIBLE)?;
            let used = room - now.len();
            *plain = plain.get(used..).unwrap_or_default();
            if !came && used == 0 {
                return Err(IMPOSSIBLE);
            }
        }
        Ok(usize::MAX)
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
        if let (false, Frame::Xz { check, .. }) = (self.started, self.recipe.frame) {
            xz::put_start(check, out);
        }
        self.started = true;
        self.packer.begin();
        let before = out.len();
        self.head(out)?;
        let head = (out.len() - before) as u64;
        let branch = Branch::new(branch, Way::ToAddresses);
        let (check, waiting) = (Check::new(check)?, Vec::new());
        Ok(Block { check, branch, waiting, plain: 0, left: None, head, encoded: 0 })
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
        block.left = block.left.map(|left| left.saturating_sub(plain.len() as u64));
        let before = out.len();
        match &mut block.branch {
            None => self.packer.code(plain, out)?,
            Some(branch) => {
                let bytes = &mut block.waiting;
                bytes.extend_from_slice(plain);
                let done = branch.code(bytes);
                // The last bytes stay as they are.
                let done = if block.left == Some(0) { bytes.len() } else { done };
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
