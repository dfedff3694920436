//! Deflate of any encoder: what it chose is told, before the content.
//!
//! Nothing is searched, and no library is needed to make such a stream again.

use super::{Sums, Wrapper};
use crate::codec::deflate::Deflate;
use crate::codec::{Fault, Progress};
use crate::correction::{CorrectionError, number};
use crate::tokens::{Hearing, Speaking, WORDS_HEAP};
use alloc::vec::Vec;

/// What a correction says of a stream that is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Bytes of words.
    pub(crate) words: usize,
    /// The most tokens of a block whose codes are built of them.
    pub(crate) gathered: u64,
}

/// Bytes that a token takes which is held, and twice what is written of it at once, as a
/// vector grows: at most 6 bytes, once in the writer and once behind it.
const HELD: u64 = 6 + 4 * 6;

/// Bytes of heap beside words and tokens: the codes of a block, and those it is built of.
const MAKER_HEAP: u64 = 32 << 10;

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let words = usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX);
        let gathered = number(&mut bytes)?;
        Ok(Self { words, gathered })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for value in [self.words as u64, self.gathered] {
            crate::correction::put_number(&mut out, value);
        }
        out
    }

    /// Bytes of heap that making the stream takes.
    pub(crate) fn heap(&self) -> u64 {
        let held = self.gathered.saturating_mul(HELD);
        (self.words as u64).saturating_add(held).saturating_add(MAKER_HEAP)
    }
}

/// Makes a stream of words and content.
pub(crate) struct ToldMaker {
    sums: Sums,
    started: bool,
    /// Words that are still to come.
    wanted: usize,
    words: Vec<u8>,
    /// Bytes of words that were used.
    at: usize,
    speaking: Option<Speaking>,
}

impl ToldMaker {
    /// Of `plain` bytes of words and content.
    pub(crate) fn new(wrapper: Wrapper, told: &[u8], plain: u64) -> Result<Self, Fault> {
        let told = Told::read(told).map_err(|_| IMPOSSIBLE)?;
        (told.words as u64 <= plain).then_some(()).ok_or(IMPOSSIBLE)?;
        let speaking = Some(Speaking::new(told.gathered).ok_or(IMPOSSIBLE)?);
        let (sums, wanted) = (Sums::new(wrapper), told.words);
        Ok(Self { sums, started: false, wanted, words: Vec::with_capacity(wanted), at: 0, speaking })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (words, plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        if !self.started {
            self.started = true;
            self.sums.head(out);
        }
        if self.wanted > 0 {
            return Ok(());
        }
        self.sums.take(plain);
        let speaking = self.speaking.as_mut().ok_or(IMPOSSIBLE)?;
        let words = self.words.get(self.at..).unwrap_or_default();
        self.at += speaking.push(words, plain, out).ok_or(IMPOSSIBLE)?;
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.push(&[], out)?;
        let whole = self.wanted == 0 && self.at == self.words.len();
        whole.then_some(()).ok_or(IMPOSSIBLE)?;
        let speaking = self.speaking.take().ok_or(IMPOSSIBLE)?;
        speaking.finish(out).ok_or(IMPOSSIBLE)?;
        self.sums.tail(out);
        Ok(())
    }
}

const IMPOSSIBLE: Fault = "what is told leads to no deflate stream";

/// Bytes of words or content that are made at once, about.
const BATCH: usize = 16 << 10;

/// The most bytes of a stream of so many bytes of words and content.
pub(crate) fn encoded_max(plain: u64) -> u64 {
    plain.saturating_add(plain / 64).saturating_add(1 << 10)
}

/// Bytes of heap that reading a stream takes beside zlib.
pub(crate) fn reader_heap(plain: u64) -> u64 {
    encoded_max(plain).saturating_add(2 * WORDS_HEAP + BATCH as u64 + MAKER_HEAP)
}

/// Reads a stream: its words, and then its content. It is held until it is complete; no
/// input says so.
pub(crate) struct ToldReader {
    stream: Vec<u8>,
    hearing: Hearing,
    /// Bytes of the stream that were read for words.
    at: usize,
    words: Vec<u8>,
    /// Bytes of them that went out.
    given: usize,
    content: Deflate,
    /// Bytes of the stream that were read for content.
    done: usize,
}

impl ToldReader {
    /// Of a stream of `plain` bytes of words and content.
    pub(crate) fn new(wrapper: Wrapper, plain: u64) -> Result<Self, Fault> {
        let most = usize::try_from(encoded_max(plain)).map_err(|_| TOO_LONG)?;
        let (mut stream, mut words) = (Vec::new(), Vec::new());
        stream.try_reserve_exact(most).map_err(|_| TOO_LONG)?;
        words.try_reserve_exact(WORDS_HEAP as usize + BATCH).map_err(|_| TOO_LONG)?;
        let start = wrapper.head().len();
        let (hearing, content) = (Hearing::new(), Deflate::decoder()?);
        Ok(Self { stream, hearing, at: start, words, given: 0, content, done: start })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        if !input.is_empty() {
            if input.len() > self.stream.capacity() - self.stream.len() {
                return Err(TOO_LONG);
            }
            self.stream.extend_from_slice(input);
            return Ok(Progress { consumed: input.len(), filled: 0, done: false });
        }
        let mut filled = self.tell(out)?;
        let mut done = false;
        if self.hearing.ended && self.given == self.words.len() {
            let rest = self.stream.get(self.done..).unwrap_or_default();
            let room = out.get_mut(filled..).unwrap_or_default();
            let step = self.content.code(rest, room, false)?;
            self.done += step.consumed;
            filled += step.filled;
            done = step.done;
        }
        Ok(Progress { consumed: 0, filled, done })
    }

    /// Gives words; returns how many bytes.
    fn tell(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        loop {
            let rest = self.words.get(self.given..).unwrap_or_default();
            let room = out.get_mut(filled..).unwrap_or_default();
            let count = rest.len().min(room.len());
            room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.given += count;
            filled += count;
            if self.given < self.words.len() || self.hearing.ended {
                return Ok(filled);
            }
            self.words.clear();
            self.given = 0;
            let rest = self.stream.get(self.at..).ok_or(NO_STREAM)?;
            let read = self.hearing.hear(rest, true, &mut self.words, BATCH).ok_or(NO_STREAM)?;
            self.at += read;
        }
    }
}

const TOO_LONG: Fault = "a deflate stream is longer than its content can be";
const NO_STREAM: Fault = "damaged deflate stream";
