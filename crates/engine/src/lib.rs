//! What one device does next, as pure functions over saved state.
//!
//! Deliberately absent: protocols, fleets, servers, clocks and disks. Time and
//! facts are arguments; every answer is a value. `no_std + alloc`.
#![no_std]
extern crate alloc;

mod ahead;
pub mod configuration;
mod cursor;
pub mod examine;
pub mod inspect;
mod next;
mod order;
pub mod policy;
mod poll;
mod state;
#[cfg(test)]
mod tests;
mod throttle;

pub use cursor::Cursor;
pub use order::{Again, LOCATOR_MAX, Locator, LocatorError, Order, Task};
pub use policy::{Facts, Gate, Hold, Left, Reason, Standing, gate};
pub use poll::{Backoff, Poll};
pub use state::{
    Another, BootId, Command, Event, Phase, READ_BACKS_MAX, STALLS_MAX, Start, State, TRIES,
};
pub use throttle::Throttle;
