//! The operator's API, version 1: JSON over HTTPS for the tool, scripts and pages.
//!
//! Paths start with `/api/v1/`; every request carries `Authorization: Bearer
//! <operator token>`. `docs/openapi.yaml` describes the routes. The version rule is
//! that of [`crate::native`]: unknown fields are ignored, new ones are optional.

use crate::json::Message;
use crate::native::{Facts, Phase, Progress, Waiting};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{
    AttemptId, DeviceId, Digest, Name, Outcome, Release, Report, Running, Seconds, Slot, Spent,
    Text, Timestamp, Version,
};

/// The most tokens made by one request.
pub const TOKENS_LIMIT: u32 = 10_000;
/// The most names in one list of an audience, and the most waves of a rollout.
pub const LIST_LIMIT: usize = 256;

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

/// Which terminals a rollout is for. An empty list means any; a rule is asked
/// whenever a terminal asks, so terminals that join later are included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AudienceRule {
    /// Product; the release's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Name>,
    /// Hardware compatibility strings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<Name>,
    /// Regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Name>,
    /// Brand or carrier variants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Name>,
    /// Versions that the terminal runs now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Version>,
}

/// How far the release is let out while this wave is the open one, counted over
/// the whole rollout: exactly one of `percent` and `count`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveRule {
    /// Percent of the audience, 1 to 100; at least one terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// A number of terminals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// When it opens.
    #[serde(default)]
    pub opens: OpenRule,
}

/// When a wave opens. The first one opens with the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenRule {
    /// When so many percent of the wave before have confirmed the release.
    WhenConfirmedPercent(u8),
    /// So many seconds after the wave before opened.
    AfterSeconds(Seconds),
    /// When an operator says so (`advance`).
    ByHand,
}

impl Default for OpenRule {
    fn default() -> Self {
        Self::WhenConfirmedPercent(90)
    }
}

/// When a rollout stops by itself: as soon as more terminals failed than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltRule {
    /// Allowed percent of the open wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_percent: Option<u8>,
    /// Allowed number of terminals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_count: Option<u32>,
    /// A terminal that has the release and is silent for so long has failed.
    #[serde(default = "hour")]
    pub not_back_seconds: Seconds,
}

fn hour() -> Seconds {
    Seconds(3600)
}

impl Default for HaltRule {
    fn default() -> Self {
        Self { failures_percent: Some(5), failures_count: None, not_back_seconds: hour() }
    }
}

/// Makes a rollout, as a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutOrder {
    /// For people.
    pub name: Text,
    /// The release: digest of its manifest, or its version.
    pub release: String,
    /// For whom.
    #[serde(default)]
    pub audience: AudienceRule,
    /// How it spreads; everyone at once where empty.
    #[serde(default)]
    pub waves: Vec<WaveRule>,
    /// When it stops.
    #[serde(default)]
    pub halt: HaltRule,
    /// The most terminals that update at the same time; 1000 where absent.
    #[serde(default = "thousand")]
    pub in_flight: u32,
}

fn thousand() -> u32 {
    1000
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
    /// Reported success and were then seen running it.
    pub confirmed: u32,
    /// Failed, or did not come back.
    pub failed: u32,
    /// Declined, were withdrawn, or ran it already.
    pub neutral: u32,
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

impl Message for RolloutOrder {
    const KIND: &'static str = "rollout";
    const LIMIT: usize = 1 << 20;
    fn fault(&self) -> Option<&'static str> {
        let audience = &self.audience;
        let lists = [
            audience.hardware.len(),
            audience.regions.len(),
            audience.variants.len(),
            audience.running.len(),
            self.waves.len(),
        ];
        let crowded = lists.iter().any(|n| *n > LIST_LIMIT);
        crowded
            .then_some("has a list of more than 256 entries")
            .or(self.waves.iter().find_map(WaveRule::fault))
            .or(self.halt.fault())
            .or((self.in_flight == 0).then_some("lets no terminal update at all"))
    }
}

impl WaveRule {
    fn fault(&self) -> Option<&'static str> {
        match (self.percent, self.count) {
            (Some(1..=100), None) | (None, Some(1..)) => self.opens.fault(),
            _ => Some(
                "has a wave with not exactly one of `percent` (1 to 100) and `count` (1 or more)",
            ),
        }
    }
}

impl OpenRule {
    fn fault(self) -> Option<&'static str> {
        let wrong = matches!(self, Self::WhenConfirmedPercent(0 | 101..));
        wrong.then_some("has a wave that opens at not 1 to 100 percent")
    }
}

impl HaltRule {
    fn fault(&self) -> Option<&'static str> {
        if self.failures_percent.is_none() && self.failures_count.is_none() {
            return Some("has no halting rule: give `failures_percent` or `failures_count`");
        }
        let wrong = self.failures_percent.is_some_and(|p| p > 100) || self.not_back_seconds.0 == 0;
        wrong.then_some("allows over 100 percent of failures, or no time to come back")
    }
}

#[cfg(test)]
mod tests;
