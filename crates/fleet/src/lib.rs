//! Who gets what when, as pure functions over facts.
//!
//! [`offer`] answers for one device and one plan, the same on every replica and on
//! the device itself. Behind the feature `operator` are the rules by which a server
//! makes plans: waves, halting, and what a report or a heartbeat changes.
//!
//! Deliberately absent: SQL, HTTP, clocks, and what happens inside a device.
#![no_std]
extern crate alloc;

mod audience;
mod bucket;
pub mod filter;
mod labels;
mod plan;
mod schedule;
mod standing;
pub mod static_plan;
mod terms;
mod zone;

#[cfg(feature = "operator")]
pub mod operator;

pub use audience::{Attempt, Audience, DeviceFacts, Mismatch};
pub use bucket::{BUCKETS, bucket};
pub use labels::{LABELS_LIMIT, Labels};
pub use plan::{Busy, Gate, Offer, Plan, Track, offer, runs};
pub use schedule::{Schedule, WINDOWS_LIMIT, Window, WindowError};
pub use standing::{Class, Event, Shows, Standing};
pub use terms::{
    DownloadLimit, Fit, LEAST_RATE, Places, RETRIES_LIMIT, SiteLimit, Terms, transient,
};
pub use zone::{Zone, ZoneError};
