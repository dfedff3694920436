//! Streams of LZMA whose packets are told: they come with the content, before it, or those
//! of a run of it before that.
//!
//! Nothing is searched, so that it is all the same which program chose, by which preset;
//! and nothing is needed that searching takes: the content's window and 28 KiB.

pub(crate) mod again;
mod maker;
mod packer;
mod reader;

#[cfg(any(test, feature = "diff"))]
use super::weave::Mixed;
use super::weave::{Rule, Weave, Woven};
use super::{RecipeError, WINDOW_LOG_MAX, take, within, xz};
use crate::codec::Fault;
use crate::correction::{CorrectionError, number};
use crate::packets::branch::{Branch, Way};
use crate::packets::{Model, Properties};
use alloc::vec::Vec;
pub(crate) use maker::ToldMaker;
#[cfg(any(test, feature = "diff"))]
pub(crate) use reader::LZIP;
pub(crate) use reader::{CHUNK_MAX, CHUNK_PACKED, ToldReader};

/// What is around the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame {
    /// LZMA2 in an .xz stream.
    Xz {
        /// The number of the check: 0 none, 1 CRC-32, 4 CRC-64, 10 SHA-256.
        check: u8,
        /// The branch converter's number in the format, or 0.
        branch: u8,
    },
    /// The older form: properties, dictionary, size.
    Alone,
    /// lzip's.
    Lzip,
}

/// A stream of LZMA of any encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LzmaRecipe {
    /// What is around.
    pub frame: Frame,
    /// The dictionary, as .xz states it, or the smallest that covers what is stated.
    pub dict_byte: u8,
    /// Literal context bits, literal position bits and position bits, as one byte.
    pub properties: u8,
    /// The content begins with words that tell the packets; else it can only be read.
    pub told: bool,
}

impl LzmaRecipe {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let (frame, check, branch) = match self.frame {
            Frame::Xz { check, branch } => (0, check, branch),
            Frame::Alone => (1, 0, 0),
            Frame::Lzip => (2, 0, 0),
        };
        out.extend([frame, check, branch, self.dict_byte, self.properties, self.told.into()]);
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, RecipeError> {
        let [frame, check, branch] = take(bytes)?;
        let [dict_byte, properties, told] = take(bytes)?;
        let frame = match (frame, check, branch) {
            (0, 0 | 1 | 4 | 10, 0) => Frame::Xz { check, branch },
            (0, 0 | 1 | 4 | 10, _) if converts(branch) => Frame::Xz { check, branch },
            (1, 0, 0) => Frame::Alone,
            (2, 0, 0) => Frame::Lzip,
            _ => return Err(RecipeError::Impossible("frame of LZMA")),
        };
        Properties::of(properties).ok_or(RecipeError::Impossible("lc, lp or pb"))?;
        let dictionary = xz::dictionary(dict_byte).unwrap_or(u32::MAX);
        within(dictionary, 1 << 12, 1 << WINDOW_LOG_MAX, "dictionary")?;
        within(told, 0, 1, "switch")?;
        Ok(Self { frame, dict_byte, properties, told: told == 1 })
    }

    fn properties(&self) -> Properties {
        Properties::of(self.properties).unwrap_or(Properties { lc: 0, lp: 0, pb: 0 })
    }

    /// All content is held until the stream ends: words come before it, and what a branch
    /// converter did is undone in it.
    fn holds(&self) -> bool {
        self.told || matches!(self.frame, Frame::Xz { .. })
    }

    /// Bytes that a reader holds.
    fn window(&self, plain: u64) -> u64 {
        if self.holds() { plain } else { self.reach(plain) }
    }

    /// How far back matches are.
    fn reach(&self, plain: u64) -> u64 {
        plain.min(xz::dictionary(self.dict_byte).unwrap_or(u32::MAX).into())
    }

    /// Bytes of heap that reading a stream of `plain` bytes of words and content takes.
    pub(super) fn decoder_heap(&self, plain: u64) -> u64 {
        self.window(plain).saturating_add(Model::HEAP + reader::HEAP)
    }
}

/// A branch converter that is known here.
pub(crate) fn converts(filter: u8) -> bool {
    Branch::new(filter, Way::ToAddresses).is_some()
}

