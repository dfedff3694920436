//! The words and the content of a frame that is being made, out of what is there of it.

use super::weave::Loom;
use super::{MAGIC, Told, WORDS_HEAP};
use crate::codec::Fault;
use crate::codec::zstd::{self, ZstdDecoder};
use crate::recipe::WINDOW_LOG_MAX;
use crate::recipe::zstd_frame::{self, Head, Reader};
use crate::sequences::BLOCK;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of content that are read at a time.
const BATCH: usize = 16 << 10;

/// Gives words and content in the order in which they were pushed. The frame is read
/// twice, block by block: for its words, and behind that for its content.
pub(crate) struct ToldAgain {
    told: Told,
    /// Bytes of content of the whole frame, and of that which were given.
    content: usize,
    done: usize,
    loom: Loom,
    reader: Reader,
    /// Words of a block, and how many bytes of them were given.
    words: Vec<u8>,
    given: usize,
    /// Bytes of the frame whose words were read.
    at: u64,
    block: Vec<u8>,
    decoder: ZstdDecoder,
    /// Bytes of the frame that the decoder got, and what it did not take yet.
    fed: u64,
    input: Vec<u8>,
    batch: Vec<u8>,
}

/// Reads bytes of the frame from a place in it.
pub(crate) type Read<'a, E> = dyn FnMut(u64, &mut [u8]) -> Result<(), E> + 'a;

/// Gets what is pushed.
pub(crate) type Sink<'a, E> = dyn FnMut(&[u8]) -> Result<(), E> + 'a;

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

impl ToldAgain {
    /// Of a frame of `plain` bytes of words and content.
    pub(crate) fn new(told: Told, plain: u64) -> Result<Self, Fault> {
        let decoder = ZstdDecoder::new(window(&told).ok_or(NO_FRAME)?)?;
        let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
        let reader = if told.blocks.is_empty() { Reader::new() } else { Reader::each() };
        let at = (MAGIC.len() + told.head.len()) as u64;
        Ok(Self {
            told,
            content: content.ok_or(NO_FRAME)?,
            done: 0,
            loom: Loom::default(),
            reader,
            words: Vec::new(),
            given: 0,
            at,
            block: Vec::with_capacity(BLOCK + 3),
            decoder,
            fed: 0,
            input: Vec::new(),
            batch: vec![0; BATCH],
        })
    }

    /// Gives the next `count` bytes to `sink`, out of at most `there` bytes of the frame.
    /// Returns how many of those that took so far.
    pub(crate) fn give<E: From<Fault>>(
        &mut self,
        mut count: u64,
        there: u64,
        read: &mut Read<'_, E>,
        sink: &mut Sink<'_, E>,
    ) -> Result<u64, E> {
        while count > 0 {
            let waiting = self.words.get(self.given..).unwrap_or_default();
            let room = usize::try_from(count).unwrap_or(usize::MAX);
            if !waiting.is_empty() {
                let now = waiting.get(..room.min(waiting.len()).min(BATCH)).unwrap_or_default();
                sink(now)?;
                self.given += now.len();
                count -= now.len() as u64;
                continue;
            }
            let due = self.loom.due(&self.told, self.content);
            if due.is_some_and(|due| due <= self.done) {
                self.next_words(there, read)?;
                continue;
            }
            let until = due.unwrap_or(self.content).saturating_sub(self.done);
            let filled = self.decode(until.min(room), read)?;
            sink(self.batch.get(..filled).unwrap_or_default())?;
            self.done += filled;
            count -= filled as u64;
        }
        Ok(self.at)
    }

    /// Reads the words of the next block.
    fn next_words<E: From<Fault>>(&mut self, there: u64, read: &mut Read<'_, E>) -> Result<(), E> {
        self.words.clear();
        self.given = 0;
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
                self.reader.swap(&mut self.words);
                self.loom.pass(&self.told);
                return Ok(());
            }
        }
    }

    /// Decodes up to `count` bytes of content, at least one, out of what was read for its
    /// words.
    fn decode<E: From<Fault>>(&mut self, count: usize, read: &mut Read<'_, E>) -> Result<usize, E> {
        loop {
            if self.input.is_empty() {
                let len = self.at.saturating_sub(self.fed).min(BATCH as u64) as usize;
                self.input.resize(len, 0);
                read(self.fed, &mut self.input)?;
                self.fed += len as u64;
            }
            let room = self.batch.get_mut(..count.min(BATCH)).unwrap_or_default();
            let step = self.decoder.code(&self.input, room)?;
            self.input.drain(..step.consumed);
            if step.filled > 0 {
                return Ok(step.filled);
            }
            if step.done || step.consumed == 0 && self.fed == self.at {
                return Err(E::from(NO_FRAME));
            }
        }
    }
}

const NO_FRAME: Fault = "a frame cannot be read up to where it is gone on with";
