//! The native device protocol, version 1: JSON over HTTPS, the device asks.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/enrol` | [`Enrol`] | [`Enrolled`] |
//! | `POST /v1/heartbeat` | [`Heartbeat`] | 204, or [`Answer`] |
//! | `POST /v1/reports` | [`Reports`] | [`Accepted`] |
//! | `POST /v1/logs` | [`AttemptLog`] | [`Accepted`] |
//! | `POST /v1/progress` | [`Progress`] | 204 |
//! | `GET <base>manifest.json` and other entries | – | bytes, with ranges |
//!
//! All but enrolment and the payload addresses carry `Authorization: Bearer <credential>`.
//! Errors are [`Problem`]s.
//!
//! **Version rule.** `protocol` is the highest version that the sender speaks. A
//! receiver ignores fields it does not know; a field added within a version is
//! optional and its absence means what it meant before; a field is never removed
//! or given another meaning within a version. A peer that speaks a higher version
//! is answered in ours; one below [`LEAST`] is refused.

mod log;

pub use log::{AttemptLog, LOG_LINES_LIMIT, LogLine};

use crate::json::Message;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};
use types::{AttemptId, DeviceId, Elsewhere, Name, Release, Report, Running, Slot, Text};

/// The version that this crate speaks.
pub const PROTOCOL: u16 = 1;
/// The oldest version that a server still answers.
pub const LEAST: u16 = 1;
/// The longest base address of an offer, in bytes: it must fit the field of other
/// protocols that carry addresses (`DownloadURL`, TR-069 A.3.2.8).
pub const BASE_LIMIT: usize = 256;
/// The most reports of one request: an outbox holds no more.
pub const REPORTS_LIMIT: usize = 16;
/// The most components that a terminal names: a manifest has no more.
pub const COMPONENTS_LIMIT: usize = 32;
/// The most abilities that a terminal names.
pub const ABILITIES_LIMIT: usize = 16;
/// The longest token, credential or etag, in bytes.
pub const SECRET_LIMIT: usize = 128;
/// The longest word of a rule, in bytes.
pub const RULE_LIMIT: usize = 32;
/// The least and the most seconds between two heartbeats.
pub const POLL_RANGE: core::ops::RangeInclusive<u32> = 1..=7 * 24 * 3600;

fn protocol() -> u16 {
    PROTOCOL
}

/// What a terminal is: changes rarely, decides which releases are for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Which product it is.
    pub product: Name,
    /// Its hardware compatibility string (model and board revision).
    pub hardware: Name,
    /// Brand or carrier variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// Where it is used, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// MiB that it can spend on applying a delta.
    #[serde(default)]
    pub memory_class_mib: u32,
}

/// A terminal asks to be known, with a token that is good for one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// Highest version the terminal speaks.
    #[serde(default = "protocol")]
    pub protocol: u16,
    /// One-time token from the operator.
    pub token: String,
    /// The name it wants.
    pub device: DeviceId,
    /// What it is.
    pub facts: Facts,
}

/// The terminal is known from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Secret of this terminal, sent with every further request.
    pub credential: String,
    /// Seconds until its first heartbeat.
    pub poll_seconds: u32,
}

/// What a terminal is doing, in words that people and other protocols share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No update.
    #[default]
    Idle,
    /// An order waits for policy: battery, link, window, consent.
    Waiting,
    /// Fetching and writing.
    Downloading,
    /// Reading back what was written.
    Verifying,
    /// Telling the bootloader, migrating configuration.
    Applying,
    /// Between two boots.
    Rebooting,
    /// Runs the new release on trial.
    Confirming,
    /// Returns to the old release.
    Rollback,
    /// Has a report to deliver.
    Reporting,
    /// A word of a newer agent.
    #[serde(other)]
    Unknown,
}

/// A terminal says who it is and what it runs, and asks for news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Highest version the terminal speaks.
    #[serde(default = "protocol")]
    pub protocol: u16,
    /// Who.
    pub device: DeviceId,
    /// What it is, in the same object.
    #[serde(flatten)]
    pub facts: Facts,
    /// The slot that runs.
    pub slot: Slot,
    /// What runs, component by component.
    pub running: Running,
    /// What it is doing.
    #[serde(default)]
    pub phase: Phase,
    /// The attempt it is on, so that the answer says whether it still stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// Why it does not go on with that attempt, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// `etag` of the last answer it holds; absent after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// What it can do beside what every agent of this version can, as `download-only`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abilities: Vec<Name>,
}

/// Why a terminal waits before it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The rule that stands in the way, as a stable word: `battery-low`, `metered`,
    /// `quiet-hours`, … A newer agent has more of them.
    pub rule: String,
    /// The same as a sentence.
    pub why: Text,
}

/// News for one terminal. No news is status 204 without a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Names this answer; sent back as `seen`.
    pub etag: String,
    /// Seconds until the next heartbeat.
    pub poll_seconds: u32,
    /// What to install, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// Attempts that are to be given up if they are not activated yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<AttemptId>,
    /// Whether the attempt of the heartbeat still stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Which rule decided, as a sentence for people.
    #[serde(default)]
    pub why: Text,
}

/// Whether an attempt may go on to activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It may.
    Stands,
    /// It is to be given up.
    Withdrawn,
}

