//! Reads a stream of blocks: its words, if they are wanted, and its content.

use super::block::{self, Part, Parts, Place};
use super::{Lz4Recipe, PLAIN_MAX, encoded_max};
use crate::codec::{Fault, Progress};
use alloc::vec::Vec;

/// How far back a match can be.
const WINDOW: usize = 64 << 10;

/// Bytes of words or content that are made at once, about.
const BATCH: usize = 32 << 10;

/// Bytes of heap beside the stream.
pub(super) const HEAP: u64 = (WINDOW + 2 * BATCH) as u64 + (4 << 10);

/// Reads one stream, which is held until it is complete: blocks do not say where they
/// end, and words come first. No input says that it is complete.
pub(crate) struct Reader {
    recipe: Lz4Recipe,
    stream: Vec<u8>,
    place: Place,
    doing: Doing,
    /// Words or content; of content, with what a match may repeat.
    made: Vec<u8>,
    /// Bytes of that which went out.
    given: usize,
}

#[derive(Clone, Copy)]
enum Doing {
    Gather,
    Words,
    /// Words are made.
    Begin,
    /// Of the part that was read last, this is left.
    Content {
        part: Part,
    },
    /// All is made.
    Done,
}

/// A part of which nothing is left.
const NOTHING: Part = Part::Stored { at: 0, len: 0 };

impl Reader {
    /// Of a stream of `plain` bytes of words and content.
    pub(crate) fn new(recipe: Lz4Recipe, plain: u64) -> Result<Self, Fault> {
        let most = usize::try_from(encoded_max(plain.min(PLAIN_MAX))).map_err(|_| NO_STREAM)?;
        let (mut stream, mut made) = (Vec::new(), Vec::new());
        stream.try_reserve_exact(most).map_err(|_| TOO_LONG)?;
        made.try_reserve_exact(WINDOW + 2 * BATCH).map_err(|_| TOO_LONG)?;
        let (place, doing) = (Place::default(), Doing::Gather);
        Ok(Self { recipe, stream, place, doing, made, given: 0 })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        if let Doing::Gather = self.doing
            && !input.is_empty()
        {
            if input.len() > self.stream.capacity() - self.stream.len() {
                return Err(TOO_LONG);
            }
            self.stream.extend_from_slice(input);
            return Ok(Progress { consumed: input.len(), filled: 0, done: false });
        }
        let mut filled = 0;
        while filled < out.len() {
            let rest = self.made.get(self.given..).unwrap_or_default();
            let room = out.get_mut(filled..).unwrap_or_default();
            let count = rest.len().min(room.len());
            room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.given += count;
            filled += count;
            if self.given == self.made.len() {
                if let Doing::Done = self.doing {
                    return Ok(Progress { consumed: 0, filled, done: true });
                }
                self.make().ok_or(NO_STREAM)?;
            }
        }
        Ok(Progress { consumed: 0, filled, done: false })
    }

    /// Makes more, all of which before went out.
    fn make(&mut self) -> Option<()> {
        self.doing = match self.doing {
            Doing::Gather if self.recipe.told => Doing::Words,
            Doing::Gather => Doing::Begin,
            Doing::Words => self.words()?,
            Doing::Begin => {
                self.made.clear();
                self.given = 0;
                self.place = Place::default();
                Doing::Content { part: NOTHING }
            }
            Doing::Content { part } => self.content(part)?,
            Doing::Done => return None,
        };
        Some(())
    }

    fn words(&mut self) -> Option<Doing> {
        let mut parts = Parts::new(&self.stream, self.recipe.framing, self.place);
        self.made.clear();
        self.given = 0;
        while self.made.len() < BATCH {
            match parts.next()? {
                Some(part) => block::put_words(&mut self.made, part),
                None => return Some(Doing::Begin),
            }
        }
        self.place = parts.place();
        Some(Doing::Words)
    }

    fn content(&mut self, mut part: Part) -> Option<Doing> {
        let over = self.made.len().saturating_sub(WINDOW);
        self.made.drain(..over);
        self.given = self.made.len();
        let until = self.given + BATCH;
        let mut parts = Parts::new(&self.stream, self.recipe.framing, self.place);
        loop {
            part = block::spend(part, &self.stream, &mut self.made, until)?;
            if self.made.len() >= until {
                self.place = parts.place();
                return Some(Doing::Content { part });
            }
            match parts.next()? {
                Some(next) => part = next,
                None => return Some(Doing::Done),
            }
        }
    }
}

const TOO_LONG: Fault = "blocks of LZ4 are longer than their content can be";
const NO_STREAM: Fault = "a stream has no blocks of LZ4";
