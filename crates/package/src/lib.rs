//! `update.zip` and its manifest: one strict reader, one writer.
//!
//! The archive has one byte form only (`record`): the reader works out what the
//! writer would have written and refuses everything else. Deliberately absent: keys and
//! signatures (crate `trust`), files and sockets (bytes come in and go out
//! through arguments).
#![no_std]
extern crate alloc;

mod archive;
mod deltas;
mod error;
mod index;
mod manifest;
mod names;
mod open;
mod record;
mod skeleton;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use archive::{Archive, Source};
pub use deltas::{Delta, Deltas, delta_entry};
pub use error::{ArchiveError, OutOfRange, ReadError};
pub use manifest::{
    Class, Codec, Component, ComponentKind, Hook, Link, Manifest, ManifestError, Payload, Phase,
    Program, Step,
};
pub use names::{PROOF, ROOTS, chunks_entry, payload_entry};
pub use open::Package;
pub use record::Entry;
pub use skeleton::Skeleton;
pub use stream::{Event, Stream};
pub use writer::{Crc32, WriteError, Writer, crc32};
