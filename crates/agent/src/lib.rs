//! The device: where orders come from, the edges of the outside world, and the
//! loop that carries one update through.
//!
//! Deliberately absent without the feature `cli`: network, files, command line.

mod ahead;
pub mod aligned;
mod asked;
mod attend;
#[cfg(feature = "dbus")]
pub mod bus;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "cli")]
pub mod desk;
mod device;
mod diary;
pub mod edges;
mod features;
#[cfg(feature = "cli")]
pub mod https;
mod install;
mod inventory;
mod job;
mod log;
mod outbox;
pub mod owner;
#[cfg(feature = "page")]
pub mod page;
mod perform;
#[cfg(feature = "cli")]
pub mod platform;
mod policy;
mod read_back;
mod record;
mod recovery;
mod refill;
#[cfg(feature = "cli")]
pub mod sources;
mod status;
mod switches;
mod work;
#[cfg(feature = "cli")]
pub mod worker;

pub use asked::{Asked, Urged};
pub use device::{Bank, Device, DeviceError, Edges, Identity, Options, ReadBack, Turn};
pub use features::{FEATURES, left_out};
pub use inventory::Inventory;
pub use log::{Earlier, Log, Said};
pub use outbox::Outbox;
pub use perform::ROOT;
pub use recovery::{Layout, RECOVERY, SYSTEM, Staging};
pub use status::{Offered, Status};
pub use switches::{Switches, Wish};
