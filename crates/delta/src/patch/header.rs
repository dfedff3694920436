//! What a patch says about itself before anything is allocated.

use crate::coder::{MOVES_BYTES_MAX, Models, Pace};
use crate::{Codec, Library, Recipe};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};

/// Size and SHA-256 of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of all of them.
    pub digest: [u8; 32],
}

/// The header of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchHeader {
    /// The image that the patch applies to.
    pub source: Image,
    /// The image that it makes.
    pub target: Image,
    /// Bytes of heap that applying it takes.
    pub heap: u64,
    /// Bytes of the window of plain new, as a power of two.
    pub window_log: u8,
    /// The coder's models.
    pub models: Models,
    /// Bytes of decoded old streams that are kept at once.
    pub cache: u64,
    /// Bytes of heap for the streams of the new image that are open together.
    pub encoders: u64,
    /// Bytes of content that are encoded again, per codec: zlib, liblzma, libzstd.
    pub work: [u64; 3],
    /// Bytes of old streams that may be decoded, with what it takes to begin.
    pub decoded: u64,
    /// The release of each library with which that was proven; 0: not used.
    pub libraries: [u32; 3],
    /// How the streams that spans name are coded, at most [`RECIPES_MAX`].
    pub recipes: Vec<Recipe>,
    /// What becomes of addresses, coded; empty: nothing is known.
    pub(crate) moves: Vec<u8>,
}

/// The most recipes of a patch.
pub const RECIPES_MAX: usize = 64;

/// Old streams are decoded, and streams encoded again, up to so many bytes for each byte
/// of both images ...
const WORK_TIMES: u64 = 256;

/// ... and so many more: what a terminal does is in proportion to what it gets.
const WORK_LEAST: u64 = 256 << 20;

/// The most bytes of a header. One without recipes has 169.
pub const HEADER_MAX: usize = FIXED + RECIPES_MAX * Recipe::BYTES_MAX + MOVES_BYTES_MAX + CHECK;

const MAGIC: [u8; 4] = *b"RFTD";
const VERSION: u8 = 8;
const CHECK: usize = 8;
/// Bytes before the recipes: magic, version, length, images, heap, window,
/// models (2), cache, encoders, work, decoded, libraries, count of recipes, bytes of moves.
const FIXED: usize = 4 + 1 + 2 + 2 * 40 + 8 + 1 + 2 + 8 + 8 + 3 * 8 + 8 + 3 * 4 + 1 + 2;

/// The windows that may be asked for: 64 KiB to 16 MiB.
pub(crate) const WINDOW_LOGS: core::ops::RangeInclusive<u8> = 16..=24;

/// The paces by their numbers.
const PACES: [Pace; 2] = [Pace::Mixed, Pace::Quick];

/// The sizes of models that may be asked for: 0.7 to 19 MB.
pub(crate) const MODELS: core::ops::RangeInclusive<u8> = 12..=16;

/// No image is larger: 1 TiB.
const IMAGE_MAX: u64 = 1 << 40;

/// Why bytes are no patch of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Other bytes.
    #[error("this is no patch")]
    NotAPatch,
    /// A later version.
    #[error("the patch has version {0}; only version 8 can be applied")]
    Version(u8),
    /// Its bytes are not those that were written.
    #[error("the header of the patch is damaged")]
    Check,
    /// A field is out of its bounds.
    #[error("the patch has an impossible {0}")]
    Impossible(&'static str),
    /// A span of a later version.
    #[error("a span has the unknown method {0}")]
    Method(u8),
    /// A span is empty or too long.
    #[error("a span has an impossible length of {0} bytes")]
    SpanLength(usize),
}

