//! Unpacks one payload, chunk by chunk.

use super::decode::{Decoding, Sources};
use super::fetch::{Fetcher, Stream, Wanted};
use super::local::LocalPackage;
use super::message::{Coding, Fault, Seek};
use crate::edges::Reset;
use types::Outcome;

/// Payload bytes that are held at once: as many frames as fit are decoded without
/// their bytes being moved.
const HELD: usize = 64 << 10;

/// Where the package is.
pub(super) enum Origin {
    Https(Box<Fetcher>),
    Local(LocalPackage),
}

/// Where the bytes of the payload come from.
enum Input {
    Https(Stream),
    /// The next byte's place in the package.
    Local(u64),
}

/// A payload that is being unpacked.
pub(super) struct Unpacking {
    seek: Seek,
    input: Input,
    decoding: Decoding,
    held: Vec<u8>,
    /// What of `held` is not decoded yet.
    rest: std::ops::Range<usize>,
    /// Place of the next byte that comes from the origin.
    read: u64,
    /// Payload bytes that came from the origin.
    fetched: u64,
    /// Bytes of the image that are decoded.
    out: u64,
    /// Bytes of the chunk in work that are there.
    filled: usize,
}

/// What was unpacked.
pub(super) enum Unpacked {
    /// The wanted chunk of so many bytes.
    Chunk(usize),
    /// Something on the way to the wanted chunk.
    Before,
    /// The image is complete, and the payload ended with it.
    End,
}

impl Origin {
    /// A whole document of at most `limit` bytes.
    pub(super) fn document(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Https(fetcher) => fetcher.document(name, limit),
            Self::Local(package) => package.document(name, limit),
        }
    }

    /// The payload's bytes from `from` on.
    fn open(&mut self, seek: &Seek, from: u64) -> Result<Input, Fault> {
        match self {
            Self::Https(fetcher) => {
                // A place at the very end is asked for as its last byte: no range is empty.
                let first = from.min(seek.size.saturating_sub(1));
                let wanted = Wanted { entry: &seek.entry, from: first, size: Some(seek.size) };
                let mut stream = fetcher.get(wanted)?;
                if first < from {
                    fetcher.read(&mut stream, &mut [0])?;
                }
                Ok(Input::Https(stream))
            }
            Self::Local(package) => {
                Ok(Input::Local(package.payload(&seek.entry, seek.size)?.at + from))
            }
        }
    }

    fn read(&mut self, input: &mut Input, into: &mut [u8]) -> Result<usize, Fault> {
        match (input, self) {
            (Input::Https(stream), Self::Https(fetcher)) => fetcher.read(stream, into),
            (Input::Local(at), Self::Local(package)) => {
                let got = package.read_at(*at, into)?;
                *at += got as u64;
                Ok(got)
            }
            _ => Ok(0),
        }
    }
}

impl Unpacking {
    /// Starts at a place of a payload. A delta has `sources`.
    pub(super) fn start(
        origin: &mut Origin,
        seek: Seek,
        sources: Option<Sources>,
    ) -> Result<Self, Fault> {
        let (coding, at) = (seek.coding, seek.input);
        // A delta's header says how to read the rest, from wherever that is read.
        let from = if matches!(coding, Coding::Delta { .. }) { 0 } else { at };
        let input = origin.open(&seek, from)?;
        let decoding = match coding {
            Coding::Plain => Decoding::Plain,
            _ => Decoding::frames(seek.chunk_size),
        };
        let held = vec![0; HELD];
        let out = seek.out;
        let mut unpacking = Self {
            seek,
            input,
            decoding,
            held,
            rest: 0..0,
            read: from,
            fetched: 0,
            out,
            filled: 0,
        };
        if let Coding::Delta { heap } = coding {
            unpacking.start_delta(origin, heap, sources)?;
        }
        Ok(unpacking)
    }

    fn start_delta(
        &mut self,
        origin: &mut Origin,
        heap: u64,
        mut sources: Option<Sources>,
    ) -> Result<(), Fault> {
        let mut head = Vec::new();
        loop {
            if self.fill(origin)? == 0 {
                return Err(truncated());
            }
            head.extend(self.held.get(self.rest.clone()).unwrap_or_default());
            let started = Decoding::delta(&head, &self.seek, heap, &mut sources)?;
            if let Some((decoding, place)) = started {
                self.decoding = decoding;
                return self.go_to(origin, place);
            }
        }
    }

