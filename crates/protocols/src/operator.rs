//! The operator's API, version 1: JSON over HTTPS for the tool, scripts and pages.
//!
//! Paths start with `/api/v1/`; every request carries `Authorization: Bearer
//! <operator token>`. `docs/openapi.yaml` describes the routes. The version rule is
//! that of [`crate::native`]: unknown fields are ignored, new ones are optional.

mod fleet;
pub mod forecast;
mod import;
mod jobs;
mod logs;
mod order;
pub mod plans;

pub use fleet::{
    GroupList, GroupRule, LABELLED_LIMIT, LabelOrder, Labelled, LabelsView, NeedsOrder,
    ProductList, ProductRule, Single,
};
pub use import::{IMPORT_LIMIT, ImportOrder, Imports, Made};
pub use jobs::{DeltaList, DeltaView, JobKind, JobList, JobState, JobView};
pub use logs::{LogList, LogView};
pub use order::{
    AudienceRule, DownloadRule, HaltRule, LIST_LIMIT, OpenRule, RolloutOrder, ScheduleRule,
    SiteRule, Tenths, TermsRule, WaveRule,
};

use crate::json::Message;
use crate::native::{Facts, LogLine, Phase, Progress, Waiting};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{
    AttemptId, DeviceId, Digest, Name, Outcome, Release, Report, Running, Seconds, Slot, Spent,
    Text, Timestamp, Version,
};

/// The most tokens made by one request.
pub const TOKENS_LIMIT: u32 = 10_000;

/// A published release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Which.
    #[serde(flatten)]
    pub release: Release,
    /// SHA-256 of the whole package.
    pub package: Digest,
    /// Bytes of the whole package.
    pub size: u64,
    /// When it was published.
    pub published: Timestamp,
    /// Brand or carrier variants that it is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Name>,
    /// Regions that it is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Name>,
    /// What a terminal must run, as a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Why it was withdrawn, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Text>,
}

/// All published releases, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseList {
    /// The releases.
    pub releases: Vec<ReleaseView>,
}

/// Asks for enrolment tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenOrder {
    /// How many, each for one terminal.
    pub count: u32,
    /// The only terminal it is for; it may be one that is known already. Without it
    /// each token is for any one terminal that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// How long they are good for; a week where absent.
    #[serde(default = "week")]
    pub valid_seconds: Seconds,
}

fn week() -> Seconds {
    Seconds(7 * 24 * 3600)
}

/// Enrolment tokens. The server keeps their digests only: they are not shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// The tokens.
    pub tokens: Vec<String>,
    /// Until when they are good.
    pub expires: Timestamp,
}

/// Why an operator does something to a rollout; kept in its record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reason {
    /// For people.
    #[serde(default)]
    pub why: Text,
}

/// Orders a release anew for a terminal on which it failed or was declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryOrder {
    /// The terminal.
    pub device: DeviceId,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutState {
    /// Made, not started.
    Draft,
    /// Offers the release.
    Running,
    /// Offers it to nobody new; terminals that have it go on.
    Paused,
    /// Stopped for good; terminals that have not activated it give it up.
    Halted,
    /// Every terminal of its last wave has ended; latecomers are still served.
    Finished,
}

/// A rollout and how it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its id.
    pub id: Name,
    /// For people.
    pub name: Text,
    /// What it rolls out.
    pub release: Release,
    /// Where it stands.
    pub state: RolloutState,
    /// Who brought it there: an operator's name, or `refit-server` for a rule.
    pub who: Text,
    /// Why.
    pub why: Text,
    /// Since when.
    pub since: Timestamp,
    /// The open wave, counted from 1; 0 before the start.
    pub wave: u32,
    /// For whom.
    pub audience: AudienceRule,
    /// How it spreads.
    pub waves: Vec<WaveRule>,
    /// When it stops.
    pub halt: HaltRule,
    /// The most terminals that update at the same time.
    pub in_flight_limit: u32,
    /// On which terms it is offered.
    #[serde(flatten)]
    pub terms: TermsRule,
    /// What a terminal must run, as a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// What it waits for now, as a sentence.
    #[serde(default)]
    pub outlook: String,
    /// What became of its terminals.
    pub tally: TallyView,
    /// What happened to it, first things first; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EventView>,
}

/// One thing that happened to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// When.
    pub at: Timestamp,
    /// By whom: an operator's name, or `refit-server` for a rule.
    pub who: Text,
    /// What.
    pub what: Text,
    /// Why.
    pub why: Text,
}

/// Counts of terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TallyView {
    /// In the audience and not running the release by other means.
    pub audience: u32,
    /// The most that the open wave lets out.
    pub exposure_limit: u32,
    /// Were ever offered the release.
    pub exposed: u32,
    /// Have it and have not ended.
    pub in_flight: u32,
    /// Of those: download, where the rollout bounds that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloading: Option<u32>,
    /// Reported success and were then seen running it.
    pub confirmed: u32,
    /// Failed, or did not come back.
    pub failed: u32,
    /// Of those: did not come back.
    #[serde(default)]
    pub lost: u32,
    /// Declined, were withdrawn, or ran it already.
    pub neutral: u32,
    /// Bytes that the terminals which reported success fetched.
    #[serde(default)]
    pub fetched: u64,
    /// Bytes that full payloads would have had for them; what is missing, deltas saved.
    #[serde(default)]
    pub full: u64,
}

