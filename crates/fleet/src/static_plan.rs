//! A plan that a terminal reads by itself: signed, the same for everybody of a product
//! and channel, served by anything that serves files.
//!
//! It holds a [`Plan`] and says for which of its rollouts a terminal does not know
//! enough to decide. Deliberately absent: signatures (`trust`), and how terminals are
//! told apart beyond the ones that only the server can answer.

mod aside;

pub use aside::{ASIDE_LIMIT, Aside};

use crate::{DeviceFacts, Offer, Plan, Track, bucket, offer, runs};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use types::{Digest, Name, Release, Running, Statement, Timestamp};

/// The newest form that this crate writes and reads. Whatever a reader must know to not
/// install too much raises it; what it may pass over does not. Form 2 has releases that
/// are for some regions only.
pub const FORMAT: u16 = 2;
/// The form of a plan without such releases, which older agents read too.
pub const PLAIN_FORMAT: u16 = 1;
/// The most rollouts of a plan; older ones are left out, and the plan says so.
pub const STATIC_TRACKS_LIMIT: usize = 32;
/// The most releases that a plan recognises; older ones are left out.
pub const RECOGNISED_LIMIT: usize = 128;
/// The least and the most seconds until a terminal reads the plan again.
const POLL_RANGE: core::ops::RangeInclusive<u32> = 1..=7 * 24 * 3600;

/// A plan for everybody of one product and channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticPlan {
    /// [`PLAIN_FORMAT`] to [`FORMAT`].
    pub format: u16,
    /// When it was made, in milliseconds since 1970: servers need no counter of their
    /// own, and a terminal takes no older plan than it has seen.
    pub version: u64,
    /// After this time it offers nothing.
    pub expires: Timestamp,
    /// Of which product its terminals are.
    pub product: Name,
    /// Which channel they follow, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// How soon it should be read again.
    pub poll_seconds: u32,
    /// The rollouts, last started first.
    pub plan: Plan,
    /// What a terminal would have to know of itself to decide, by rollout.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asks: BTreeMap<Name, Asks>,
    /// The share of terminals that nobody counts, by rollout whose starts are counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uncounted: BTreeMap<Name, u16>,
    /// Whether older rollouts were left out.
    #[serde(default)]
    pub coverage: Coverage,
    /// Terminals of which the server knows something that they do not.
    #[serde(default)]
    pub aside: Aside,
    /// The releases by which a terminal tells what it runs.
    pub releases: Vec<Recognised>,
}

/// A release, and the images that a terminal runs when it runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognised {
    /// Which.
    pub release: Release,
    /// Its images.
    pub images: BTreeMap<Name, Digest>,
}

/// Whether a plan holds every rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// It does.
    #[default]
    Whole,
    /// The newest ones only.
    Newest,
}

/// Why the server must be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// The rollout is for terminals by what their operator says of them.
    Labels,
    /// It is for those that were known when it was started.
    Frozen,
    /// So many may update at a site.
    Site,
    /// Its hours are those of a time zone that terminals do not know by its name.
    Hours,
    /// So many may start.
    Counted,
    /// Its hours are local, and the terminal does not know its time zone.
    Zone,
    /// The server knows something of this terminal.
    Aside,
    /// The plan does not hold every rollout.
    Older,
}

/// Whether there is somebody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A server that counts.
    Server,
    /// Nobody: the terminal is not counted either.
    Nobody,
}

/// What a static plan says to one terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// The answer that a server would give.
    Decided(Offer<'p>),
    /// Only a server can answer.
    Ask(Asks),
}

