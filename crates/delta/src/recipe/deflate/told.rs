//! Deflate of any encoder: what it chose is told, before the content or between it.
//!
//! Nothing is searched, and no library is needed to make such a stream again.

use super::{Sums, Wrapper};
use crate::codec::deflate::Deflate;
use crate::codec::{Fault, Progress};
use crate::correction::{CorrectionError, number};
#[cfg(any(test, feature = "diff"))]
use crate::recipe::weave::Mixed;
use crate::recipe::weave::{Loom, Rule, Weave, Woven};
use crate::sequences::BLOCK;
use crate::tokens::{Hearing, Speaking, WORDS_HEAP};
use alloc::vec::Vec;

/// What a correction says of a stream that is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Bytes of words.
    pub(crate) words: usize,
    /// The most tokens of a block whose codes are built of them.
    pub(crate) gathered: u64,
    /// Where words come between the content; none: all before it.
    pub(crate) weave: Option<Weave>,
}

/// Bytes that a token takes which is held, and twice what is written of it at once, as a
/// vector grows: at most 6 bytes, once in the writer and once behind it.
const HELD: u64 = 6 + 4 * 6;

/// Bytes of heap beside words and tokens: the codes of a block, and those it is built of.
const MAKER_HEAP: u64 = 32 << 10;

/// So much content later than they describe all words are used: a match is in its midst.
#[cfg(any(test, feature = "diff"))]
const SLACK: usize = 258;

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let mut size = || Ok(usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX));
        let (words, gathered, held) = (size()?, size()? as u64, size()?);
        let weave = (held > 0).then(|| Weave::read(held, &mut bytes)).transpose()?;
        Ok(Self { words, gathered, weave })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let weave = self.weave.as_ref().filter(|weave| weave.held > 0);
        let held = weave.map_or(0, |weave| weave.held);
        for value in [self.words as u64, self.gathered, held as u64] {
            crate::correction::put_number(&mut out, value);
        }
        if let Some(weave) = weave {
            weave.put(&mut out);
        }
        out
    }

    /// Bytes of heap that making the stream takes.
    pub(crate) fn heap(&self) -> u64 {
        let words = self.weave.as_ref().map_or(self.words as u64, Weave::heap);
        let held = self.gathered.saturating_mul(HELD);
        words.saturating_add(held).saturating_add(MAKER_HEAP)
    }

    /// How words come between the content, if they do.
    pub(crate) fn woven(&self) -> Option<Woven<'_>> {
        let weave = self.weave.as_ref()?;
        Some(Woven { weave, words: self.words, rule: Rule::Ends, runs: &[], usual: BLOCK })
    }

    /// Puts words between the content.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> Option<Mixed> {
        self.weave = Some(Weave::default());
        let (weave, mixed) = self.woven()?.mix(words, content, closed, SLACK)?;
        self.weave = Some(weave);
        Some(mixed)
    }
}

/// Makes a stream of words and content.
pub(crate) struct ToldMaker {
    sums: Sums,
    told: Told,
    started: bool,
    /// Words that are still to come before all content.
    wanted: usize,
    words: Vec<u8>,
    /// Bytes of words that were used, and of those that can be.
    at: usize,
    there: usize,
    loom: Loom,
    /// Bytes of content, and of that which came.
    content: usize,
    done: usize,
    speaking: Option<Speaking>,
}

impl ToldMaker {
    /// Of `plain` bytes of words and content.
    pub(crate) fn new(wrapper: Wrapper, told: &[u8], plain: u64) -> Result<Self, Fault> {
        let told = Told::read(told).map_err(|_| IMPOSSIBLE)?;
        let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
        let content = content.ok_or(IMPOSSIBLE)?;
        let speaking = Some(Speaking::new(told.gathered).ok_or(IMPOSSIBLE)?);
        let (wanted, most) = match &told.weave {
            None => (told.words, told.words),
            Some(weave) => (0, weave.held.min(told.words)),
        };
        Ok(Self {
            sums: Sums::new(wrapper),
            told,
            started: false,
            wanted,
            words: Vec::with_capacity(most),
            at: 0,
            there: 0,
            loom: Loom::default(),
            content,
            done: 0,
            speaking,
        })
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.started {
            self.started = true;
            self.sums.head(out);
        }
        let (words, mut plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        if self.told.weave.is_none() && self.wanted == 0 {
            self.there = self.words.len();
        }
        loop {
            let until = self.weave(&mut plain)?;
            let (now, later) = plain.split_at(until.min(plain.len()));
            self.done += now.len();
            self.sums.take(now);
            plain = later;
            let words = self.words.get(self.at..self.there).unwrap_or_default();
            let speaking = self.speaking.as_mut().ok_or(IMPOSSIBLE)?;
            self.at += speaking.push(words, now, out).ok_or(IMPOSSIBLE)?;
            if plain.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes words off the front of what comes, where they come between the content;
    /// returns how much content comes before the next ones.
    fn weave(&mut self, plain: &mut &[u8]) -> Result<usize, Fault> {
        let Some(woven) = self.told.woven() else { return Ok(usize::MAX) };
        while let Some(due) = self.loom.due(woven, self.content) {
            if due > self.done || plain.is_empty() {
                return Ok(due.saturating_sub(self.done));
            }
            self.words.drain(..self.at);
            self.there -= core::mem::take(&mut self.at);
            let all = self.loom.take(woven, plain, &mut self.words).ok_or(IMPOSSIBLE)?;
            if self.words.len() > woven.weave.held {
                return Err(IMPOSSIBLE);
            }
            if all {
                self.there = self.words.len();
            }
        }
        Ok(usize::MAX)
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

/// The most bytes of a stream of so many bytes of words and content: literals of fixed codes
/// have nine bits at most.
pub(crate) fn encoded_max(plain: u64) -> u64 {
    plain.saturating_add(plain / 8).saturating_add(1 << 10)
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
