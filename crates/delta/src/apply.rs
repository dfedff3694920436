//! A patch becomes an image: streaming in patch and image, in bounded memory.
//!
//! Deliberately absent: belief. What comes out is whatever the patch says, and
//! the caller checks it against the signed digests before it is written.

mod emit;
mod machine;
mod old;
mod packed;
mod pages;
mod refeed;
mod room;

use crate::coder::{Decoder, Models, Moves};
use crate::patch::{FRAME, Inside, Lists, Method, Part, PatchError, PatchHeader, SPAN_MAX};
use crate::read::{ReadAt, ReadFault};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use emit::Emitter;
#[cfg(any(test, feature = "diff"))]
pub(crate) use emit::stream_heap;
use machine::Machine;
pub(crate) use old::PlainOld;
#[cfg(any(test, feature = "diff"))]
pub(crate) use {
    packed::HEAP as PACKED_HEAP,
    refeed::{Refeed, heap as refeed_heap},
};

/// What the caller grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of heap.
    pub heap: u64,
}

/// A point from which decoding can start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Bytes of the image before it.
    pub out: u64,
    /// Bytes of the patch before it, header included.
    pub input: u64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Bytes of the patch that were used.
    pub consumed: usize,
    /// Bytes of the image that were made.
    pub filled: usize,
    /// The image is complete.
    pub end: bool,
}

