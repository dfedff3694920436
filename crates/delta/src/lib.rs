//! Bytes to bytes: how a payload becomes an image.
//!
//! A full payload is the image's chunks, each one independent Zstandard frame
//! (RFC 8878), so that decoding can start again at any chunk and needs no more
//! memory than one chunk. Deliberately absent: files, sockets, and any belief:
//! what comes out is checked against the signed digests by the caller.
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "diff"))]
extern crate std;

mod apply;
mod codec;
mod coder;
mod correction;
#[cfg(any(test, feature = "diff"))]
mod diff;
mod frames;
mod header;
#[cfg(any(test, feature = "diff"))]
pub mod open;
mod packets;
mod patch;
mod read;
mod recipe;
mod sequences;
mod tokens;
mod verity;

pub use apply::{Applied, Applier, ApplyError, Limits, Reset};
#[cfg(any(test, feature = "encode"))]
pub use codec::FrameEncoder;
pub use codec::{Fault, deflate::DeflateOptions, lzma::LzmaOptions, zstd::ZstdOptions};
pub use coder::{Models, Pace};
pub use correction::{Correction, CorrectionError, Edit};
#[cfg(any(test, feature = "diff"))]
pub use diff::{Delta, DiffError, DiffOptions, Effort, Explanation, Progress, Stage, diff};
pub use frames::{DecodeError, FrameDecoder, Step};
pub use patch::{HEADER_MAX, Hole, Holes, Image, PatchError, PatchHeader, RECIPES_MAX, SPAN_MAX};
pub use read::{ReadAt, ReadFault};
pub use recipe::{
    Codec, Decoded, Decoder, Encoder, Frame, Framing, Library, Lz4Recipe, LzmaRecipe, Recipe,
    RecipeError, WINDOW_LOG_MAX, Wrapper, XzRecipe,
};

/// The largest window of a frame, 2 MiB. Fixed by the package format: a terminal
/// knows what memory an update takes before it starts one.
pub const WINDOW_MAX: u64 = 2 << 20;
