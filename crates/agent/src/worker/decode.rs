//! The kinds of payload, decoded.

use super::message::{Fault, Seek};
use crate::edges::Reset;
use crate::platform::mtd::Reader;
use delta::{Applier, ApplyError, FrameDecoder, Limits, PatchHeader, ReadAt, ReadFault};
use std::fs::File;
use types::Outcome;

/// What a delta is decoded with.
pub(super) struct Sources {
    /// What it starts from.
    old: BankReader,
    /// Where its image goes, as far as it is there.
    new: BankReader,
}

impl From<[File; 2]> for Sources {
    fn from([old, new]: [File; 2]) -> Self {
        let reader = |file| BankReader { file: Reader::new(file), size: 0 };
        Self { old: reader(old), new: reader(new) }
    }
}

/// The first bytes of a bank.
struct BankReader {
    file: Reader,
    /// Bytes of the image in it.
    size: u64,
}

/// The finished part of the new image: what is in its bank, and the chunk in work.
struct Finished<'a> {
    bank: &'a mut BankReader,
    /// Where the chunk in work starts.
    at: u64,
    /// What is there of it.
    chunk: &'a [u8],
}

impl ReadAt for Finished<'_> {
    fn size(&self) -> u64 {
        self.bank.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        let before = usize::try_from(self.at.saturating_sub(at)).unwrap_or(usize::MAX);
        let (in_bank, in_chunk) = into.split_at_mut(before.min(into.len()));
        if !in_bank.is_empty() {
            self.bank.read_at(at, in_bank)?;
        }
        if in_chunk.is_empty() {
            return Ok(());
        }
        let from = usize::try_from(at.saturating_sub(self.at)).map_err(|_| ReadFault)?;
        let chunk = self.chunk.get(from..).unwrap_or_default();
        // Readers ask for whole pages; what is not made yet is nothing to them.
        let there = chunk.len().min(in_chunk.len());
        let (made, rest) = in_chunk.split_at_mut(there);
        made.copy_from_slice(chunk.get(..there).ok_or(ReadFault)?);
        rest.fill(0);
        Ok(())
    }
}

impl ReadAt for BankReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        self.file.read_exact_at(into, at).map_err(|_| ReadFault)
    }
}

/// A payload's decoder.
pub(super) enum Decoding {
    /// Of frames; each is one chunk.
    Frames(FrameDecoder),
    /// Of nothing: the bytes are the chunks.
    Plain,
    /// Of a delta.
    Delta(Box<DeltaDecoding>),
}

/// A delta that is being applied.
pub(super) struct DeltaDecoding {
    applier: Applier,
    sources: Sources,
    /// It can go on without further bytes of the payload.
    busy: bool,
}

impl Decoding {
    /// Of frames of at most so many bytes.
    pub(super) fn frames(chunk_size: u32) -> Self {
        Self::Frames(FrameDecoder::new(chunk_size))
    }

    /// Of the delta that starts with `head`, from the place that `seek` names; and where
    /// in the payload its next byte is. Nothing while `head` is too short.
    pub(super) fn delta(
        head: &[u8],
        seek: &Seek,
        heap: u64,
        sources: &mut Option<Sources>,
    ) -> Result<Option<(Self, u64)>, Fault> {
        let Some((header, len)) = PatchHeader::read(head).map_err(|e| unfit(&e))? else {
            return Ok(None);
        };
        if header.target.size != seek.image_size {
            return Err(Fault::payload(Outcome::CorruptPayload, "the delta makes another image"));
        }
        let nothing =
            || Fault::payload(Outcome::CorruptPayload, "a delta has nothing to start from");
        let mut sources = sources.take().ok_or_else(nothing)?;
        sources.old.size = header.source.size;
        sources.new.size = header.target.size;
        let (limits, begin) = (Limits { heap }, len as u64);
        let at = delta::Reset { out: seek.out, input: seek.input };
        let applier = match at.input {
            0 => Applier::new(header, &limits),
            _ => Applier::resume(header, &limits, at),
        };
        let applier = applier.map_err(|e| failed(&e))?;
        let decoding = DeltaDecoding { applier, sources, busy: false };
        Ok(Some((Self::Delta(Box::new(decoding)), begin.max(at.input))))
    }

    /// Takes bytes of the payload. `into` is the chunk, which starts `at` bytes behind the
    /// image's start and of which `filled` bytes are there. Returns how many bytes were
    /// used, and how many are there now.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        at: u64,
        into: &mut [u8],
        filled: usize,
    ) -> Result<(usize, usize), Fault> {
        match self {
            Self::Frames(decoder) => {
                let step = decoder.decode(input, into).map_err(|e| corrupt(&e))?;
                Ok((step.consumed, if step.done { into.len() } else { filled }))
            }
            Self::Plain => {
                let room = into.get_mut(filled..).unwrap_or_default();
                let len = room.len().min(input.len());
                room.iter_mut().zip(input).for_each(|(to, from)| *to = *from);
                Ok((len, filled + len))
            }
            Self::Delta(decoding) => decoding.step(input, at, into, filled),
        }
    }

    /// Whether it needs bytes of the payload to go on.
    pub(super) fn is_hungry(&self) -> bool {
        match self {
            Self::Frames(_) | Self::Plain => true,
            Self::Delta(decoding) => !decoding.busy,
        }
    }

    /// The last point from which decoding can start again; nothing where that is the
    /// end of the last chunk.
    pub(super) fn reset(&self) -> Option<Reset> {
        let Self::Delta(decoding) = self else { return None };
        let delta::Reset { out, input } = decoding.applier.reset();
        Some(Reset { out, input })
    }
}

impl DeltaDecoding {
    fn step(
        &mut self,
        input: &[u8],
        at: u64,
        into: &mut [u8],
        filled: usize,
    ) -> Result<(usize, usize), Fault> {
        let (chunk, rest) = into.split_at_mut(filled.min(into.len()));
        let Sources { old, new } = &mut self.sources;
        let mut new = Finished { bank: new, at, chunk };
        let step = self.applier.step(input, rest, old, &mut new).map_err(|e| failed(&e))?;
        // Whatever made bytes may have more of them.
        self.busy = step.filled > 0;
        Ok((step.consumed, filled + step.filled))
    }
}

fn corrupt(error: &delta::DecodeError) -> Fault {
    Fault::payload(Outcome::CorruptPayload, format!("a frame does not decode: {error}"))
}

fn unfit(error: &delta::PatchError) -> Fault {
    Fault::payload(Outcome::CorruptPayload, format!("the delta is not sound: {error}"))
}

fn failed(error: &ApplyError) -> Fault {
    Fault::payload(Outcome::CorruptPayload, format!("the delta cannot be applied: {error}"))
}