impl PatchHeader {
    /// Reads the header at the start of a patch: it, and how many bytes it has.
    /// Nothing when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no patch, of another version, or damaged.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, PatchError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            return Err(PatchError::NotAPatch);
        }
        if let Some(version) = bytes.get(4)
            && *version != VERSION
        {
            return Err(PatchError::Version(*version));
        }
        let (Some(low), Some(high)) = (bytes.get(5), bytes.get(6)) else { return Ok(None) };
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        if !(FIXED + CHECK..=HEADER_MAX).contains(&len) {
            return Err(PatchError::Impossible("header"));
        }
        let Some(header) = bytes.get(..len) else { return Ok(None) };
        let (fields, check) = header.split_at_checked(len - CHECK).ok_or(PatchError::Check)?;
        if Sha256::digest(fields).get(..CHECK) != Some(check) {
            return Err(PatchError::Check);
        }
        let mut fields = fields.get(7..).unwrap_or_default();
        let header = Self::take(&mut fields).ok_or(PatchError::Check)?;
        header.check()?;
        Ok(Some((header, len)))
    }

    fn take(fields: &mut &[u8]) -> Option<Self> {
        let source = image(fields)?;
        let target = image(fields)?;
        let heap = u64::from_le_bytes(take(fields)?);
        let [window_log] = take(fields)?;
        let [log, pace] = take(fields)?;
        let models = Models { log, pace: *PACES.get(usize::from(pace))? };
        let cache = u64::from_le_bytes(take(fields)?);
        let encoders = u64::from_le_bytes(take(fields)?);
        let (mut work, mut libraries) = ([0; 3], [0; 3]);
        for bytes in &mut work {
            *bytes = u64::from_le_bytes(take(fields)?);
        }
        let decoded = u64::from_le_bytes(take(fields)?);
        for version in &mut libraries {
            *version = u32::from_le_bytes(take(fields)?);
        }
        let [count] = take(fields)?;
        let recipes = (0..count).map(|_| Recipe::from_bytes(fields).ok());
        let recipes = recipes.collect::<Option<Vec<_>>>()?;
        let len = usize::from(u16::from_le_bytes(take(fields)?));
        let moves = fields.split_off(..len).filter(|_| fields.is_empty())?.to_vec();
        Some(Self {
            source,
            target,
            heap,
            window_log,
            models,
            cache,
            encoders,
            work,
            decoded,
            libraries,
            recipes,
            moves,
        })
    }

    /// The most work of each kind that a patch between these images may declare.
    pub(crate) fn work_max(&self) -> u64 {
        let both = self.source.size.saturating_add(self.target.size);
        both.saturating_mul(WORK_TIMES).saturating_add(WORK_LEAST)
    }

    fn check(&self) -> Result<(), PatchError> {
        let impossible = if self.source.size > IMAGE_MAX || self.target.size > IMAGE_MAX {
            "size of an image"
        } else if !WINDOW_LOGS.contains(&self.window_log) {
            "window"
        } else if !MODELS.contains(&self.models.log) {
            "size of models"
        } else if self.cache > self.heap {
            "cache"
        } else if self.encoded() > self.work_max() || self.decoded > self.work_max() {
            "amount of work"
        } else if self.recipes.len() > RECIPES_MAX {
            "number of recipes"
        } else if self.moves.len() > MOVES_BYTES_MAX {
            "length of moves"
        } else {
            return Ok(());
        };
        Err(PatchError::Impossible(impossible))
    }

    /// Bytes of content that are encoded again, by all codecs.
    pub fn encoded(&self) -> u64 {
        self.work.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// The libraries that must be linked in exactly these releases.
    pub fn needs(&self) -> impl Iterator<Item = Library> + use<> {
        [Codec::Zlib, Codec::Lzma, Codec::Zstd]
            .into_iter()
            .zip(self.libraries)
            .filter(|(_, version)| *version != 0)
            .map(|(codec, version)| Library { codec, version })
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_MAX);
        out.extend(MAGIC);
        out.extend([VERSION, 0, 0]);
        for image in [&self.source, &self.target] {
            out.extend(image.size.to_le_bytes());
            out.extend(image.digest);
        }
        out.extend(self.heap.to_le_bytes());
        let pace = PACES.iter().position(|pace| *pace == self.models.pace).unwrap_or(0) as u8;
        out.extend([self.window_log, self.models.log, pace]);
        out.extend(self.cache.to_le_bytes());
        out.extend(self.encoders.to_le_bytes());
        self.work.iter().for_each(|bytes| out.extend(bytes.to_le_bytes()));
        out.extend(self.decoded.to_le_bytes());
        self.libraries.iter().for_each(|version| out.extend(version.to_le_bytes()));
        out.push(self.recipes.len().min(RECIPES_MAX) as u8);
        self.recipes.iter().take(RECIPES_MAX).for_each(|recipe| out.extend(recipe.to_bytes()));
        out.extend((self.moves.len() as u16).to_le_bytes());
        out.extend(&self.moves);
        let len = ((out.len() + CHECK) as u16).to_le_bytes();
        out.iter_mut().skip(5).zip(len).for_each(|(to, from)| *to = from);
        let check = Sha256::digest(&out);
        out.extend(check.iter().take(CHECK));
        out
    }
}

fn image(fields: &mut &[u8]) -> Option<Image> {
    Some(Image { size: u64::from_le_bytes(take(fields)?), digest: take(fields)? })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (now, later) = bytes.split_first_chunk()?;
    *bytes = later;
    Some(*now)
}
