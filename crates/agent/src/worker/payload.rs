//! Unpacks one payload, chunk by chunk.

use super::fetch::{Fetcher, Stream, Wanted};
use super::local::LocalPackage;
use super::message::{Fault, Seek};
use delta::FrameDecoder;
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
    decoder: FrameDecoder,
    held: Vec<u8>,
    /// What of `held` is not decoded yet.
    rest: std::ops::Range<usize>,
    /// Payload bytes that came from the origin, with those before the place.
    read: u64,
    /// Bytes of the image that are decoded.
    out: u64,
}

/// What was unpacked.
pub(super) enum Unpacked {
    /// The wanted chunk of so many bytes.
    Chunk(usize),
    /// A chunk before the wanted one.
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
}

impl Unpacking {
    /// Starts at a place of a payload.
    pub(super) fn start(origin: &mut Origin, seek: Seek) -> Result<Self, Fault> {
        let input = match origin {
            Origin::Https(fetcher) => {
                let size = Some(seek.size);
                // A place at the very end is asked for as its last byte: no range is empty.
                let from = seek.input.min(seek.size.saturating_sub(1));
                let mut stream = fetcher.get(Wanted { entry: &seek.entry, from, size })?;
                if from < seek.input {
                    fetcher.read(&mut stream, &mut [0])?;
                }
                Input::Https(stream)
            }
            Origin::Local(package) => {
                Input::Local(package.payload(&seek.entry, seek.size)?.at + seek.input)
            }
        };
        let decoder = FrameDecoder::new(seek.chunk_size);
        let (read, out) = (seek.input, seek.out);
        Ok(Self { seek, input, decoder, held: vec![0; HELD], rest: 0..0, read, out })
    }

    /// Bytes of the payload that are decoded.
    pub(super) fn position(&self) -> u64 {
        self.read - self.rest.len() as u64
    }

    /// Payload bytes fetched since the place.
    pub(super) fn fetched(&self) -> u64 {
        self.read - self.seek.input
    }

    /// Decodes the next chunk into `memory`.
    pub(super) fn next(
        &mut self,
        origin: &mut Origin,
        memory: &mut [u8],
    ) -> Result<Unpacked, Fault> {
        let left = self.seek.image_size.saturating_sub(self.out);
        if left == 0 {
            return self.end(origin).map(|()| Unpacked::End);
        }
        let chunk = u64::from(self.seek.chunk_size).min(left);
        let len = usize::try_from(chunk).unwrap_or(0);
        let into = memory.get_mut(..len).ok_or_else(too_large)?;
        self.decode(origin, into)?;
        let before = self.out < u64::from(self.seek.chunk) * u64::from(self.seek.chunk_size);
        self.out += chunk;
        Ok(if before { Unpacked::Before } else { Unpacked::Chunk(len) })
    }

    fn decode(&mut self, origin: &mut Origin, into: &mut [u8]) -> Result<(), Fault> {
        loop {
            if self.rest.is_empty() && self.fill(origin)? == 0 {
                return Err(Fault::payload(Outcome::Truncated, Outcome::Truncated.sentence()));
            }
            let rest = self.held.get(self.rest.clone()).unwrap_or_default();
            let step = self.decoder.decode(rest, into).map_err(|e| corrupt(&e))?;
            self.rest.start += step.consumed;
            if step.done {
                return Ok(());
            }
            if step.consumed == 0 {
                return Err(Fault::payload(Outcome::CorruptPayload, "the decoder stands still"));
            }
        }
    }

    /// Nothing may be left of the payload.
    fn end(&mut self, origin: &mut Origin) -> Result<(), Fault> {
        if self.position() < self.seek.size || self.at_source(origin)? > 0 {
            return Err(Fault::payload(Outcome::Oversized, Outcome::Oversized.sentence()));
        }
        Ok(())
    }

    /// Whether the source still has bytes after the payload's last one.
    fn at_source(&mut self, origin: &mut Origin) -> Result<usize, Fault> {
        match (&mut self.input, origin) {
            (Input::Https(stream), Origin::Https(fetcher)) => fetcher.read(stream, &mut [0]),
            // An entry's size was compared when it was opened.
            _ => Ok(0),
        }
    }

    /// Gets the next payload bytes; never more than the payload has.
    fn fill(&mut self, origin: &mut Origin) -> Result<usize, Fault> {
        let left = usize::try_from(self.seek.size.saturating_sub(self.read)).unwrap_or(HELD);
        let into = self.held.get_mut(..left.min(HELD)).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let got = match (&mut self.input, origin) {
            (Input::Https(stream), Origin::Https(fetcher)) => fetcher.read(stream, into)?,
            (Input::Local(at), Origin::Local(package)) => {
                let got = package.read_at(*at, into)?;
                *at += got as u64;
                got
            }
            _ => 0,
        };
        self.read += got as u64;
        self.rest = 0..got;
        Ok(got)
    }
}

fn corrupt(error: &delta::DecodeError) -> Fault {
    Fault::payload(Outcome::CorruptPayload, format!("a frame does not decode: {error}"))
}

fn too_large() -> Fault {
    Fault::payload(Outcome::CorruptPayload, "a chunk is larger than the memory for it")
}
