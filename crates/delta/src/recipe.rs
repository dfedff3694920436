//! How a stream was encoded, exactly enough to make the same bytes again.
//!
//! A recipe names codec and parameters; the same release of the same library
//! makes the same bytes of the same content. Whether it does was proven when the
//! delta was made. Recipes come with patches, from anybody: they are bounded,
//! and what they allocate is known before it is allocated.

pub(crate) mod again;
pub(crate) mod chosen;
pub(crate) mod corrector;
pub(crate) mod deflate;
pub(crate) mod edited;
pub(crate) mod lz4;
pub(crate) mod lzma;
mod running;
mod stored;
pub(crate) mod told;
pub(crate) mod weave;
pub(crate) mod words;
pub(crate) mod xz;
pub(crate) mod zstd;
pub(crate) mod zstd_frame;

use crate::codec::deflate::DeflateOptions;
use crate::codec::lzma::{self as liblzma, Lzma, LzmaOptions};
use crate::codec::zstd::ZstdOptions;
use crate::codec::{self, Fault};
use crate::correction::Correction;
use crate::tokens::Told;
use alloc::boxed::Box;
use alloc::vec::Vec;
use corrector::Corrector;
pub use deflate::Wrapper;
pub use lz4::{Framing, Lz4Recipe};
pub use lzma::{Frame, LzmaRecipe};
pub use running::{Decoded, Decoder, Encoder};
use running::{Decoding, Encoding};
pub use xz::XzRecipe;

/// Encoding and decoding of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// zlib.
    Deflate {
        /// What surrounds the data.
        wrapper: Wrapper,
        /// What zlib is told.
        options: DeflateOptions,
    },
    /// liblzma's .xz.
    Xz(XzRecipe),
    /// libzstd.
    Zstd(ZstdOptions),
    /// LZMA of any encoder.
    Lzma(LzmaRecipe),
    /// LZ4 of any encoder.
    Lz4(Lz4Recipe),
    /// Deflate of any encoder, by what is told of it.
    DeflateTold(Wrapper),
}

/// The C libraries that encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// zlib.
    Zlib,
    /// liblzma.
    Lzma,
    /// libzstd.
    Zstd,
}

/// A library in a release, by the library's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Library {
    /// Which.
    pub codec: Codec,
    /// Its release: zlib 0x1310, liblzma 50080022, libzstd 10507.
    pub version: u32,
}

impl Library {
    /// The one that this program has linked; release 0 is none.
    pub fn linked(codec: Codec) -> Self {
        let version = match codec {
            _ if !MAKES => 0,
            Codec::Zlib => codec::deflate::version(),
            Codec::Lzma => liblzma::version(),
            Codec::Zstd => codec::zstd::version(),
        };
        Self { codec, version }
    }
}

/// Why bytes are no recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The bytes end too early.
    #[error("the recipe is cut off")]
    Short,
    /// A kind of a later version.
    #[error("the recipe is of the unknown kind {0}")]
    Kind(u8),
    /// A parameter that no encoder takes.
    #[error("the recipe has an impossible {0}")]
    Impossible(&'static str),
}

/// Whether this program makes streams again. Without the feature nothing below calls an
/// encoder, so that the linker leaves all of them out.
const MAKES: bool = cfg!(any(test, feature = "recipes"));

/// Why it does not.
const MAKES_NONE: Fault = "this program was built without the makers of compressed streams";

/// The largest window that a recipe may ask for, as a power of two: 128 MiB is
/// what libzstd decodes without being asked and twice xz's largest preset.
pub const WINDOW_LOG_MAX: u8 = 27;

/// The largest block of an .xz stream whose headers state sizes and which is
/// therefore held in memory.
const XZ_BLOCK_MAX: u64 = 1 << 32;

const DEFLATE: u8 = 1;
const XZ: u8 = 2;
const ZSTD: u8 = 3;
const LZMA: u8 = 4;
const LZ4: u8 = 5;
const DEFLATE_TOLD: u8 = 6;

