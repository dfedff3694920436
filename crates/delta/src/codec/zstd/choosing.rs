//! libzstd as a chooser of matches, one block of content after the other.

use super::{ZstdEncoder, ZstdOptions};
use crate::codec::{Fault, drain};
use crate::recipe::zstd_frame::{Head, Reader};
use crate::sequences::BLOCK;
use alloc::vec::Vec;

/// Chooses as the linked release does where content comes piece by piece. Of the frame that
/// it makes nothing is kept but what it chose.
pub(crate) struct Chooser {
    encoder: ZstdEncoder,
    reader: Reader,
    /// The head of the frame was read.
    is_begun: bool,
    /// What was made of the last block.
    made: Vec<u8>,
}

/// Bytes that are made of a block at most, in whole pages of what is drained at once.
const MADE: u64 = 2 * BLOCK as u64;

const NO_CHOICE: Fault = "what libzstd chose cannot be read";

impl Chooser {
    /// For `plain` bytes of content.
    pub(crate) fn new(options: ZstdOptions, plain: u64) -> Result<Self, Fault> {
        let encoder = ZstdEncoder::new(Self::options(options), plain)?;
        let made = Vec::with_capacity(MADE as usize);
        Ok(Self { encoder, reader: Reader::new(), is_begun: false, made })
    }

    /// Blocks of 128 KiB that are not divided, and nothing around them.
    fn options(options: ZstdOptions) -> ZstdOptions {
        let at_once = options.has(ZstdOptions::AT_ONCE);
        let pledged = if at_once { ZstdOptions::PLEDGED } else { 0 };
        let unwanted = ZstdOptions::AT_ONCE | ZstdOptions::CHECKSUM | ZstdOptions::CONTENT_SIZE;
        let switches = options.switches & !unwanted | pledged | ZstdOptions::NO_SPLIT_AFTER;
        ZstdOptions { switches, splitter: 1, ..options }
    }

    /// The words of the next block of content: 128 KiB, or what is left.
    pub(crate) fn next(&mut self, block: &[u8], words: &mut Vec<u8>) -> Result<(), Fault> {
        let is_last = block.len() < BLOCK;
        self.made.clear();
        let encoder = &mut self.encoder;
        drain(block, &mut self.made, is_last, |input, out, end| encoder.code(input, out, end))?;
        let mut made = self.made.as_slice();
        if !self.is_begun {
            let head = Head::read(made).ok_or(NO_CHOICE)?;
            made = made.get(head.len..).unwrap_or_default();
            self.is_begun = true;
        }
        let before = self.reader.done();
        self.reader.next_block(made).ok_or(NO_CHOICE)?;
        if self.reader.done() - before != block.len() {
            return Err(NO_CHOICE);
        }
        words.clear();
        self.reader.swap(words);
        Ok(())
    }

    /// Bytes that its context has allocated.
    #[cfg(test)]
    pub(crate) fn context_heap(&self) -> u64 {
        self.encoder.heap() + self.made.capacity() as u64
    }

    /// Bytes of heap that it takes beside words.
    pub(crate) fn heap(options: ZstdOptions, plain: u64) -> u64 {
        Self::options(options).encoder_heap(plain).saturating_add(MADE)
    }
}
