//! The edges of the device: small traits, one per thing of the outside world.
//!
//! Each has a real implementation in `platform`, `sources` or `worker` and a fake
//! in the simulator; both pass the suites of `conformance`. Deliberately absent:
//! decisions. An edge does what it is told or says why it could not.

mod absent;
mod boot;
mod clock;
mod configuration;
pub mod conformance;
mod copies;
mod feed;
mod flash;
mod health;
mod hooks;
mod journal;
mod live;
mod own;
mod power;
mod senses;
mod source;
mod stage;
mod store;
mod watchdog;

pub use absent::Absent;
pub use boot::{BootControl, BootError, SlotFacts};
pub use clock::{Clock, Now};
pub use configuration::{Change, Configuration, CopyError, Difference, Migration};
pub use copies::Copies;
pub use feed::{Encoding, Feed, FeedError, Feeds, PayloadSpec, Reset, Retry};
pub use flash::{Flash, Geometry};
pub use health::{Health, Verdict};
pub use hooks::{HookCall, HookEnd, Hooks};
pub use journal::{Journal, Loaded, RECORD_MAX};
pub use live::{Direct, Live};
pub use own::{OwnProgram, Runs};
pub use power::Power;
pub use senses::Senses;
pub use source::{Delivered, Heard, Heartbeat, Source, SourceError};
pub use stage::Stage;
pub use store::{RollbackStore, Store};
pub use watchdog::Watchdog;
