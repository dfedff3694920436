//! Who may install what: signatures, roles and thresholds make `Verified`, and
//! a chunk that fits its signed digest makes `Proven`.
//!
//! The metadata has the shape of The Update Framework (TUF 1.0.31): a pinned
//! `Root` names the keys of each role, `Targets` names what they signed.
//! Deliberately absent: clocks, disks and sockets. Times and bytes are arguments.
#![no_std]
extern crate alloc;

mod canonical;
mod chunks;
mod envelope;
mod error;
mod key;
mod role;
mod root;
#[cfg(any(test, feature = "sign"))]
mod sign;
mod statement;
mod strict;
mod targets;
#[cfg(test)]
mod tests;
mod verified;

pub use canonical::canonical;
pub use chunks::{ChunkList, Proven};
pub use error::TrustError;
pub use key::PublicKey;
pub use role::Role;
pub use root::Root;
#[cfg(any(test, feature = "sign"))]
pub use sign::{KeyError, RootDraft, SigningKey, Target, TargetsDraft, seal_statement, sign};
pub use statement::verify_statement;
pub use targets::{Targets, verify_targets};
pub use verified::{Verified, recall};
