//! Orders: every way an update starts becomes one of these.

use alloc::string::String;
use types::{AttemptId, Digest, Name, Slot, Spent, Version};

/// The longest locator, in bytes: what fits the saved record, and what a server
/// promises for payload URLs.
pub const LOCATOR_MAX: usize = 256;

/// Where a package's entries are: a URL that ends in `/`, or a file path; 1 to 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator(String);

/// Why a text is no locator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the package's address is empty or longer than 256 bytes")]
pub struct LocatorError;

impl Locator {
    /// The locator with this text.
    ///
    /// # Errors
    /// The text is empty or longer than 256 bytes.
    pub fn new(text: &str) -> Result<Self, LocatorError> {
        if text.is_empty() || text.len() > LOCATOR_MAX {
            return Err(LocatorError);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One order to install one release, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which try of which release on this terminal.
    pub attempt: AttemptId,
    /// Who ordered it and wants the report.
    pub source: Name,
    /// Where the package is.
    pub locator: Locator,
    /// Whether the release may be tried although it failed here before.
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

/// An order that was inspected and accepted: what the later states need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Which try of which release on this terminal.
    pub attempt: AttemptId,
    /// Who ordered it and wants the report.
    pub source: Name,
    /// SHA-256 of the job file that describes what is installed.
    pub job: Digest,
    /// The version that is installed, for people.
    pub version: Version,
    /// The bank that is written; none when no part of the release needs a boot.
    pub target: Option<Slot>,
    /// What the attempt has cost so far.
    pub spent: Spent,
}