    /// Makes the payload's byte at `place` the next one to decode.
    fn go_to(&mut self, origin: &mut Origin, place: u64) -> Result<(), Fault> {
        let ahead = self.read.checked_sub(place).and_then(|n| usize::try_from(n).ok());
        match ahead.filter(|ahead| *ahead <= self.rest.len()) {
            Some(ahead) => self.rest.start = self.rest.end - ahead,
            None => {
                self.input = origin.open(&self.seek, place)?;
                (self.read, self.rest) = (place, 0..0);
            }
        }
        Ok(())
    }

    /// The last point from which decoding can start again.
    pub(super) fn reset(&self) -> Reset {
        let here = Reset { out: self.out, input: self.read - self.rest.len() as u64 };
        self.decoding.reset().unwrap_or(here)
    }

    /// Payload bytes fetched since the place.
    pub(super) fn fetched(&self) -> u64 {
        self.fetched
    }

    /// Decodes on, towards the next chunk in `memory`.
    pub(super) fn next(
        &mut self,
        origin: &mut Origin,
        memory: &mut [u8],
    ) -> Result<Unpacked, Fault> {
        if self.out >= self.seek.image_size {
            return self.end(origin).map(|()| Unpacked::End);
        }
        let chunk_size = u64::from(self.seek.chunk_size);
        // After a start in the middle of a chunk, the first piece is the rest of it.
        let to = (self.out - self.out % chunk_size + chunk_size).min(self.seek.image_size);
        let len = usize::try_from(to - self.out).unwrap_or(0);
        let into = memory.get_mut(..len).ok_or_else(too_large)?;
        while !self.decode(origin, into)? {
            // A frame takes as long as the network does; encoding again takes longer.
            if matches!(self.seek.coding, Coding::Delta { .. }) {
                return Ok(Unpacked::Before);
            }
        }
        let wanted = u64::from(self.seek.chunk) * chunk_size;
        let before = self.out < wanted;
        self.out = to;
        Ok(if before { Unpacked::Before } else { Unpacked::Chunk(len) })
    }

    /// Decodes on into `into`; whether it is full now.
    fn decode(&mut self, origin: &mut Origin, into: &mut [u8]) -> Result<bool, Fault> {
        if self.rest.is_empty() && self.decoding.is_hungry() && self.fill(origin)? == 0 {
            return Err(truncated());
        }
        let rest = self.held.get(self.rest.clone()).unwrap_or_default();
        let (consumed, filled) = self.decoding.step(rest, self.out, into, self.filled)?;
        if consumed == 0 && filled == self.filled && !rest.is_empty() {
            return Err(Fault::payload(Outcome::CorruptPayload, "the decoder stands still"));
        }
        self.rest.start += consumed;
        let full = filled == into.len();
        self.filled = if full { 0 } else { filled };
        Ok(full)
    }

    /// Nothing may be left of the payload.
    fn end(&mut self, origin: &mut Origin) -> Result<(), Fault> {
        let decoded = self.read - self.rest.len() as u64;
        let more = origin.read(&mut self.input, &mut [0])?;
        // The end of a local package's entry was compared when it was opened.
        let behind = more > 0 && matches!(self.input, Input::Https(_));
        if decoded < self.seek.size || behind {
            return Err(Fault::payload(Outcome::Oversized, Outcome::Oversized.sentence()));
        }
        Ok(())
    }

    /// Gets the next payload bytes; never more than the payload has.
    fn fill(&mut self, origin: &mut Origin) -> Result<usize, Fault> {
        let left = usize::try_from(self.seek.size.saturating_sub(self.read)).unwrap_or(HELD);
        let into = self.held.get_mut(..left.min(HELD)).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let got = origin.read(&mut self.input, into)?;
        self.read += got as u64;
        self.fetched += got as u64;
        self.rest = 0..got;
        Ok(got)
    }
}

fn truncated() -> Fault {
    Fault::payload(Outcome::Truncated, Outcome::Truncated.sentence())
}

fn too_large() -> Fault {
    Fault::payload(Outcome::CorruptPayload, "a chunk is larger than the memory for it")
}
