//! The words and the content of a frame that is being made, out of what is there of it.

use super::{MAGIC, Told, WORDS_HEAP};
use crate::codec::Fault;
use crate::codec::zstd::{self, ZstdDecoder};
use crate::recipe::WINDOW_LOG_MAX;
use crate::recipe::again::{self, BATCH, Read, Retold};
use crate::recipe::weave::Woven;
use crate::recipe::zstd_frame::{self, Head, Reader};
use crate::sequences::BLOCK;
use alloc::vec::Vec;

/// The frame is read twice, block by block: for its words, and behind that for its content.
pub(crate) struct ToldAgain {
    told: Told,
    reader: Reader,
    /// Bytes of the frame whose words were read.
    at: u64,
    block: Vec<u8>,
    decoder: ZstdDecoder,
    /// Bytes of the frame that the decoder got, and what it did not take yet.
    fed: u64,
    input: Vec<u8>,
}

/// The window of a frame, as a power of two.
fn window(told: &Told) -> Option<u32> {
    let head = Head::read(&[&MAGIC, told.head.as_slice()].concat())?;
    let log = head.window.max(1 << 10).checked_next_power_of_two()?.ilog2();
    (log <= u32::from(WINDOW_LOG_MAX)).then_some(log)
}

/// Bytes of heap that it takes; none where a frame cannot be read before it is complete.
pub(crate) fn heap(told: &Told) -> Option<u64> {
    told.weave.as_ref()?;
    let own = (BLOCK + 3 + 2 * BATCH) as u64 + WORDS_HEAP;
    Some(zstd::decoder_heap(window(told)?).saturating_add(own))
}

/// Of a frame of `plain` bytes of words and content.
pub(crate) fn again(told: Told, plain: u64) -> Result<again::Again<ToldAgain>, Fault> {
    let decoder = ZstdDecoder::new(window(&told).ok_or(NO_FRAME)?)?;
    let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
    let reader = if told.blocks.is_empty() { Reader::new() } else { Reader::each() };
    let at = (MAGIC.len() + told.head.len()) as u64;
    let block = Vec::with_capacity(BLOCK + 3);
    let reader = ToldAgain { told, reader, at, block, decoder, fed: 0, input: Vec::new() };
    Ok(again::Again::new(reader, content.ok_or(NO_FRAME)?))
}

impl Retold for ToldAgain {
    fn woven(&self) -> Option<Woven<'_>> {
        self.told.woven()
    }

    fn words<E: From<Fault>>(
        &mut self,
        _: usize,
        there: u64,
        read: &mut Read<'_, E>,
        words: &mut Vec<u8>,
    ) -> Result<(), E> {
        loop {
            let mut head = [0; 3];
            if self.at + 3 > there || self.reader.ended {
                return Err(E::from(NO_FRAME));
            }
            read(self.at, &mut head)?;
            let (size, _) = zstd_frame::block(head);
            let end = self.at + 3 + size as u64;
            if size > BLOCK || end > there {
                return Err(E::from(NO_FRAME));
            }
            self.block.resize(3 + size, 0);
            read(self.at, &mut self.block)?;
            self.reader.next_block(&self.block).ok_or(NO_FRAME)?;
            self.at = end;
            if self.reader.is_between() {
                self.reader.swap(words);
                return Ok(());
            }
        }
    }

    fn content<E: From<Fault>>(
        &mut self,
        out: &mut [u8],
        read: &mut Read<'_, E>,
    ) -> Result<usize, E> {
        loop {
            if self.input.is_empty() {
                let len = self.at.saturating_sub(self.fed).min(BATCH as u64) as usize;
                self.input.resize(len, 0);
                read(self.fed, &mut self.input)?;
                self.fed += len as u64;
            }
            let step = self.decoder.code(&self.input, out)?;
            self.input.drain(..step.consumed);
            if step.filled > 0 {
                return Ok(step.filled);
            }
            if step.done || step.consumed == 0 && self.fed == self.at {
                return Err(E::from(NO_FRAME));
            }
        }
    }

    fn took(&self) -> u64 {
        self.at
    }
}

const NO_FRAME: Fault = "a frame cannot be read up to where it is gone on with";
