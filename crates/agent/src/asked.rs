//! Since when an update has been known here, and of what kind it is: what an owner's
//! time to postpone is counted from.

use engine::policy::consent::{Class, Urgency};
use serde::{Deserialize, Serialize};
use types::{AttemptId, Elsewhere, Timestamp};

/// The update that the owner is or was asked about. Stored as JSON in the document
/// `asked`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    attempt: Option<AttemptId>,
    since: Option<Timestamp>,
    security: bool,
}

impl Asked {
    /// The document's name in the store.
    pub const NAME: &'static str = "asked";

    /// `attempt` is known since `since`.
    pub fn new(attempt: AttemptId, since: Timestamp, class: Class) -> Self {
        let security = class == Class::Security;
        Self { attempt: Some(attempt), since: Some(since), security }
    }

    /// Since when `attempt` is known.
    pub fn since(&self, attempt: AttemptId) -> Option<Timestamp> {
        self.since.filter(|_| self.attempt == Some(attempt))
    }

    /// What kind of release `attempt` is of; features until it is known.
    pub fn class(&self, attempt: AttemptId) -> Class {
        let security = self.security && self.attempt == Some(attempt);
        if security { Class::Security } else { Class::Feature }
    }
}

/// How urgently an attempt is wanted, and what its operator decided about this region,
/// where that is not as usual: noted before the order is taken, so that no restart makes
/// it more. Stored as JSON in the document `urgency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Urged {
    attempt: Option<AttemptId>,
    forced: bool,
    download_only: bool,
    elsewhere: Elsewhere,
}

impl Urged {
    /// The document's name in the store.
    pub const NAME: &'static str = "urgency";

    /// `attempt` is wanted so.
    pub fn new(attempt: AttemptId, urgency: Urgency, elsewhere: Elsewhere) -> Self {
        Self {
            attempt: Some(attempt),
            forced: urgency == Urgency::Forced,
            download_only: urgency == Urgency::DownloadOnly,
            elsewhere,
        }
    }

    /// What was decided about the region of `attempt`.
    pub fn elsewhere(&self, attempt: AttemptId) -> Elsewhere {
        if self.attempt == Some(attempt) { self.elsewhere } else { Elsewhere::Refuse }
    }

    /// Which attempt is meant.
    pub fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// Whether nothing needs to be noted.
    pub fn is_usual(&self) -> bool {
        !self.forced && !self.download_only && self.elsewhere.is_refuse()
    }

    /// How `attempt` is wanted.
    pub fn of(&self, attempt: AttemptId) -> Urgency {
        match self.attempt == Some(attempt) {
            true if self.download_only => Urgency::DownloadOnly,
            true if self.forced => Urgency::Forced,
            _ => Urgency::Soft,
        }
    }
}
