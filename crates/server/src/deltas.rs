//! Deltas that the server makes by itself, from what the fleet runs.
//!
//! `plan` decides with `fleet` which are worth making and puts them into the queue;
//! `work` takes them from there and has each made by a child process (`child`), which
//! may fail without harm; `shelf` is what terminals can be given; `tidy` lets go what
//! nobody needs. Deltas are not signed and nobody believes them: what one makes is
//! checked on the terminal against what the maker signed.

pub(crate) mod child;
mod contain;
pub(crate) mod options;
mod plan;
mod shelf;
mod tidy;
pub(crate) mod work;

pub(crate) use options::DeltaOptions;
pub(crate) use plan::plan_job;
pub(crate) use shelf::Shelf;

use serde::{Deserialize, Serialize};
use types::{Digest, Name};

/// What makes deltas. Those of another generator are made anew.
pub(crate) const GENERATOR: &str = concat!("refit-", env!("CARGO_PKG_VERSION"), "-1");

/// What a job of the queue says about the delta that it is to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Of which component.
    pub(crate) component: Name,
    /// The image that it starts from.
    pub(crate) source: Digest,
    /// The image that it makes.
    pub(crate) target: Digest,
    /// MiB that applying it may take.
    pub(crate) class: u32,
    /// The release that it leads to: digest of its manifest.
    pub(crate) release: Digest,
}

impl Order {
    /// Names the delta among all that could ever be made.
    pub(crate) fn key(&self) -> Digest {
        let mut bytes = b"refit delta v1\0".to_vec();
        bytes.extend(self.source.0);
        bytes.extend(self.target.0);
        bytes.extend(self.class.to_be_bytes());
        bytes.extend(GENERATOR.as_bytes());
        Digest::of(&bytes)
    }

    /// The name of the job that makes it.
    pub(crate) fn job(&self) -> Name {
        job_name("delta", self.key())
    }
}

/// A job's name: what it does, and the first half of a digest.
fn job_name(word: &str, digest: Digest) -> Name {
    let digits: String = digest.to_string().chars().take(32).collect();
    format!("{word}-{digits}").parse().unwrap_or_else(|_| Name::unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(source: u8, class: u32) -> Order {
        let (source, target) = (Digest([source; 32]), Digest([9; 32]));
        let component = "rootfs".parse().unwrap();
        Order { component, source, target, class, release: Digest([7; 32]) }
    }

    #[test]
    fn a_delta_is_named_after_all_that_it_is_made_of() {
        let one = order(1, 8);
        assert_eq!(one.key(), Order { release: Digest([8; 32]), ..one.clone() }.key());
        assert_ne!(one.key(), order(2, 8).key());
        assert_ne!(one.key(), order(1, 16).key());
        assert_eq!(one.job().as_str().len(), "delta-".len() + 32);
    }
}
