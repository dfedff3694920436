//! How a release is offered: how urgently, when, how many at one site, how often.

use crate::audience::lists;
use crate::filter::Filter;
use crate::{DeviceFacts, Mismatch, Schedule};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Latecomers, Mode, Name, Outcome, Seconds, Text};

/// The most automatic retries of one device: a release that does not get through so
/// often needs a person.
pub const RETRIES_LIMIT: u8 = 10;

/// How a release is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// How urgently.
    #[serde(default)]
    pub mode: Mode,
    /// When.
    #[serde(default)]
    pub schedule: Schedule,
    /// How many at one site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteLimit>,
    /// How often a device that failed by no fault of the release tries anew by itself.
    #[serde(default)]
    pub retries: u8,
    /// How long nobody is offered the release after the start, while deltas to it are
    /// being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_deltas: Option<Seconds>,
    /// Whether devices that join after the start take part.
    #[serde(default)]
    pub latecomers: Latecomers,
    /// How much is downloaded at once.
    #[serde(default, skip_serializing_if = "DownloadLimit::is_none")]
    pub downloads: DownloadLimit,
}

/// What every download gets at least, in bytes per second, where megabits are shared out:
/// below the least rate at which agents give up, a place would be worth nothing.
pub const LEAST_RATE: u32 = 32_000;

/// How much is downloaded at once. What is not named is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DownloadLimit {
    /// How many devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many megabits per second all of them have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabits: Option<u32>,
}

impl DownloadLimit {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// How many devices may download at once: no more than can have [`LEAST_RATE`].
    pub fn places(&self) -> Option<u32> {
        let fed = self.rate(LEAST_RATE).map(|places| places.max(1));
        fed.into_iter().chain(self.at_once).min()
    }

    /// Bytes per second for each of `among` downloads, where they are bounded.
    pub fn rate(&self, among: u32) -> Option<u32> {
        let all = u64::from(self.megabits?) * 125_000;
        Some(u32::try_from(all / u64::from(among.max(1))).unwrap_or(u32::MAX))
    }
}

/// What a device must be and run so that a release works on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fit {
    /// Hardware that the release is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<Name>,
    /// Brand or carrier variants that it is for; any, where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Name>,
    /// Regions that it is for; any, where empty. A rollout says what becomes of devices
    /// elsewhere ([`Audience::place`](crate::Audience::place)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Name>,
    /// What must run, of the components that it brings and of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Filter>,
}

impl Fit {
    /// The first rule that keeps the release off `device`, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let needs = self.needs.as_ref();
        let rules = [
            (Mismatch::Hardware, lists(&self.hardware, Some(device.hardware))),
            (Mismatch::Variant, lists(&self.variants, device.variant)),
            (Mismatch::Needs, needs.is_none_or(|needs| needs.matches(device))),
        ];
        rules.into_iter().find_map(|(mismatch, holds)| (!holds).then_some(mismatch))
    }
}

/// How many devices of one site may update at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteLimit {
    /// The attribute that names the site, as `olt`.
    pub by: Name,
    /// How many.
    pub in_flight: u32,
    /// How much is downloaded there at once.
    #[serde(default, skip_serializing_if = "DownloadLimit::is_none")]
    pub downloads: DownloadLimit,
}

impl SiteLimit {
    /// The site of `device`; a device without one is not limited.
    pub fn site<'d>(&self, device: &DeviceFacts<'d>) -> Option<&'d Text> {
        device.labels.attributes.get(&self.by)
    }
}

impl Terms {
    /// How many devices may download at once, in all and at one site, where that is
    /// bounded.
    pub fn places(&self) -> Places {
        let site = self.site.as_ref().and_then(|site| site.downloads.places());
        Places { all: self.downloads.places(), site }
    }
}

/// How many devices may download at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    /// In the whole rollout.
    pub all: Option<u32>,
    /// At one site.
    pub site: Option<u32>,
}

impl Places {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one more may download where `all` do, `here` of them at its site.
    pub fn room(&self, all: u32, here: u32) -> bool {
        self.all.is_none_or(|most| all < most) && self.site.is_none_or(|most| here < most)
    }
}

/// Whether an outcome is the network's or the moment's fault, so that the same release
/// may well succeed the next time.
pub fn transient(outcome: Outcome) -> bool {
    use Outcome::{NotBack, TooSlow, Truncated, Unreachable};
    matches!(outcome, Unreachable | Truncated | TooSlow | NotBack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_once: Option<u32>, megabits: Option<u32>, places: Option<u32>) {
        assert_eq!(DownloadLimit { at_once, megabits }.places(), places);
    }

    #[test]
    fn a_place_is_worth_the_least_rate() {
        check(None, None, None);
        check(Some(7), None, Some(7));
        check(None, Some(1), Some(3));
        check(Some(2), Some(1), Some(2));
        check(Some(50), Some(8), Some(31));
        let limit = DownloadLimit { at_once: None, megabits: Some(8) };
        assert_eq!(
            [0, 1, 4].map(|among| limit.rate(among)),
            [1_000_000, 1_000_000, 250_000].map(Some)
        );
        assert!(limit.rate(limit.places().unwrap()).unwrap() >= LEAST_RATE);
    }

    #[test]
    fn both_bounds_hold() {
        let places = Places { all: Some(3), site: Some(1) };
        assert!(places.room(2, 0));
        assert!(!places.room(3, 0) && !places.room(1, 1));
        assert!(Places::default().room(u32::MAX, u32::MAX));
    }
}
