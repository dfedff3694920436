//! What a rollout is ordered to be: for whom, in which waves, on which terms.

use crate::json::Message;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::{Abroad, Elsewhere, Latecomers, Mode, Name, Seconds, Text, Version};

/// The most names in one list of an audience, and the most waves of a rollout.
pub const LIST_LIMIT: usize = 256;

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
    /// The dynamic group that they are of, as it is when the rollout is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// What else must hold, as a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What becomes of terminals outside of the region that they were sold for; what the
    /// product says where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abroad: Option<Abroad>,
    /// What becomes of terminals in none of the regions that the release is for; what the
    /// product says where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Elsewhere>,
    /// Whether terminals that join after the start take part.
    #[serde(default)]
    pub latecomers: Latecomers,
}

/// How far the release is let out while this wave is the open one, counted over
/// the whole rollout: exactly one of `percent` and `count`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Allowed percent of failures while it is the open one. With any of the three
    /// the wave has rules of its own, and those of the rollout wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_percent: Option<u8>,
    /// Allowed number of failures while it is the open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_count: Option<u32>,
    /// Percent that must come back while it is the open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_percent: Option<Tenths>,
}

/// When a wave opens. The first one opens with the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenRule {
    /// When so many percent of the wave before have confirmed the release.
    WhenConfirmedPercent(u8),
    /// So many seconds after the wave before opened.
    AfterSeconds(Seconds),
    /// At a moment, whatever became of the wave before: `2030-03-01T02:00:00Z`, or by the
    /// clocks of a zone as `2030-03-01T02:00[Europe/Berlin]`.
    At(String),
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
    /// Percent of the open wave that must come back, as 99.5: only silent terminals
    /// count against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_percent: Option<Tenths>,
    /// A terminal that has the release and is silent for so long has failed.
    #[serde(default = "hour")]
    pub not_back_seconds: Seconds,
}

fn hour() -> Seconds {
    Seconds(3600)
}

impl Default for HaltRule {
    fn default() -> Self {
        Self {
            failures_percent: Some(5),
            failures_count: None,
            back_percent: None,
            not_back_seconds: hour(),
        }
    }
}

/// A percentage in steps of a tenth, 0 to 100; a number as 99.5 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenths(pub u16);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 10.0)
    }
}

impl<'de> Deserialize<'de> for Tenths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        // A step of 0.1 has no exact form: the nearest one is meant.
        let near = |tenths: &u16| (f64::from(*tenths) - percent * 10.0).abs() < 0.01;
        let wrong = || serde::de::Error::custom("a percentage is 0 to 100, in steps of 0.1");
        (0..=1000).find(near).map(Self).ok_or_else(wrong)
    }
}

/// When terminals may begin, by the clock on their own wall.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScheduleRule {
    /// Nothing before this moment, written as [`OpenRule::At`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// Only then, as `mon-fri 02:00-05:00`; always, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// Not then, whatever the windows say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<String>,
    /// The zone of terminals that name none; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// How many terminals of one site may update at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRule {
    /// The attribute that names the site, as `olt`.
    pub by: Name,
    /// How many; 4294967295 bounds nothing.
    #[serde(default = "unbounded")]
    pub in_flight: u32,
    /// How much is downloaded there at once.
    #[serde(default, skip_serializing_if = "DownloadRule::is_none")]
    pub downloads: DownloadRule,
}

fn unbounded() -> u32 {
    u32::MAX
}

/// How much is downloaded at once. What is not named is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DownloadRule {
    /// How many terminals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many megabits per second all of them have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabits: Option<u32>,
}

impl DownloadRule {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn fault(&self) -> Option<&'static str> {
        let nothing = self.at_once == Some(0) || self.megabits == Some(0);
        nothing.then_some("lets no terminal download at all")
    }
}

/// On which terms a release is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TermsRule {
    /// How urgently.
    #[serde(default)]
    pub mode: Mode,
    /// When.
    #[serde(default)]
    pub schedule: ScheduleRule,
    /// How many at one site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteRule>,
    /// Offer the release to nobody until deltas to it are made, so many seconds after the
    /// start at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_deltas: Option<Seconds>,
    /// How often a terminal tries anew by itself after it failed by no fault of the
    /// release (the network, a lost terminal); 0 to 10.
    #[serde(default)]
    pub retries: u8,
    /// How much is downloaded at once.
    #[serde(default, skip_serializing_if = "DownloadRule::is_none")]
    pub downloads: DownloadRule,
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
    /// The most terminals that update at the same time. Where absent, 1000; and any number
    /// where the server makes static plans: whoever reads one is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// On which terms.
    #[serde(flatten)]
    pub terms: TermsRule,
}

impl Message for RolloutOrder {
    const KIND: &'static str = "rollout";
    const LIMIT: usize = 1 << 20;
    fn fault(&self) -> Option<&'static str> {
        let (audience, schedule) = (&self.audience, &self.terms.schedule);
        let lists = [
            audience.hardware.len(),
            audience.regions.len(),
            audience.variants.len(),
            audience.running.len(),
            self.waves.len(),
        ];
        let crowded = lists.iter().any(|n| *n > LIST_LIMIT);
        let hours = schedule.windows.len().max(schedule.quiet.len()) > 32;
        let no_site = self.terms.site.as_ref().is_some_and(|site| site.in_flight == 0);
        let no_wait = self.terms.wait_for_deltas == Some(Seconds(0));
        crowded
            .then_some("has a list of more than 256 entries")
            .or(self.waves.iter().find_map(WaveRule::fault))
            .or(self.halt.fault())
            .or((self.in_flight == Some(0)).then_some("lets no terminal update at all"))
            .or(hours.then_some("has more than 32 windows or quiet hours"))
            .or(no_site.then_some("lets no terminal of a site update at all"))
            .or(self.terms.downloads.fault())
            .or(self.terms.site.as_ref().and_then(|site| site.downloads.fault()))
            .or(no_wait.then_some("waits for deltas for no time at all"))
            .or((self.terms.retries > 10).then_some("retries more than 10 times"))
    }
}

impl WaveRule {
    fn fault(&self) -> Option<&'static str> {
        let excess = self.failures_percent.is_some_and(|p| p > 100);
        match (self.percent, self.count) {
            _ if excess => Some("has a wave that allows over 100 percent of failures"),
            (Some(1..=100), None) | (None, Some(1..)) => self.opens.fault(),
            _ => Some(
                "has a wave with not exactly one of `percent` (1 to 100) and `count` (1 or more)",
            ),
        }
    }
}

impl OpenRule {
    fn fault(&self) -> Option<&'static str> {
        let wrong = matches!(self, Self::WhenConfirmedPercent(0 | 101..));
        wrong.then_some("has a wave that opens at not 1 to 100 percent")
    }
}

impl HaltRule {
    fn fault(&self) -> Option<&'static str> {
        let none = self.failures_percent.is_none() && self.failures_count.is_none();
        if none && self.back_percent.is_none() {
            return Some(
                "has no halting rule: give `failures_percent`, `failures_count` or `back_percent`",
            );
        }
        let wrong = self.failures_percent.is_some_and(|p| p > 100) || self.not_back_seconds.0 == 0;
        wrong.then_some("allows over 100 percent of failures, or no time to come back")
    }
}
