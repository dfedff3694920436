//! What servers do without being asked, and the deltas that come of it.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Digest, Name, Timestamp};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Looks after a rollout.
    Tend,
    /// Plans the deltas of a release.
    Plan,
    /// Makes one delta.
    Delta,
    /// A word of a newer server.
    #[serde(other)]
    Unknown,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for its time, or for its turn.
    Waiting,
    /// A server is at it.
    Running,
    /// It is done.
    Done,
    /// It cannot be done, or was not worth it; `error` says why.
    Dropped,
    /// An operator ended it.
    Cancelled,
    /// A word of a newer server.
    #[serde(other)]
    Unknown,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub id: Name,
    /// What it does.
    pub kind: JobKind,
    /// The rollout, or the release (digest of its manifest), that it is about.
    pub about: String,
    /// Where it stands.
    pub state: JobState,
    /// Higher ones first.
    pub priority: i64,
    /// Not before.
    pub due: Timestamp,
    /// How often it was begun.
    pub tries: u32,
    /// How far it is: so many bytes or steps.
    pub done: u64,
    /// Of so many; 0 where nobody knows.
    pub total: u64,
    /// What is being done, or what came of it, for people.
    #[serde(default)]
    pub words: String,
    /// What went wrong last, for people.
    #[serde(default)]
    pub error: String,
    /// When it was added.
    pub made: Timestamp,
    /// When its last change was.
    pub changed: Timestamp,
}

/// The jobs: those that wait or run first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// At most a thousand.
    pub jobs: Vec<JobView>,
}

/// What came of making one delta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaView {
    /// Of which component.
    pub component: Name,
    /// The image that it starts from.
    pub source: Digest,
    /// The published version that has that image, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// MiB of memory that it was made for.
    pub class_mib: u32,
    /// It is kept and offered.
    pub kept: bool,
    /// Its bytes, where it is kept.
    pub size: u64,
    /// Bytes of memory that applying it takes, where it is kept.
    pub heap: u64,
    /// Bytes of the full payload.
    pub full: u64,
    /// Why it is not kept.
    #[serde(default)]
    pub why: String,
    /// When that was.
    pub made: Timestamp,
    /// When it was made or fetched last.
    pub used: Timestamp,
}

/// The deltas that servers made, or would not, to one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaList {
    /// First made first.
    pub deltas: Vec<DeltaView>,
    /// Jobs that still stand between the release and all of its deltas.
    pub pending: u64,
}
