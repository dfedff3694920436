//! How much a server may spend on deltas.

use fleet::operator::Limits;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much a server may spend on deltas.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Deltas")]
pub(crate) struct DeltaOptions {
    /// Deltas that this server makes at the same time; 0 for none
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) delta_jobs: u8,
    /// MiB of memory that making one may take; one that needs more is dropped
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(16..))]
    pub(crate) delta_memory_mib: u32,
    /// Seconds that making one may take; one that needs more is dropped
    #[arg(long, default_value_t = 7200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) delta_seconds: u32,
    /// How hard to look for a small delta
    #[arg(long, value_enum, default_value_t = Effort::Best)]
    pub(crate) delta_effort: Effort,
    /// The most deltas of one release
    #[arg(long, default_value_t = 16)]
    pub(crate) delta_limit: u16,
    /// MiB of deltas of one release, after which no further one is begun
    #[arg(long, default_value_t = 2048)]
    pub(crate) delta_release_mib: u32,
    /// MiB of deltas that are kept in all; what was fetched longest ago goes first
    #[arg(long, default_value_t = 10_240)]
    pub(crate) delta_cache_mib: u32,
}

/// How hard to look for a small delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Effort {
    /// The smallest one.
    Best,
    /// One that is a little larger, in less time.
    Fast,
}

impl DeltaOptions {
    /// How much is made for one release.
    pub(crate) fn limits(&self) -> Limits {
        Limits { deltas: self.delta_limit.into(), bytes: u64::from(self.delta_release_mib) << 20 }
    }

    /// Bytes that are kept in all.
    pub(crate) fn budget(&self) -> u64 {
        u64::from(self.delta_cache_mib) << 20
    }

    /// How long making one may take.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.delta_seconds.into())
    }
}

#[cfg(test)]
impl Default for DeltaOptions {
    fn default() -> Self {
        Self {
            delta_jobs: 1,
            delta_memory_mib: 1024,
            delta_seconds: 60,
            delta_effort: Effort::Best,
            delta_limit: 4,
            delta_release_mib: 64,
            delta_cache_mib: 64,
        }
    }
}