/// One release for one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Names this try.
    pub attempt: AttemptId,
    /// What to install.
    pub release: Release,
    /// Address that the names of the package's entries are appended to. Ends in a
    /// slash, serves this attempt for a limited time, needs no credential.
    pub base: String,
    /// The release failed on this terminal before and is ordered anew.
    #[serde(default)]
    pub allow_failed: bool,
    /// How urgently it should be installed.
    #[serde(default, skip_serializing_if = "Mode::is_soft")]
    pub mode: Mode,
    /// What the operator decided about the terminal's region: to install the release
    /// although it is for others, or to ask the owner first. Without it, also for a word
    /// that this side does not know, a terminal refuses what is for other regions.
    #[serde(default, skip_serializing_if = "Elsewhere::is_refuse", deserialize_with = "known")]
    pub elsewhere: Elsewhere,
}

fn known<'de, D: Deserializer<'de>>(reader: D) -> Result<Elsewhere, D::Error> {
    let word = String::deserialize(reader)?;
    Ok(match word.as_str() {
        "ask" => Elsewhere::Ask,
        "allow" => Elsewhere::Allow,
        _ => Elsewhere::Refuse,
    })
}

/// How urgently a release should be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Without asking the owner.
    Forced,
    /// Up to the unused slot, and no further.
    DownloadOnly,
    /// When the terminal's own policy and its owner agree; also a word that this side
    /// does not know.
    #[default]
    #[serde(other)]
    Soft,
}

impl Mode {
    /// Whether nothing needs to be said.
    pub fn is_soft(&self) -> bool {
        *self == Self::Soft
    }
}

/// Ends of attempts, delivered until they are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// At most [`REPORTS_LIMIT`].
    pub reports: Vec<Report>,
}

/// Reports, or logs, that are durable on the server and need not be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Their attempts.
    pub accepted: Vec<AttemptId>,
    /// Those of which the server wants the log, too; none where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<AttemptId>,
}

/// How far an attempt has come; only ever the newest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of images that are durable.
    pub done: u64,
    /// Bytes of all images.
    pub total: u64,
}

/// Why a request was not served, and what the person behind it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was wrong.
    pub error: String,
    /// What to do about it.
    #[serde(default)]
    pub what_to_do: String,
}

/// The common rule of the messages that carry a version.
fn version_fault(protocol: u16) -> Option<&'static str> {
    (protocol < LEAST).then_some("speaks a protocol version that is no longer served")
}

fn secret_fault(secret: &str) -> Option<&'static str> {
    let sound = (1..=SECRET_LIMIT).contains(&secret.len()) && secret.is_ascii();
    (!sound).then_some("has an empty or overlong secret")
}

fn poll_fault(seconds: u32) -> Option<&'static str> {
    (!POLL_RANGE.contains(&seconds)).then_some("names no sensible number of seconds")
}

impl Message for Enrol {
    const KIND: &'static str = "enrolment";
    const LIMIT: usize = 4 << 10;
    fn fault(&self) -> Option<&'static str> {
        version_fault(self.protocol).or(secret_fault(&self.token))
    }
}

impl Message for Enrolled {
    const KIND: &'static str = "answer to an enrolment";
    const LIMIT: usize = 4 << 10;
    fn fault(&self) -> Option<&'static str> {
        secret_fault(&self.credential).or(poll_fault(self.poll_seconds))
    }
}

impl Message for Heartbeat {
    const KIND: &'static str = "heartbeat";
    const LIMIT: usize = 16 << 10;
    fn fault(&self) -> Option<&'static str> {
        let crowded = self.running.len() > COMPONENTS_LIMIT;
        version_fault(self.protocol)
            .or(crowded.then_some("names more than 32 components"))
            .or((self.abilities.len() > ABILITIES_LIMIT).then_some("names more than 16 abilities"))
            .or(self.seen.as_deref().and_then(secret_fault))
            .or(self.waiting.as_ref().and_then(Waiting::fault))
    }
}

impl Waiting {
    fn fault(&self) -> Option<&'static str> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c == b'-';
        let sound = (1..=RULE_LIMIT).contains(&self.rule.len()) && self.rule.bytes().all(allowed);
        (!sound).then_some("waits for a rule that is no word")
    }
}

impl Message for Answer {
    const KIND: &'static str = "answer";
    const LIMIT: usize = 16 << 10;
    fn fault(&self) -> Option<&'static str> {
        let crowded = self.withdrawn.len() > REPORTS_LIMIT;
        secret_fault(&self.etag)
            .or(poll_fault(self.poll_seconds))
            .or(crowded.then_some("withdraws more than 16 attempts"))
            .or(self.offer.as_ref().and_then(Offer::fault))
    }
}

impl Offer {
    fn fault(&self) -> Option<&'static str> {
        let base = self.base.as_str();
        let sound = base.len() <= BASE_LIMIT && base.starts_with("https://") && base.ends_with('/');
        (!sound).then_some("has a base that is no https address of at most 256 bytes ending in /")
    }
}

impl Message for Reports {
    const KIND: &'static str = "list of reports";
    const LIMIT: usize = 32 << 10;
    fn fault(&self) -> Option<&'static str> {
        (self.reports.len() > REPORTS_LIMIT).then_some("has more than 16 entries")
    }
}

impl Message for Accepted {
    const KIND: &'static str = "list of accepted reports";
    const LIMIT: usize = 4 << 10;
    fn fault(&self) -> Option<&'static str> {
        let crowded = self.accepted.len().max(self.logs.len()) > REPORTS_LIMIT;
        crowded.then_some("has more than 16 entries")
    }
}

impl Message for Progress {
    const KIND: &'static str = "progress";
    const LIMIT: usize = 1 << 10;
}

impl Message for Problem {
    const KIND: &'static str = "problem";
    const LIMIT: usize = 16 << 10;
}

#[cfg(test)]
mod tests;