/// Why a patch cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It is no sound patch.
    #[error("the patch is damaged")]
    Patch(#[from] PatchError),
    /// It makes no sense.
    #[error("the patch is damaged: {0}")]
    Damaged(&'static str),
    /// It needs more heap than the caller grants.
    #[error("the patch needs {needs} bytes of heap; there may be {limit}")]
    Heap {
        /// What it needs, in bytes.
        needs: u64,
        /// What the caller grants, in bytes.
        limit: u64,
    },
    /// It was proven with another release of a C library.
    #[error("the patch needs release {needs} of {codec}; this program has {has}")]
    Library {
        /// Which library.
        codec: crate::Codec,
        /// The release in the patch.
        needs: u32,
        /// The release that is linked.
        has: u32,
    },
    /// The old image is not the one that the patch is for.
    #[error("the old image has {got} bytes; the patch is for one of {want}")]
    Source {
        /// The old image's bytes.
        got: u64,
        /// The patch's source's bytes.
        want: u64,
    },
    /// It decodes the same streams of the old image again and again.
    #[error("the patch decodes more of the old image than it declares")]
    Work,
    /// A C library refused to go on.
    #[error("a stream cannot be made or read: {0}")]
    Codec(crate::Fault),
    /// The old image cannot be read.
    #[error("the old image cannot be read")]
    Old(#[source] ReadFault),
    /// The finished part of the new image cannot be read.
    #[error("the finished part of the new image cannot be read")]
    New(#[source] ReadFault),
}

impl From<crate::Fault> for ApplyError {
    fn from(fault: crate::Fault) -> Self {
        Self::Codec(fault)
    }
}

/// Bytes of heap that a patch takes with this window, these models and moves, when
/// no stream is opened.
pub(crate) fn least_heap(window_log: u8, models: Models, moves: &[u8]) -> u64 {
    Machine::heap(window_log, models) + Moves::heap(moves)
}

/// Applies a patch, step by step.
pub struct Applier {
    header: PatchHeader,
    machine: Machine,
    emitter: Emitter,
    state: State,
    /// Bytes of the image that were given out.
    out: u64,
    /// Bytes of the patch that were taken.
    input: u64,
    /// Bytes of the image before the streams that are open.
    finished: u64,
    /// Bytes of the patch before the span, and before the one that it started with.
    span: u64,
    first: u64,
    /// Bytes of heap that are free when a stream is opened again.
    spare: u64,
    reset: Reset,
    /// Points that can be started from as soon as so much of the image is there.
    later: VecDeque<Reset>,
}

/// So many such points wait; one more makes the first be forgotten.
const LATER_MAX: usize = 8;

/// Where in the patch it is.
enum State {
    /// The bytes of a span are collected, its frame first.
    Span(Vec<u8>),
    /// A span's symbols are executed.
    Coded(Decoder),
    /// A span's bytes, and how many of them were given out.
    Stored(Vec<u8>, usize),
    /// It failed before.
    Broken,
}

impl Applier {
    /// Starts applying the patch with this header; the patch's next bytes are
    /// those behind the header.
    ///
    /// # Errors
    /// It needs more heap than there may be, or another library.
    pub fn new(header: PatchHeader, limits: &Limits) -> Result<Self, ApplyError> {
        let input = header.to_bytes().len() as u64;
        Self::resume(header, limits, Reset { out: 0, input })
    }

    /// Starts at a point that an applier of the same patch was at.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resume(header: PatchHeader, limits: &Limits, at: Reset) -> Result<Self, ApplyError> {
        if header.heap > limits.heap {
            return Err(ApplyError::Heap { needs: header.heap, limit: limits.heap });
        }
        let least = least_heap(header.window_log, header.models, &header.moves);
        let fixed = least.checked_add(header.cache);
        let fixed = fixed.and_then(|fixed| fixed.checked_add(header.encoders));
        let decoder = fixed.and_then(|fixed| header.heap.checked_sub(fixed));
        let decoder = decoder.ok_or(PatchError::Impossible("heap"))?;
        for library in header.needs() {
            let has = crate::Library::linked(library.codec).version;
            if has != library.version {
                let needs = library.version;
                return Err(ApplyError::Library { codec: library.codec, needs, has });
            }
        }
        let old = PlainOld::new(header.recipes.clone(), header.cache, decoder, header.decoded);
        let moves = Moves::from_bytes(&header.moves);
        let moves = moves.ok_or(PatchError::Impossible("list of moves"))?;
        let machine = Machine::new(header.window_log, header.models, moves, old);
        let (recipes, size) = (header.recipes.clone(), header.target.size);
        let emitter = Emitter::new(recipes, header.encoders, header.work, size);
        let state = State::Span(Vec::with_capacity(SPAN_MAX));
        let (out, input) = (at.out, at.input);
        Ok(Self {
            spare: header.cache + decoder,
            header,
            machine,
            emitter,
            state,
            out,
            input,
            finished: out,
            span: input,
            first: input,
            reset: at,
            later: VecDeque::new(),
        })
    }

    /// The last point from which decoding can start again.
    pub fn reset(&self) -> Reset {
        self.reset
    }

    /// Takes bytes of the patch and fills `out` with the next bytes of the image.
    /// `new` must answer for all bytes that earlier steps filled in. A step ends
    /// when the input is used up, when `out` is full, or with a span.
    ///
    /// # Errors
    /// The patch is damaged or something cannot be read. No further step works.
    pub fn step(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<Applied, ApplyError> {
        let state = core::mem::replace(&mut self.state, State::Broken);
        let mut consumed = 0;
        let state = match state {
            State::Span(bytes) if self.out < self.header.target.size => {
                let want = self.header.source.size;
                if old.size() != want {
                    return Err(ApplyError::Source { got: old.size(), want });
                }
                self.collect(bytes, input, &mut consumed, new)?
            }
            state => state,
        };
        self.input = self.input.saturating_add(consumed as u64);
        let left = usize::try_from(self.header.target.size - self.out).unwrap_or(usize::MAX);
        let room = out.len().min(left);
        let out = out.get_mut(..room).unwrap_or_default();
        let (filled, state) = self.make(state, out, old, new)?;
        self.out = self.out.saturating_add(filled as u64);
        while let Some(reset) = self.later.pop_front_if(|reset| reset.out <= self.out) {
            self.reset = reset;
        }
        if let State::Span(bytes) = &state
            && bytes.is_empty()
        {
            self.span = self.input;
            if self.emitter.is_outside() {
                self.finished = self.out;
                self.reset = Reset { out: self.out, input: self.input };
                self.later.clear();
            }
        }
        self.state = state;
        let end = self.out == self.header.target.size && matches!(self.state, State::Span(_));
        if left == 0 && !end {
            return Err(ApplyError::Damaged("a span makes more than the image"));
        }
        Ok(Applied { consumed, filled, end })
    }

    /// Collects a span and starts it when it is complete.
    fn collect(
        &mut self,
        mut bytes: Vec<u8>,
        input: &[u8],
        consumed: &mut usize,
        new: &mut dyn ReadAt,
    ) -> Result<State, ApplyError> {
        take(&mut bytes, input, consumed, FRAME);
        let Some((frame, _)) = bytes.split_first_chunk() else { return Ok(State::Span(bytes)) };
        let (method, len) = Method::read(*frame)?;
        if method == Method::Packed && (self.spare < packed::HEAP || self.header.cache > 0) {
            return Err(ApplyError::Damaged("a packed span needs more heap than declared"));
        }
        bytes.reserve_exact((FRAME + len).saturating_sub(bytes.len()));
        take(&mut bytes, input, consumed, FRAME + len);
        if bytes.len() < FRAME + len {
            return Ok(State::Span(bytes));
        }
        match method {
            Method::Stored => Ok(State::Stored(bytes, FRAME)),
            Method::Packed => Ok(State::Stored(packed::unpack(&bytes)?, 0)),
            Method::Coded => self.start(bytes, new),
        }
    }

    /// Reads the lists of a coded span.
    fn start(&mut self, mut bytes: Vec<u8>, new: &mut dyn ReadAt) -> Result<State, ApplyError> {
        let short = ApplyError::Damaged("a span is too short");
        let len: Option<&[u8; 3]> = bytes.get(FRAME..).and_then(|body| body.first_chunk());
        let [low, middle, high] = *len.ok_or(short)?;
        let lists_at = FRAME + 3;
        let symbols_at = lists_at + u32::from_le_bytes([low, middle, high, 0]) as usize;
        let lists = bytes.get(lists_at..symbols_at).ok_or(short)?;
        let mut decoder = Decoder::new(lists.to_vec());
        let mut lists = Lists::default().code(&mut decoder, Decoder::is_beyond)?;
        let hashes = lists.parts.iter().any(|part| matches!(part, Part::Verity(_)));
        if (lists.plain == 0 && !hashes) || decoder.is_beyond() {
            return Err(short);
        }
        bytes.drain(..symbols_at);
        if let Some(inside) = lists.inside.take() {
            self.begin_inside(&inside, new)?;
        }
        self.machine.start(&mut lists, self.finished);
        self.emitter.list(lists.parts, self.finished);
        Ok(State::Coded(Decoder::new(bytes)))
    }

    /// The span begins inside a stream: it is opened again if nothing was applied
    /// before, else the span is one that can be started from.
    fn begin_inside(&mut self, inside: &Inside, new: &mut dyn ReadAt) -> Result<(), ApplyError> {
        if !self.emitter.is_outside() {
            if self.later.len() == LATER_MAX {
                self.later.pop_front();
            }
            self.later.push_back(Reset { out: inside.needs, input: self.span });
            return Ok(());
        }
        if self.span != self.first || self.out != inside.needs || new.size() < self.out {
            return Err(ApplyError::Damaged("a span begins in a stream that is not open"));
        }
        self.finished = inside.finished;
        self.emitter.reopen(inside, self.spare, new)
    }

    /// Fills `out` from the span.
    fn make(
        &mut self,
        state: State,
        out: &mut [u8],
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<(usize, State), ApplyError> {
        match state {
            State::Stored(bytes, at) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let count = rest.len().min(out.len());
                out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                let over = at + count == bytes.len();
                let state = if over {
                    State::Span(emptied(bytes))
                } else {
                    State::Stored(bytes, at + count)
                };
                Ok((count, state))
            }
            State::Coded(mut decoder) => {
                let filled = self.fill(&mut decoder, out, old, new)?;
                if decoder.is_beyond() {
                    return Err(ApplyError::Damaged("a span ends too early"));
                }
                let state = if self.machine.is_done() && self.emitter.is_done() {
                    State::Span(emptied(decoder.into_bytes()))
                } else {
                    State::Coded(decoder)
                };
                Ok((filled, state))
            }
            State::Broken => Err(ApplyError::Damaged("it failed before")),
            State::Span(bytes) => Ok((0, State::Span(bytes))),
        }
    }
}

impl Applier {
    /// Fills `out` from the symbols of a span.
    fn fill(
        &mut self,
        decoder: &mut Decoder,
        out: &mut [u8],
        old: &mut dyn ReadAt,
        new: &mut dyn ReadAt,
    ) -> Result<usize, ApplyError> {
        let mut filled = 0;
        loop {
            let rest = out.get_mut(filled..).unwrap_or_default();
            filled += self.emitter.give(rest);
            let rest = out.get_mut(filled..).unwrap_or_default();
            let (wanted, to_image) = self.emitter.wants()?;
            if wanted == 0 && self.emitter.is_done() && !self.machine.is_done() {
                return Err(ApplyError::Damaged("a span makes bytes for nothing"));
            }
            if wanted == 0 && self.emitter.is_done() || rest.is_empty() {
                return Ok(filled);
            }
            if wanted == 0 {
                self.emitter.hash(new)?;
                continue;
            }
            if self.machine.is_done() {
                return Err(ApplyError::Damaged("a span makes too few bytes"));
            }
            let ready = self.machine.ready(decoder, old, new)?;
            let most = usize::try_from(wanted).unwrap_or(usize::MAX).min(ready.len());
            let ready = ready.get(..most).unwrap_or_default();
            let count = if to_image {
                rest.iter_mut().zip(ready).for_each(|(to, from)| *to = *from);
                let count = rest.len().min(ready.len());
                self.emitter.passed(count as u64);
                filled += count;
                count
            } else {
                self.emitter.take(ready)?
            };
            self.machine.took(count);
        }
    }
}

/// Moves input to `bytes` until there are `want`.
fn take(bytes: &mut Vec<u8>, input: &[u8], consumed: &mut usize, want: usize) {
    let rest = input.get(*consumed..).unwrap_or_default();
    let count = want.saturating_sub(bytes.len()).min(rest.len());
    bytes.extend_from_slice(rest.get(..count).unwrap_or_default());
    *consumed += count;
}

/// The buffer for the next span.
fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    bytes
}

#[cfg(test)]
pub(crate) mod tests;
