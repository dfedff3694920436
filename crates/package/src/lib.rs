//! `update.zip` and its manifest: one strict reader, one writer.
//!
//! Deliberately absent: keys and signatures (crate `trust`), files and sockets
//! (bytes come in and go out through small traits).
#![no_std]
extern crate alloc;

mod manifest;

pub use manifest::{
    Class, Codec, Component, ComponentKind, Hook, Link, Manifest, ManifestError, Payload, Phase,
};