impl StaticPlan {
    /// Decides for one terminal, as [`offer`] does for a server that knows the same.
    pub fn answer(&self, device: &DeviceFacts<'_>, now: Timestamp, peer: Peer) -> Verdict<'_> {
        let offer = offer(&self.plan, device, now);
        if offer != Offer::Stale && self.aside.holds(device.id) {
            return Verdict::Ask(Asks::Aside);
        }
        let full = matches!(offer, Offer::WaveFull(_) | Offer::FlightFull(_));
        match (self.doubt(&offer, device), offer.track()) {
            (None | Some(Asks::Counted), Some(track))
                if peer == Peer::Nobody && (full || matches!(offer, Offer::Install(_))) =>
            {
                Verdict::Decided(self.uncounted(track, device))
            }
            (None, _) => Verdict::Decided(offer),
            (Some(asks), _) => Verdict::Ask(asks),
        }
    }

    /// What a terminal would have to know so that `offer` is its answer.
    fn doubt(&self, offer: &Offer<'_>, device: &DeviceFacts<'_>) -> Option<Asks> {
        if matches!(offer, Offer::Nothing | Offer::NotFor(..)) {
            return (self.coverage == Coverage::Newest).then_some(Asks::Older);
        }
        if matches!(offer, Offer::Continue(..) | Offer::Withdrawn(..)) {
            return None;
        }
        let track = offer.track()?;
        let starts = matches!(
            offer,
            Offer::Install(_) | Offer::WaveFull(_) | Offer::FlightFull(_) | Offer::SiteFull(_)
        );
        let waits = matches!(offer, Offer::NotNow(..));
        let zoneless = track.terms.schedule.is_local() && device.labels.zone.is_none();
        // Whoever had the offer belongs to the rollout, but what it must be able to do is
        // told by its labels each time.
        let depends = starts || waits || matches!(offer, Offer::Unable(..));
        match self.asks.get(&track.rollout) {
            Some(asks @ (Asks::Labels | Asks::Frozen))
                if depends || device.attempt_in(&track.rollout).is_none() =>
            {
                Some(*asks)
            }
            _ if zoneless && (starts || waits) => Some(Asks::Zone),
            Some(asks) if starts => Some(*asks),
            _ => None,
        }
    }

    /// The answer where nobody counts: the wave is bounded by its share alone.
    fn uncounted<'p>(&self, track: &'p Track, device: &DeviceFacts<'_>) -> Offer<'p> {
        let share = self.uncounted.get(&track.rollout).copied().unwrap_or(track.share);
        let bucket = bucket(track.rollout.as_str().as_bytes(), device.id);
        let again = device.attempt_in(&track.rollout).is_some();
        if again || bucket < share { Offer::Install(track) } else { Offer::NotYet(track, bucket) }
    }

    /// The release that a terminal which runs this runs, if it is a known one.
    pub fn release(&self, running: &Running) -> Option<&Release> {
        let found = self.releases.iter().find(|known| runs(&known.images, running));
        found.map(|known| &known.release)
    }

    /// The rollout of this id.
    pub fn track(&self, rollout: &Name) -> Option<&Track> {
        self.plan.tracks.iter().find(|track| track.rollout == *rollout)
    }
}

impl Statement for StaticPlan {
    const KIND: &'static str = "plan";
    const LIMIT: u32 = 512 << 10;

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> Timestamp {
        self.expires
    }

    fn fault(&self) -> Option<&'static str> {
        let rules = [
            (
                !(PLAIN_FORMAT..=FORMAT).contains(&self.format),
                "it has another form than this agent reads",
            ),
            (self.plan.good_until != self.expires, "it ends at two different times"),
            (self.plan.tracks.len() > STATIC_TRACKS_LIMIT, "it has more than 32 rollouts"),
            (self.releases.len() > RECOGNISED_LIMIT, "it names more than 128 releases"),
            (!POLL_RANGE.contains(&self.poll_seconds), "it names no sensible number of seconds"),
        ];
        rules.into_iter().find_map(|(broken, rule)| broken.then_some(rule))
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Labels => "it depends on what the operator says of this terminal",
            Self::Frozen => "it is for terminals that were known at its start",
            Self::Site => "it limits how many update at a site",
            Self::Hours => "its hours are those of a zone that this terminal cannot look up",
            Self::Counted => "it limits how many start",
            Self::Zone => "its hours are local, and this terminal does not know its time zone",
            Self::Aside => "the server knows something of this terminal",
            Self::Older => "the plan does not hold every rollout",
        })
    }
}

#[cfg(test)]
mod tests;
