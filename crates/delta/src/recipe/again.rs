//! The words and the content of a stream that is being made, out of what is there of it.

use super::weave::{Loom, Woven};
use crate::codec::Fault;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of content that are given at a time.
pub(crate) const BATCH: usize = 16 << 10;

/// Reads bytes of the stream from a place in it.
pub(crate) type Read<'a, E> = dyn FnMut(u64, &mut [u8]) -> Result<(), E> + 'a;

/// Gets what is pushed.
pub(crate) type Sink<'a, E> = dyn FnMut(&[u8]) -> Result<(), E> + 'a;

/// Reads a stream whose words come between its content.
pub(crate) trait Retold {
    /// How they do.
    fn woven(&self) -> Option<Woven<'_>>;

    /// Reads the words of the next run, which ends with so many bytes of the content, for an
    /// empty vector. There are `there` bytes of the stream.
    fn words<E: From<Fault>>(
        &mut self,
        end: usize,
        there: u64,
        read: &mut Read<'_, E>,
        words: &mut Vec<u8>,
    ) -> Result<(), E>;

    /// Fills `out` with content, at least one byte; says how many. All words of it were read.
    fn content<E: From<Fault>>(
        &mut self,
        out: &mut [u8],
        read: &mut Read<'_, E>,
    ) -> Result<usize, E>;

    /// Bytes of the stream that were needed so far.
    fn took(&self) -> u64;
}

/// Gives words and content in the order in which they were pushed.
pub(crate) struct Again<R> {
    reader: R,
    /// Bytes of content of the whole stream, and of that which were given.
    content: usize,
    done: usize,
    loom: Loom,
    /// Words of a run, and how many bytes of them were given.
    words: Vec<u8>,
    given: usize,
    batch: Vec<u8>,
}

impl<R: Retold> Again<R> {
    /// Of so many bytes of content.
    pub(crate) fn new(reader: R, content: usize) -> Self {
        let (words, batch) = (Vec::new(), vec![0; BATCH]);
        Self { reader, content, done: 0, loom: Loom::default(), words, given: 0, batch }
    }

    /// Gives the next `count` bytes to `sink`, out of at most `there` bytes of the stream.
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
            let woven = self.reader.woven().ok_or(NOT_WOVEN)?;
            let due = self.loom.due(woven, self.content);
            if due.is_some_and(|due| due <= self.done) {
                let end = self.loom.end(woven);
                self.loom.pass(woven);
                self.words.clear();
                self.given = 0;
                self.reader.words(end, there, read, &mut self.words)?;
                continue;
            }
            let until = due.unwrap_or(self.content).saturating_sub(self.done);
            let most = until.min(room).min(BATCH);
            let batch = self.batch.get_mut(..most).unwrap_or_default();
            let filled = self.reader.content(batch, read)?;
            sink(batch.get(..filled).unwrap_or_default())?;
            self.done += filled;
            count -= filled as u64;
            if filled == 0 {
                return Err(E::from(NOT_WOVEN));
            }
        }
        Ok(self.reader.took())
    }
}

const NOT_WOVEN: Fault = "a stream cannot be read up to where it is gone on with";
