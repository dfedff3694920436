//! The words and the content of a stream that is being made, out of what is there of it.

use super::Wrapper;
use super::told::Told;
use crate::codec::Fault;
use crate::codec::deflate::Deflate;
use crate::recipe::again::{self, BATCH, Read, Retold};
use crate::recipe::weave::Woven;
use crate::recipe::words::Gather;
use crate::tokens::{Hearing, WORDS_HEAP};
use alloc::vec;
use alloc::vec::Vec;

/// The stream is read twice: for its words, and behind that for its content.
pub(crate) struct ToldAgain {
    told: Told,
    hearing: Hearing,
    /// Bytes of the stream that were read for words, and of those what was not used.
    at: u64,
    heard: Vec<u8>,
    /// Words that are known, and how many bytes of them were given.
    words: Vec<u8>,
    given: usize,
    content: Deflate,
    /// Bytes of the stream that were read for content, and what was not used of them.
    fed: u64,
    input: Vec<u8>,
}

/// Words are made up to so many bytes at once, about, and so many of the stream are read.
const WORDS: usize = 4 << 10;
const PIECE: usize = 4 << 10;

/// Bytes of heap that it takes; none where all words come first.
pub(crate) fn heap(told: &Told) -> Option<u64> {
    let held = told.weave.as_ref()?.held as u64;
    let own = super::DECODER_HEAP + 2 * WORDS_HEAP + 4 * BATCH as u64;
    Some(held.saturating_mul(2).saturating_add(own))
}

/// Of a stream of `plain` bytes of words and content.
pub(crate) fn again(
    wrapper: Wrapper,
    told: Told,
    plain: u64,
) -> Result<again::Again<ToldAgain>, Fault> {
    let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
    let at = wrapper.head().len() as u64;
    let built = told.gathered > 0;
    let reader = ToldAgain {
        told,
        hearing: if built { Hearing::new() } else { Hearing::of_told_codes() },
        at,
        heard: Vec::with_capacity(2 * BATCH),
        words: Vec::with_capacity(WORDS_HEAP as usize),
        given: 0,
        content: Deflate::decoder()?,
        fed: at,
        input: Vec::new(),
    };
    Ok(again::Again::new(reader, content.ok_or(NO_STREAM)?))
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
            let mut rest = self.words.get(self.given..).unwrap_or_default();
            let before = rest.len();
            let mut all = false;
            let gathered = Gather::default().take(&mut rest, words, |sequence| {
                all = sequence.length == 0;
                all
            });
            gathered.ok_or(NO_STREAM)?;
            self.given += before - rest.len();
            if all {
                return Ok(());
            }
            self.words.clear();
            self.given = 0;
            self.hear(there, read)?;
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
            let step = self.content.code(&self.input, out, false)?;
            self.input.drain(..step.consumed);
            if step.filled > 0 {
                return Ok(step.filled);
            }
            if step.done || step.consumed == 0 && self.fed == self.at {
                return Err(E::from(NO_STREAM));
            }
        }
    }

    fn took(&self) -> u64 {
        self.at
    }
}

impl ToldAgain {
    /// Reads until there are words.
    fn hear<E: From<Fault>>(&mut self, there: u64, read: &mut Read<'_, E>) -> Result<(), E> {
        let mut all = false;
        loop {
            let used = self.hearing.hear(&self.heard, all, &mut self.words, WORDS);
            self.heard.drain(..used.ok_or(NO_STREAM)?);
            if !self.words.is_empty() {
                return Ok(());
            }
            if self.hearing.ended {
                return Err(E::from(NO_STREAM));
            }
            // Only what is needed: the image has to have all that is read.
            let len = there.saturating_sub(self.at).min(PIECE as u64) as usize;
            let before = self.heard.len();
            self.heard.extend(vec![0; len]);
            read(self.at, self.heard.get_mut(before..).unwrap_or_default())?;
            self.at += len as u64;
            all = len == 0;
        }
    }
}

const NO_STREAM: Fault = "a deflate stream cannot be read up to where it is gone on with";
