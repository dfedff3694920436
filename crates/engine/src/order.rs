//! Orders: every way an update starts becomes one of these.

use alloc::string::String;
use types::{AttemptId, Digest, Name, Slot, Spent, Version};

/// The longest locator, in bytes: what fits the saved record, and what a server
/// promises for payload URLs.
pub const LOCATOR_MAX: usize = 256;

/// One order to install one release, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which try of which release on this terminal.
    pub attempt: AttemptId,
    /// Who ordered it and wants the report.
    pub source: Name,
    /// Where the package's entries are: a URL that ends in `/`, or a file path.
    locator: String,
    /// The release may be tried although it failed here before.
    pub again: Again,
}

/// Whether a release that failed on this terminal may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is refused.
    No,
    /// Someone ordered it anew, knowing that it failed.
    Yes,
}

/// Why an order cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the package's address is longer than 256 bytes or empty")]
pub struct OrderError;

impl Order {
    /// An order for the package at `locator`.
    ///
    /// # Errors
    /// The locator is empty or longer than 256 bytes.
    pub fn new(
        attempt: AttemptId,
        source: Name,
        locator: &str,
        again: Again,
    ) -> Result<Self, OrderError> {
        if locator.is_empty() || locator.len() > LOCATOR_MAX {
            return Err(OrderError);
        }
        Ok(Self { attempt, source, locator: locator.into(), again })
    }

    /// Where the package's entries are.
    pub fn locator(&self) -> &str {
        &self.locator
    }
}

/// An order that was inspected and accepted: what the later states need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What was ordered.
    pub order: Order,
    /// SHA-256 of the job file that describes what is installed.
    pub job: Digest,
    /// The version that is installed, for people.
    pub version: Version,
    /// The bank that is written, where the release has a part with banks.
    pub target: Slot,
    /// What the attempt has cost so far.
    pub spent: Spent,
}