/// What a correction says of a stream that is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Bytes of the words that come with the content.
    pub(crate) words: usize,
    /// Where they come between the content; none: all before it.
    pub(crate) weave: Option<LzmaWeave>,
    /// How far back the bytes are that literals depend on.
    pub(crate) reach: u64,
    /// How content is divided, where it is not as liblzma does.
    pub(crate) chunks: Vec<Chunk>,
    /// Heads of blocks, where they are not the shortest; the head of what has none.
    pub(crate) heads: Vec<u8>,
    /// The last packet says that it is the last.
    pub(crate) marked: bool,
    /// What stands behind the packets, if that is no .xz.
    pub(crate) tail: Vec<u8>,
}

/// Where words come between the content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LzmaWeave {
    pub(crate) weave: Weave,
    /// Bytes of content of all runs but the last one.
    pub(crate) runs: Vec<usize>,
    /// The most bytes of content that are read before their turn when the stream is gone
    /// on with.
    pub(crate) ahead: u64,
}

/// Runs are so many bytes of content, or a multiple.
pub(crate) const RUN_UNIT: usize = 16 << 10;

/// A piece of LZMA2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Bytes of content.
    pub(crate) size: usize,
    pub(crate) kind: ChunkKind,
}

/// What is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Bytes as they are; the dictionary is reset or not.
    Plain { reset: bool },
    /// Packets, and what is reset before them: 0 nothing, 1 probabilities, 2 with
    /// properties, 3 with the dictionary.
    Packets { reset: u8 },
}

impl ChunkKind {
    /// By the byte before a chunk.
    pub(crate) fn of(control: u8) -> Option<Self> {
        match control {
            1 | 2 => Some(Self::Plain { reset: control == 1 }),
            0x80.. => Some(Self::Packets { reset: control >> 5 & 3 }),
            _ => None,
        }
    }

    /// The highest bits of that byte.
    fn control(self) -> u8 {
        match self {
            Self::Plain { reset } => {
                if reset {
                    1
                } else {
                    2
                }
            }
            Self::Packets { reset } => 0x80 | reset << 5,
        }
    }

    #[cfg(any(test, feature = "diff"))]
    fn number(self) -> u64 {
        match self {
            Self::Packets { reset } => u64::from(reset & 3),
            Self::Plain { reset } => 4 + u64::from(reset),
        }
    }

    fn numbered(number: u64) -> Self {
        match number & 7 {
            reset @ 0..4 => Self::Packets { reset: reset as u8 },
            reset => Self::Plain { reset: reset & 1 == 1 },
        }
    }
}

/// Bytes of heads and of a tail together; a block has at most 1 KiB of head.
const HEADS_MAX: usize = 64 << 10;

/// Switches of the stored form.
const MARKED: u64 = 1;
const WOVEN: u64 = 2;

/// Content waits for so much more behind it at most, in a converter.
#[cfg(any(test, feature = "diff"))]
const LAG: usize = 64;

/// Words have lengths of matches two longer.
const LENGTHS_LONGER: u32 = 2;

