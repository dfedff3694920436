//! The real program and its processes: worker, sources, command line.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected has failed"
)]

mod bench;
mod boot_tools;
mod browser;
#[cfg(feature = "dbus")]
mod bus;
mod command_line;
mod configuration;
mod contained;
mod deltas;
mod doctor;
mod hooks;
mod hostile_worker;
mod media;
mod native_source;
mod own;
mod page;
mod policy;
mod recovery;
mod server;
mod warehouse;
mod worker;
