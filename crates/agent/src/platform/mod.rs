//! The real edges: Linux, its files and devices, boots and signals.
//!
//! Deliberately absent: decisions, and anything that comes from a network. `unsafe`
//! lives here only.

#[cfg(feature = "upkeep")]
pub mod backup;
pub mod boot;
pub mod clock;
#[cfg(feature = "upkeep")]
pub mod configuration;
pub mod confine;
pub mod contain;
#[cfg(feature = "components")]
pub mod copies;
pub mod descriptors;
mod files;
#[cfg(all(feature = "fixed", target_arch = "mips", target_env = "musl"))]
mod fixed;
pub mod flash;
pub mod floors;
pub mod health;
#[cfg(feature = "upkeep")]
pub mod hooks;
pub mod journal;
#[cfg(feature = "components")]
pub mod live;
pub mod lock;
mod medium;
#[cfg(feature = "components")]
mod mmc;
pub(crate) mod mtd;
#[cfg(feature = "components")]
pub mod own;
mod pair;
pub mod partition;
pub mod places;
pub mod power;
pub mod probe;
pub mod program;
#[cfg(feature = "upkeep")]
pub mod reset;
pub mod resident;
pub mod senses;
pub mod shared;
pub mod stage;
pub mod stop;
pub mod store;
#[cfg(test)]
mod tests;
pub(crate) mod wait;
#[cfg(feature = "dbus")]
pub mod watch;
pub mod watchdog;
pub mod zone;