/// All rollouts, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutList {
    /// The rollouts.
    pub rollouts: Vec<RolloutView>,
}

/// A terminal, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Who.
    pub device: DeviceId,
    /// What it is.
    pub facts: Facts,
    /// The slot that runs.
    pub slot: Option<Slot>,
    /// What runs, component by component.
    pub running: Running,
    /// The published release that this is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// What it is doing.
    pub phase: Phase,
    /// Its last sign of life since the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// What the operator says of it.
    #[serde(default)]
    pub labels: LabelsView,
    /// The attempt it is on, or its last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptView>,
}

/// Terminals by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// The terminals.
    pub devices: Vec<DeviceView>,
    /// Ask again with `?after=` this for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DeviceId>,
}

/// A terminal with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDetail {
    /// The terminal.
    #[serde(flatten)]
    pub view: DeviceView,
    /// All its attempts, newest first.
    pub attempts: Vec<AttemptView>,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptState {
    /// The terminal has the offer.
    Offered,
    /// It reported success and was not yet seen running the release.
    Reported,
    /// It reported success and was seen running the release.
    Confirmed,
    /// It reported success, or was confirmed, and then ran the old release.
    Reverted,
    /// It did not come back in time.
    Lost,
    /// It reported a failure.
    Failed,
    /// It declined, was withdrawn, or ran the release already.
    Neutral,
}

/// One try of one release on one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Which.
    pub attempt: AttemptId,
    /// Of which rollout.
    pub rollout: Name,
    /// Version of the release.
    pub version: Version,
    /// Where it stands.
    pub state: AttemptState,
    /// What the terminal reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What happened, for people.
    #[serde(default)]
    pub detail: Text,
    /// What the terminal says it cost.
    #[serde(default)]
    pub spent: Spent,
    /// Bytes of the package that this server sent for it; exact while the server
    /// runs, at most a second behind after it was killed.
    pub bytes_served: u64,
    /// When it was offered.
    pub offered: Timestamp,
    /// When its last change was.
    pub changed: Timestamp,
    /// How far it has come, if the terminal said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// What a terminal reported, last received first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportList {
    /// The reports, at most a thousand.
    pub reports: Vec<Report>,
}

/// Which rule decides about a terminal now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who.
    pub device: DeviceId,
    /// The rule's name, stable for scripts.
    pub rule: String,
    /// The rule as a sentence.
    pub sentence: String,
    /// The rollout that decides, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Name>,
    /// The terminal's attempt there, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptView>,
    /// What the terminal itself waits for, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// How many rollouts were halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// So many.
    pub rollouts: u32,
}

/// How the terminals of a rollout failed, most frequent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureList {
    /// At most a thousand kinds.
    pub failures: Vec<FailureView>,
}

/// How many terminals failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    /// The wave that was open when they got the release, counted from 1.
    pub wave: u32,
    /// The outcome's number.
    pub outcome: u16,
    /// The outcome in words.
    pub sentence: String,
    /// On which hardware.
    pub hardware: Name,
    /// The version that they ran before.
    pub from: Text,
    /// How many.
    pub devices: u32,
}

/// What happened to a terminal, last things first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// At most a thousand.
    pub moments: Vec<Moment>,
}

/// One thing that happened to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Text,
    /// In which attempt, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// What the terminal told of that attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

/// The server is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the server.
    pub version: String,
}

macro_rules! messages {
    ($($name:ident, $kind:literal, $limit:expr;)*) => {
        $(impl Message for $name {
            const KIND: &'static str = $kind;
            const LIMIT: usize = $limit;
        })*
    };
}

messages! {
    JobView, "job", 64 << 10;
    JobList, "list of jobs", 4 << 20;
    DeltaList, "list of deltas", 4 << 20;
    ReleaseView, "release", 64 << 10;
    ReleaseList, "list of releases", 64 << 20;
    TokenList, "list of tokens", 4 << 20;
    Reason, "reason", 4 << 10;
    RetryOrder, "retry order", 4 << 10;
    RolloutView, "rollout", 1 << 20;
    RolloutList, "list of rollouts", 64 << 20;
    DeviceView, "terminal", 64 << 10;
    DeviceList, "list of terminals", 64 << 20;
    DeviceDetail, "terminal", 4 << 20;
    ReportList, "list of reports", 4 << 20;
    Explanation, "explanation", 64 << 10;
    Stopped, "count of rollouts", 4 << 10;
    FailureList, "list of failures", 1 << 20;
    Timeline, "timeline", 4 << 20;
    LogList, "list of logs", 16 << 20;
    Health, "health", 4 << 10;
}

impl Message for TokenOrder {
    const KIND: &'static str = "token order";
    const LIMIT: usize = 4 << 10;
    fn fault(&self) -> Option<&'static str> {
        let sound = (1..=TOKENS_LIMIT).contains(&self.count) && self.valid_seconds.0 > 0;
        let crowd = self.device.is_some() && self.count > 1;
        crowd
            .then_some("asks for several tokens for one terminal")
            .or((!sound)
                .then_some("asks for none or more than 10000, or for tokens good for no time"))
    }
}

#[cfg(test)]
mod tests;