impl Recipe {
    /// The most bytes that [`to_bytes`](Self::to_bytes) makes.
    pub const BYTES_MAX: usize = 32;

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES_MAX);
        match self {
            Self::Deflate { wrapper, options } => {
                out.push(DEFLATE);
                wrapper.put(&mut out);
                out.extend([options.level, options.window_bits]);
                out.extend([options.mem_level, options.strategy]);
            }
            Self::Xz(recipe) => {
                out.extend([XZ, recipe.check, recipe.sized.into(), recipe.branch]);
                out.push(recipe.dict_byte);
                out.extend(recipe.block.to_le_bytes());
                stored::put_lzma(&mut out, recipe.options);
            }
            Self::Zstd(options) => {
                out.extend([ZSTD, options.level.to_le_bytes()[0], options.window_log]);
                out.extend(options.switches.to_le_bytes());
                out.extend([options.splitter, options.long]);
            }
            Self::Lzma(recipe) => {
                out.push(LZMA);
                recipe.put(&mut out);
            }
            Self::Lz4(recipe) => {
                out.push(LZ4);
                recipe.put(&mut out);
            }
            Self::DeflateTold(wrapper) => {
                out.push(DEFLATE_TOLD);
                wrapper.put(&mut out);
            }
        }
        out
    }

    /// Reads the stored form from the front of `bytes`.
    ///
    /// # Errors
    /// It is none, or has parameters that no encoder takes.
    pub fn from_bytes(bytes: &mut &[u8]) -> Result<Self, RecipeError> {
        match byte(bytes)? {
            DEFLATE => {
                let wrapper = Wrapper::take(bytes)?;
                let [level, window_bits, mem_level, strategy] = take(bytes)?;
                within(level, 1, 9, "level")?;
                within(window_bits, 9, 15, "window")?;
                within(mem_level, 1, 9, "memory level")?;
                within(strategy, 0, 4, "strategy")?;
                let options = DeflateOptions { level, window_bits, mem_level, strategy };
                Ok(Self::Deflate { wrapper, options })
            }
            XZ => Ok(Self::Xz(stored::take_xz(bytes)?)),
            ZSTD => {
                let [level, window_log, low, high, splitter, long] = take(bytes)?;
                let level = i8::from_le_bytes([level]);
                let switches = u16::from_le_bytes([low, high]);
                within(level, -7, 22, "level")?;
                within(window_log, 0, WINDOW_LOG_MAX, "window")?;
                within(long, 0, WINDOW_LOG_MAX, "window")?;
                within(switches, 0, ZstdOptions::ALL, "switch")?;
                within(splitter, 0, 6, "splitter")?;
                Ok(Self::Zstd(ZstdOptions { level, window_log, switches, splitter, long }))
            }
            LZMA => Ok(Self::Lzma(LzmaRecipe::take(bytes)?)),
            LZ4 => Ok(Self::Lz4(Lz4Recipe::take(bytes)?)),
            DEFLATE_TOLD => Ok(Self::DeflateTold(Wrapper::take(bytes)?)),
            kind => Err(RecipeError::Kind(kind)),
        }
    }

    /// The library that makes these bytes, as it is linked here; what needs none counts
    /// with the one of its format, and LZ4 with libzstd.
    pub fn library(&self) -> Library {
        Library::linked(match self {
            Self::Deflate { .. } | Self::DeflateTold(_) => Codec::Zlib,
            Self::Xz(_) | Self::Lzma(_) => Codec::Lzma,
            Self::Zstd(_) | Self::Lz4(_) => Codec::Zstd,
        })
    }

    /// Only one release of its library makes these bytes for certain.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn needs_library(&self) -> bool {
        !matches!(self, Self::Lzma(_) | Self::Lz4(_) | Self::DeflateTold(_))
    }

    /// Bytes of heap that encoding `plain` bytes of content takes.
    pub fn encoder_heap(&self, plain: u64) -> u64 {
        match self {
            _ if !MAKES => u64::MAX,
            Self::Deflate { options, .. } => deflate::encoder_heap(*options),
            Self::Xz(recipe) => xz::encoder_heap(recipe, plain),
            Self::Zstd(options) => zstd::encoder_heap(*options, plain),
            // By what is told alone.
            Self::Lzma(_) | Self::Lz4(_) | Self::DeflateTold(_) => u64::MAX,
        }
    }

    /// Bytes that an encoder asks for: what it takes, and what `plain` bytes never reach.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn encoder_asks(&self, plain: u64) -> u64 {
        let unused = match self {
            Self::Xz(recipe) => xz::untouched(recipe.options, plain),
            _ => 0,
        };
        self.encoder_heap(plain).saturating_add(unused)
    }

    /// Bytes of heap that decoding a stream of `plain` bytes of content takes.
    pub fn decoder_heap(&self, plain: u64) -> u64 {
        match self {
            _ if !MAKES => u64::MAX,
            Self::Deflate { .. } => deflate::DECODER_HEAP,
            Self::Xz(recipe) => liblzma::decoder_heap(recipe.chain(), stated(recipe)) + (64 << 10),
            Self::Zstd(options) => zstd::decoder_heap(*options, plain),
            Self::Lzma(recipe) => recipe.decoder_heap(plain),
            Self::Lz4(recipe) => recipe.decoder_heap(plain),
            Self::DeflateTold(_) => deflate::DECODER_HEAP + deflate::told::reader_heap(plain),
        }
    }

    /// Bytes that may come out at once, about: what an encoder holds back, but for those that
    /// hold no more than a chunk.
    pub(crate) fn at_once(&self) -> u64 {
        match self {
            Self::Lzma(_) | Self::DeflateTold(_) => 96 << 10,
            _ => 1 << 20,
        }
    }

    /// Starts making the stream of `plain` bytes of content.
    ///
    /// # Errors
    /// Out of memory, or parameters that the library refuses.
    pub fn encoder(&self, plain: u64) -> Result<Encoder, Fault> {
        let encoding = match self {
            _ if !MAKES => return Err(MAKES_NONE),
            Self::Deflate { wrapper, options } => {
                Encoding::Deflate(deflate::DeflateEncoder::new(*wrapper, *options)?)
            }
            Self::Xz(recipe) => Encoding::Xz(xz::XzEncoder::new(*recipe)?),
            Self::Zstd(options) => Encoding::Zstd(zstd::FrameMaker::new(*options, plain, &[])?),
            Self::Lzma(_) => return Err("a stream of LZMA is told, or it cannot be made"),
            Self::Lz4(_) => return Err("blocks of LZ4 are told, or they cannot be made"),
            Self::DeflateTold(_) => return Err("nothing is told of a deflate stream"),
        };
        Ok(Encoder { encoding, corrector: None })
    }

    /// Starts making the stream of `plain` bytes of content that differs by
    /// `correction` from what the encoder makes.
    ///
    /// # Errors
    /// As for [`encoder`](Self::encoder).
    pub fn corrected(&self, plain: u64, correction: Correction) -> Result<Encoder, Fault> {
        let (edits, sequences) = correction.into_parts();
        let mut encoder = match self {
            Self::Zstd(options) if MAKES => {
                let maker = zstd::FrameMaker::new(*options, plain, &sequences)?;
                Encoder { encoding: Encoding::Zstd(maker), corrector: None }
            }
            Self::Lzma(recipe) if MAKES => {
                let told = lzma::Told::read(&sequences).map_err(|_| "nothing is told of LZMA")?;
                let maker = lzma::ToldMaker::new(*recipe, told, plain)?;
                Encoder { encoding: Encoding::Lzma(Box::new(maker)), corrector: None }
            }
            Self::Lz4(recipe) if MAKES => {
                let maker = lz4::Maker::new(*recipe, &sequences, plain)?;
                Encoder { encoding: Encoding::Lz4(maker), corrector: None }
            }
            Self::DeflateTold(wrapper) if MAKES => {
                let maker = deflate::told::ToldMaker::new(*wrapper, &sequences, plain)?;
                Encoder { encoding: Encoding::DeflateTold(Box::new(maker)), corrector: None }
            }
            _ => self.encoder(plain)?,
        };
        match &mut encoder.encoding {
            Encoding::Zstd(_) | Encoding::Lzma(_) | Encoding::Lz4(_) => {}
            Encoding::DeflateTold(_) => {}
            _ if sequences.is_empty() || !MAKES => {}
            Encoding::Deflate(encoder) => encoder.correct(&sequences)?,
            Encoding::Xz(_) => return Err("what xz chooses cannot be corrected"),
        }
        if !edits.is_empty() {
            encoder.corrector = Some((Corrector::new(edits), Vec::new()));
        }
        Ok(encoder)
    }

    /// Bytes of heap that [`corrected`](Self::corrected) takes.
    pub fn corrected_heap(&self, plain: u64, correction: &Correction) -> u64 {
        let sequences = match self {
            Self::Lzma(_) => {
                let told = lzma::Told::read(correction.sequences());
                let heap = told.map_or(u64::MAX, |told| told.heap());
                return heap.saturating_add(correction.held());
            }
            Self::Lz4(_) => {
                let told = lz4::Told::read(correction.sequences());
                let heap = told.map_or(u64::MAX, |told| told.heap());
                return heap.saturating_add(correction.held());
            }
            Self::DeflateTold(_) => {
                let told = deflate::told::Told::read(correction.sequences());
                let heap = told.map_or(u64::MAX, |told| told.heap());
                return heap.saturating_add(correction.held());
            }
            _ if !correction.has_sequences() => 0,
            Self::Zstd(options) => zstd::corrected_heap(*options, plain, correction.sequences()),
            _ => Told::read(correction.sequences()).map_or(u64::MAX, |told| told.heap()),
        };
        self.encoder_heap(plain).saturating_add(correction.held()).saturating_add(sequences)
    }

    /// Starts decoding a stream of `plain` bytes of content.
    ///
    /// # Errors
    /// Out of memory.
    pub fn decoder(&self, plain: u64) -> Result<Decoder, Fault> {
        Ok(Decoder(match self {
            _ if !MAKES => return Err(MAKES_NONE),
            Self::Deflate { wrapper, .. } => {
                Decoding::Deflate(deflate::DeflateDecoder::new(*wrapper)?)
            }
            Self::Xz(_) => Decoding::Lzma(Lzma::xz_decoder(self.decoder_heap(plain))?),
            Self::Zstd(options) => Decoding::Zstd(zstd::FrameReader::new(*options, plain)?),
            Self::Lzma(recipe) => Decoding::Told(Box::new(lzma::ToldReader::new(*recipe, plain)?)),
            Self::Lz4(recipe) => Decoding::Lz4(lz4::Reader::new(*recipe, plain)?),
            Self::DeflateTold(wrapper) => {
                Decoding::DeflateTold(Box::new(deflate::told::ToldReader::new(*wrapper, plain)?))
            }
        }))
    }
}

/// The options with the dictionary that the block header states.
fn stated(recipe: &XzRecipe) -> LzmaOptions {
    let dict = xz::dictionary(recipe.dict_byte).unwrap_or(u32::MAX);
    LzmaOptions { dict: dict.max(1 << 12), ..recipe.options }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], RecipeError> {
    let (now, later) = bytes.split_first_chunk().ok_or(RecipeError::Short)?;
    *bytes = later;
    Ok(*now)
}

fn byte(bytes: &mut &[u8]) -> Result<u8, RecipeError> {
    take::<1>(bytes).map(|[byte]| byte)
}

fn within<T: PartialOrd + Copy>(
    value: T,
    least: T,
    most: T,
    what: &'static str,
) -> Result<(), RecipeError> {
    if value < least || value > most {
        return Err(RecipeError::Impossible(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