impl LzmaWeave {
    fn read(
        next: &mut dyn FnMut() -> Result<u64, CorrectionError>,
    ) -> Result<Self, CorrectionError> {
        let (held, ahead, count) = (next()?, next()?, next()?);
        let held = usize::try_from(held).unwrap_or(usize::MAX);
        let mut runs = Vec::new();
        for _ in 0..count {
            let units = usize::try_from(next()?).unwrap_or(usize::MAX);
            runs.push(units.saturating_mul(RUN_UNIT));
        }
        if runs.contains(&0) {
            return Err(CorrectionError::Size(0));
        }
        Ok(Self { weave: Weave { held, early: Vec::new() }, runs, ahead })
    }
}

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let mut next = || number(&mut bytes);
        let (words, reach, switches) = (next()?, next()?, next()?);
        let (heads, count) = (next()?, next()?);
        let mut chunks = Vec::new();
        for _ in 0..count {
            let stored = next()?;
            let size = usize::try_from(stored >> 3).unwrap_or(usize::MAX);
            if !(1..=CHUNK_MAX).contains(&size) {
                return Err(CorrectionError::Size(CHUNK_MAX));
            }
            chunks.push(Chunk { size, kind: ChunkKind::numbered(stored) });
        }
        let weave = if switches & WOVEN > 0 { Some(LzmaWeave::read(&mut next)?) } else { None };
        let heads = usize::try_from(heads).unwrap_or(usize::MAX);
        let (heads, tail) = bytes.split_at_checked(heads).ok_or(CorrectionError::Short)?;
        if heads.len() + tail.len() > HEADS_MAX {
            return Err(CorrectionError::Size(HEADS_MAX));
        }
        let words = usize::try_from(words).unwrap_or(usize::MAX);
        let (heads, tail, marked) = (heads.to_vec(), tail.to_vec(), switches & MARKED > 0);
        Ok(Self { words, weave, reach, chunks, heads, marked, tail })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        use crate::correction::put_number;
        let mut out = Vec::new();
        let marked = if self.marked { MARKED } else { 0 };
        let switches = marked | if self.weave.is_some() { WOVEN } else { 0 };
        let sizes = [self.words as u64, self.reach, switches, self.heads.len() as u64];
        sizes.into_iter().for_each(|number| put_number(&mut out, number));
        put_number(&mut out, self.chunks.len() as u64);
        for chunk in &self.chunks {
            put_number(&mut out, (chunk.size as u64) << 3 | chunk.kind.number());
        }
        if let Some(LzmaWeave { weave, runs, ahead }) = &self.weave {
            let sizes = [weave.held as u64, *ahead, runs.len() as u64];
            let units = runs.iter().map(|run| (run / RUN_UNIT) as u64);
            sizes.into_iter().chain(units).for_each(|number| put_number(&mut out, number));
        }
        out.extend_from_slice(&self.heads);
        out.extend_from_slice(&self.tail);
        out
    }

    /// How words come between the content, if they do.
    pub(crate) fn woven(&self) -> Option<Woven<'_>> {
        let LzmaWeave { weave, runs, .. } = self.weave.as_ref()?;
        let rule = Rule::Describes { longer: LENGTHS_LONGER };
        Some(Woven { weave, words: self.words, rule, runs, usual: usize::MAX })
    }

    /// Bytes of words that wait for their content at most.
    fn held(&self) -> usize {
        self.weave.as_ref().map_or(self.words, |woven| woven.weave.held.min(self.words))
    }

    /// Puts words between the content, with those of each run, of which all but the last
    /// have so many bytes of content, before it.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        runs: Vec<usize>,
    ) -> Option<Mixed> {
        let woven = LzmaWeave { runs, ..LzmaWeave::default() };
        self.weave = Some(woven).filter(|woven| !woven.runs.is_empty());
        let (weave, mixed) = self.woven()?.mix(words, content, &[], LAG)?;
        let ahead = again::ahead(words, &mixed.1)?;
        self.weave.as_mut().map(|woven| (woven.weave, woven.ahead) = (weave, ahead))?;
        Some(mixed)
    }

    /// Bytes of heap that making the stream takes.
    pub(super) fn heap(&self) -> u64 {
        let runs = self.weave.as_ref().map_or(0, |woven| woven.runs.len());
        let lists = self.chunks.len() * size_of::<Chunk>() * 2 + runs * size_of::<usize>() * 2;
        let own = self.heads.len() + self.tail.len() + lists;
        (own as u64)
            .saturating_add(self.held() as u64)
            .saturating_add(self.reach)
            .saturating_add(Model::HEAP + maker::HEAP)
    }
}

/// The most bytes of a header of LZMA alone, and of lzip.
pub(crate) const ALONE_HEAD: usize = 13;
pub(crate) const LZIP_HEAD: usize = 6;
pub(crate) const LZIP_TAIL: usize = 20;

/// What the head of a stream of LZMA alone says: its properties, its dictionary, and bytes
/// of content, if it says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AloneHead {
    pub(crate) properties: u8,
    pub(crate) dictionary: u32,
    pub(crate) size: Option<u64>,
}

impl AloneHead {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<ALONE_HEAD>()?;
        let [properties, a, b, c, d, size @ ..] = *head;
        Properties::of(properties)?;
        let dictionary = u32::from_le_bytes([a, b, c, d]);
        let size = Some(u64::from_le_bytes(size)).filter(|size| *size != u64::MAX);
        Some(Self { properties, dictionary, size })
    }
}

const NO_ROOM: Fault = "a stream needs more memory than there is";

/// What a reader of a stream says is wrong.
const NO_STREAM: Fault = "damaged LZMA stream";

#[cfg(test)]
mod tests;
