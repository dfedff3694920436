//! Bytes to messages and back, for both ends of every protocol.
//!
//! Deliberately absent: sockets, clocks and decisions. A message that decodes is
//! within its limits; what it means is decided by `fleet` on the server and by
//! `engine` on the device. Signed documents never pass through here decoded.
#![no_std]
extern crate alloc;

pub mod json;
pub mod native;
pub mod operator;
