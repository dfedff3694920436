//! The words of Refit, shared by every other crate.
//!
//! Deliberately absent: clocks, disks, sockets, keys, and any decision. The
//! crate is `no_std + alloc`, so the compiler keeps them out.
#![no_std]
extern crate alloc;

mod digest;
mod document;
mod image;
mod line;
mod name;
mod outcome;
mod release;
mod report;
mod slot;
mod terms;
mod text;
mod time;
pub mod tree;

pub use digest::{Digest, DigestError, Hasher};
pub use document::{Document, Sealed, Statement};
pub use image::Image;
pub use line::Line;
pub use name::{DeviceId, Name, NameError, Text};
pub use outcome::{Kind, Outcome};
pub use release::{ComponentState, Release, Running, Version};
pub use report::{AttemptId, Report, Spent};
pub use slot::{Effect, Slot, Tries};
pub use terms::{Abroad, Elsewhere, Latecomers, Mode};
pub use time::{Seconds, TimeError, Timestamp};
pub use tree::{Tree, TreeError};
