//! libzstd as a coder of sequences that are told.

use super::{End, Key, OFF, Params, ZstdEncoder, check, produce, sys};
use crate::codec::{Fault, drain};
use crate::recipe::words::Words;
use crate::sequences::Sequence;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::ptr::NonNull;

/// Codes blocks whose sequences come as words, without any match finder: what of the
/// content lies before a block makes no difference.
pub(crate) struct Telling {
    encoder: ZstdEncoder,
    source: NonNull<Source>,
    strategy: i8,
    splits: bool,
    /// Bytes of the context's own frame head that are still to come.
    head: usize,
}

// SAFETY: the source is owned by one value, like the context that asks it.
unsafe impl Send for Telling {}

/// Words, and how far they were told.
struct Source {
    words: Vec<u8>,
    at: usize,
    /// Content that was told.
    done: u64,
}

impl Iterator for Source {
    type Item = Sequence;

    fn next(&mut self) -> Option<Sequence> {
        let mut words = Words::new(self.words.get(self.at..)?);
        let sequence = words.next()?;
        self.at = self.words.len() - words.left();
        let start = self.done + u64::from(sequence.literals);
        self.done = start + u64::from(sequence.length);
        let there = u64::from(sequence.offset) <= start;
        let offset = sequence.offset != 0 || sequence.repeat != 0;
        let sound = there && (sequence.length == 0 || sequence.length >= 3 && offset);
        sound.then_some(sequence)
    }
}

impl Telling {
    /// Bytes of the head of a frame without magic number and size.
    const HEAD: usize = 2;

    pub(crate) fn new(words: Vec<u8>, strategy: i8, splits: bool) -> Result<Self, Fault> {
        let source = Box::new(Source { words, at: 0, done: 0 });
        let source = NonNull::from(Box::leak(source));
        // Whatever fails from here on, the source is freed with this value.
        let encoder = ZstdEncoder::bare();
        match encoder {
            Ok(encoder) => {
                let mut telling = Self { encoder, source, strategy, splits, head: Self::HEAD };
                telling.register()?;
                Ok(telling)
            }
            Err(fault) => {
                // SAFETY: leaked above, and nobody else has it.
                drop(unsafe { Box::from_raw(source.as_ptr()) });
                Err(fault)
            }
        }
    }

    /// The smallest tables, and a window of one block: nothing is searched.
    fn parameters(strategy: i8, splits: bool) -> [(Key, c_int); 14] {
        // Levels below zero do not code literals: the first strategy with any such length.
        let (strategy, target) = if strategy < 0 { (1, 1) } else { (strategy, 0) };
        [
            (Key::ZSTD_c_compressionLevel, 3),
            (Key::ZSTD_c_strategy, strategy.into()),
            (Key::ZSTD_c_targetLength, target),
            (Key::ZSTD_c_windowLog, 17),
            (Key::ZSTD_c_hashLog, 6),
            (Key::ZSTD_c_chainLog, 6),
            (Key::ZSTD_c_searchLog, 1),
            (Key::ZSTD_c_minMatch, 4),
            (Key::ZSTD_c_contentSizeFlag, 0),
            // ZSTD_c_format: no magic number
            (Key::ZSTD_c_experimentalParam2, 1),
            // ZSTD_c_splitAfterSequences
            (Key::ZSTD_c_experimentalParam13, if splits { 0 } else { OFF }),
            // ZSTD_c_useRowMatchFinder
            (Key::ZSTD_c_experimentalParam14, OFF),
            // ZSTD_c_repcodeResolution, see `encode_as`
            (Key::ZSTD_c_experimentalParam19, OFF),
            // ZSTD_c_blockSplitterLevel: not before the sequences are known
            (Key::ZSTD_c_experimentalParam20, 1),
        ]
    }

    fn register(&mut self) -> Result<(), Fault> {
        let context = self.encoder.0.as_ptr();
        for (key, value) in Self::parameters(self.strategy, self.splits) {
            // SAFETY: the context is alive and idle.
            check(unsafe { sys::ZSTD_CCtx_setParameter(context, key, value) })?;
        }
        let state = self.source.as_ptr().cast::<c_void>();
        // SAFETY: the source lives as long as the context, see `drop`.
        unsafe { sys::ZSTD_registerSequenceProducer(context, state, Some(produce::<Source>)) };
        Ok(())
    }

    /// The next block is the first one of another frame, whose head is left out.
    pub(crate) fn again(&mut self) -> Result<(), Fault> {
        self.encoder = ZstdEncoder::bare()?;
        self.head = Self::HEAD;
        self.register()
    }

    /// Codes content, one block after the other.
    pub(crate) fn code(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(plain, out, End::ZSTD_e_continue)
    }

    /// Codes what was not yet, as blocks that are not the last ones.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(&[], out, End::ZSTD_e_flush)
    }

    /// Codes the last bytes of content, at least one.
    pub(crate) fn finish(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(plain, out, End::ZSTD_e_end)
    }

    fn run(&mut self, plain: &[u8], out: &mut Vec<u8>, end: End) -> Result<(), Fault> {
        let at = out.len();
        let ends = end != End::ZSTD_e_continue;
        drain(plain, out, ends, |input, out, _| self.encoder.step(input, out, end))?;
        let head = self.head.min(out.len() - at);
        out.drain(at..at + head);
        self.head -= head;
        Ok(())
    }

    /// More words, behind those that are there; at most `most` bytes of them may wait.
    pub(crate) fn tell(&mut self, words: &mut Vec<u8>, most: usize) -> Result<(), Fault> {
        // SAFETY: the source is alive, and libzstd looks at it only while it encodes.
        let source = unsafe { self.source.as_mut() };
        source.words.drain(..source.at);
        source.at = 0;
        if source.words.len().saturating_add(words.len()) > most {
            return Err("more is told than declared");
        }
        source.words.reserve_exact(most - source.words.len());
        source.words.append(words);
        Ok(())
    }

    /// Bytes of words that were not told.
    pub(crate) fn left(&self) -> usize {
        // SAFETY: the source is alive, and libzstd looks at it only while it encodes.
        let source = unsafe { self.source.as_ref() };
        source.words.len() - source.at
    }

    /// Bytes that its context has allocated.
    #[cfg(test)]
    pub(crate) fn context_heap(&self) -> u64 {
        self.encoder.heap()
    }

    /// Bytes of heap that it takes beside the words.
    pub(crate) fn heap(strategy: i8, splits: bool) -> u64 {
        let Some(params) = Params::new() else { return u64::MAX };
        for (key, value) in Self::parameters(strategy, splits) {
            // SAFETY: the parameters are alive.
            let code = unsafe { sys::ZSTD_CCtxParams_setParameter(params.0.as_ptr(), key, value) };
            if check(code).is_err() {
                return u64::MAX;
            }
        }
        let params = params.0.as_ptr();
        // SAFETY: as above; the producer is never called.
        let bytes = unsafe {
            let none = core::ptr::null_mut();
            sys::ZSTD_CCtxParams_registerSequenceProducer(params, none, Some(produce::<Source>));
            sys::ZSTD_estimateCStreamSize_usingCCtxParams(params)
        };
        check(bytes).map_or(u64::MAX, |bytes| bytes as u64)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // SAFETY: leaked by `new`, freed once; the context is not used again.
        drop(unsafe { Box::from_raw(self.source.as_ptr()) });
    }
}
