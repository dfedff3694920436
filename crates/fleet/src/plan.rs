//! A plan, and the answer it gives one device.

use crate::{Attempt, Audience, DeviceFacts, Fit, Mismatch, Terms, bucket, transient};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use types::{
    AttemptId, Digest, Elsewhere, Latecomers, Mode, Name, Outcome, Release, Text, Timestamp,
};

/// What an agent is able to do that does no more than write a release where it is told so:
/// one without it would do more.
const DOWNLOAD_ONLY: &str = "download-only";
/// What an agent is able to do that knows of regions in manifests and of orders that ask
/// its owner for one: an older one takes such a package for damaged, or asks nobody.
const REGIONS: &str = "regions";

/// Everything that is needed to answer any device of a fleet, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Grows with every change.
    pub generation: u64,
    /// Past this time the plan may be stale and offers nothing.
    pub good_until: Timestamp,
    /// The started rollouts, last started first.
    pub tracks: Vec<Track>,
}

/// One started rollout, as far as answers need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Its id; also the salt of its buckets.
    pub rollout: Name,
    /// What it rolls out.
    pub release: Release,
    /// The images that a device runs when it runs the release.
    pub images: BTreeMap<Name, Digest>,
    /// For whom.
    pub audience: Audience,
    /// What a device must be and run.
    pub fit: Fit,
    /// How it is offered.
    pub terms: Terms,
    /// When it was started.
    pub started: Timestamp,
    /// Whether it offers anything.
    pub gate: Gate,
    /// The open wave, counted from 1.
    pub wave: u32,
    /// Buckets below this one are in the open wave.
    pub share: u16,
    /// How many more devices the open wave lets out.
    pub wave_room: u32,
    /// How many more devices may start now without too many updating at once.
    pub flight_room: u32,
    /// The sites at which as many devices update as may.
    pub full_sites: BTreeSet<Text>,
    /// Where as many devices download as may.
    #[serde(default, skip_serializing_if = "Busy::is_nowhere")]
    pub busy: Busy,
}

/// Where no more devices may begin to download.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Busy {
    /// Everywhere.
    #[serde(default)]
    pub all: bool,
    /// At these sites.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sites: BTreeSet<Text>,
}

impl Busy {
    /// Whether anybody may.
    pub fn is_nowhere(&self) -> bool {
        !self.all && self.sites.is_empty()
    }

    /// Whether a device at `site` may not.
    pub fn holds(&self, site: Option<&Text>) -> bool {
        self.all || site.is_some_and(|site| self.sites.contains(site))
    }
}

/// Whether a track offers anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// It does.
    Open,
    /// To nobody until then: deltas to the release are being made.
    Preparing(Timestamp),
    /// To nobody new; who has it goes on.
    Paused(Text),
    /// To nobody; who has it gives it up.
    Halted(Text),
}

/// The answer for one device, with the rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer<'p> {
    /// Install, as a new attempt.
    Install(&'p Track),
    /// Go on with the attempt it has.
    Continue(&'p Track, AttemptId),
    /// Give up the attempt it has.
    Withdrawn(&'p Track, AttemptId),
    /// It runs the release already.
    UpToDate(&'p Track),
    /// It runs a release that may not go back to this one.
    RunsNewer(&'p Track),
    /// It is in a later wave: its bucket.
    NotYet(&'p Track, u16),
    /// The open wave has let out as many as it may.
    WaveFull(&'p Track),
    /// As many update at once as may.
    FlightFull(&'p Track),
    /// As many update at its site as may.
    SiteFull(&'p Track),
    /// As many download, in all or at its site, as may.
    DownloadsFull(&'p Track),
    /// Its agent is too old to do as the rollout says.
    Unable(&'p Track, &'static str),
    /// The schedule is closed for it, until then if it opens within two weeks.
    NotNow(&'p Track, Option<Timestamp>),
    /// Deltas to the release are being made; it is waited for them until then at most.
    Preparing(&'p Track, Timestamp),
    /// The rollout is paused.
    Paused(&'p Track, &'p Text),
    /// The rollout is halted.
    Halted(&'p Track, &'p Text),
    /// The release failed on it; a new order is needed.
    FailedBefore(&'p Track, Outcome),
    /// Its attempt ended otherwise; a new order is needed.
    Ended(&'p Track, Outcome),
    /// No rollout is for it; what keeps it out of the newest one.
    NotFor(&'p Track, Mismatch),
    /// No rollout was started.
    Nothing,
    /// The plan is too old to offer anything.
    Stale,
}

/// Decides for one device. The same plan gives the same device the same answer on
/// any replica, and on the device itself.
///
/// An attempt under way binds the device to its rollout; otherwise the rollout that
/// was started last, and whose audience the device is in, decides alone.
pub fn offer<'p>(plan: &'p Plan, device: &DeviceFacts<'_>, now: Timestamp) -> Offer<'p> {
    if now > plan.good_until {
        return Offer::Stale;
    }
    let bound = plan.tracks.iter().find_map(|track| under_way(track, device));
    let decided = || plan.tracks.iter().find_map(|track| decide(track, device, now));
    bound.or_else(decided).unwrap_or_else(|| nearest(plan, device))
}

/// What becomes of the attempt that `device` has open in this rollout.
fn under_way<'p>(track: &'p Track, device: &DeviceFacts<'_>) -> Option<Offer<'p>> {
    let attempt = device.attempt_in(&track.rollout)?;
    if !attempt.standing.is_open() || track.runs_on(device) {
        return None;
    }
    Some(match &track.gate {
        Gate::Halted(_) => Offer::Withdrawn(track, attempt.id),
        Gate::Open | Gate::Preparing(_) | Gate::Paused(_) => Offer::Continue(track, attempt.id),
    })
}

/// What this rollout says to `device`; nothing if the device is not in its audience.
fn decide<'p>(track: &'p Track, device: &DeviceFacts<'_>, now: Timestamp) -> Option<Offer<'p>> {
    let attempt = device.attempt_in(&track.rollout);
    if attempt.is_none() && track.mismatch(device).is_some() {
        return None;
    }
    let turn = attempt.map_or(Turn::First, |_| Turn::Again);
    let ended = || attempt.and_then(|attempt| ended(track, attempt));
    let admit = || admit(track, device, turn, now);
    Some(settled(track, device).or_else(ended).unwrap_or_else(admit))
}

/// The device needs nothing of this rollout.
fn settled<'p>(track: &'p Track, device: &DeviceFacts<'_>) -> Option<Offer<'p>> {
    if track.runs_on(device) {
        return Some(Offer::UpToDate(track));
    }
    let newer = |release: &Release| release.rollback_index > track.release.rollback_index;
    device.release.is_some_and(newer).then_some(Offer::RunsNewer(track))
}

/// The device had its try, and the last of its retries.
fn ended<'p>(track: &'p Track, attempt: &Attempt) -> Option<Offer<'p>> {
    let outcome = attempt.standing.outcome()?;
    match attempt.standing.class() {
        crate::Class::Failed if track.tries_again(attempt) => None,
        crate::Class::Failed => Some(Offer::FailedBefore(track, outcome)),
        _ => Some(Offer::Ended(track, outcome)),
    }
}

/// Whether a device starts in a rollout for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Again,
}

/// Whether the device may start now.
fn admit<'p>(track: &'p Track, device: &DeviceFacts<'_>, turn: Turn, now: Timestamp) -> Offer<'p> {
    match &track.gate {
        Gate::Paused(why) => return Offer::Paused(track, why),
        Gate::Halted(why) => return Offer::Halted(track, why),
        Gate::Preparing(until) if now < *until => return Offer::Preparing(track, *until),
        Gate::Open | Gate::Preparing(_) => {}
    }
    let bucket = bucket(track.rollout.as_str().as_bytes(), device.id);
    if turn == Turn::First && bucket >= track.share {
        return Offer::NotYet(track, bucket);
    }
    if let Some(ability) = track.ability(device) {
        return Offer::Unable(track, ability);
    }
    let (schedule, zone) = (&track.terms.schedule, device.labels.zone.as_ref());
    if !schedule.allows(zone, now) {
        return Offer::NotNow(track, schedule.next(zone, now));
    }
    let site = track.terms.site.as_ref().and_then(|site| site.site(device));
    if site.is_some_and(|site| track.full_sites.contains(site)) {
        return Offer::SiteFull(track);
    }
    if track.busy.holds(site) {
        return Offer::DownloadsFull(track);
    }
    match (track.wave_room, track.flight_room) {
        (0, _) if turn == Turn::First => Offer::WaveFull(track),
        (_, 0) => Offer::FlightFull(track),
        _ => Offer::Install(track),
    }
}

/// Why no rollout decided.
fn nearest<'p>(plan: &'p Plan, device: &DeviceFacts<'_>) -> Offer<'p> {
    let near = |track: &'p Track| Some(Offer::NotFor(track, track.mismatch(device)?));
    plan.tracks.iter().find_map(near).unwrap_or(Offer::Nothing)
}

impl Track {
    /// Whether the device runs every image of the release.
    pub fn runs_on(&self, device: &DeviceFacts<'_>) -> bool {
        runs(&self.images, device.running)
    }

    /// The first rule that keeps `device` out, if one does.
    pub fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let Self { audience, fit, terms, started, release, images, .. } = self;
        let latecomers = terms.latecomers;
        Meant { audience, fit, latecomers, started: *started, release, images }.mismatch(device)
    }

    /// What the order for `device` says of its region.
    pub fn place(&self, device: &DeviceFacts<'_>) -> Elsewhere {
        self.audience.place(&self.fit.regions, device)
    }

    /// What the agent of `device` must be able to do so that it does no more than told.
    fn ability(&self, device: &DeviceFacts<'_>) -> Option<&'static str> {
        let regional = !self.fit.regions.is_empty() || self.place(device) == Elsewhere::Ask;
        let written_only = self.terms.mode == Mode::DownloadOnly;
        let needed = [written_only.then_some(DOWNLOAD_ONLY), regional.then_some(REGIONS)];
        let lacks = |ability: &&str| !device.abilities.iter().any(|a| a.as_str() == *ability);
        needed.into_iter().flatten().find(lacks)
    }

    /// Whether a device that failed so tries anew by itself.
    fn tries_again(&self, attempt: &Attempt) -> bool {
        let again = attempt.retry < u32::from(self.terms.retries);
        again && attempt.standing.outcome().is_some_and(transient)
    }
}

/// Everything that says for whom a rollout is.
#[derive(Clone, Copy)]
pub(crate) struct Meant<'a> {
    pub(crate) audience: &'a Audience,
    pub(crate) fit: &'a Fit,
    pub(crate) latecomers: Latecomers,
    pub(crate) started: Timestamp,
    pub(crate) release: &'a Release,
    pub(crate) images: &'a BTreeMap<Name, Digest>,
}

impl Meant<'_> {
    /// The first rule that keeps `device` out, if one does.
    pub(crate) fn mismatch(&self, device: &DeviceFacts<'_>) -> Option<Mismatch> {
        let late = self.latecomers == Latecomers::LeftOut && device.enrolled > self.started;
        let other = device.labels.pin.as_ref().is_some_and(|pin| *pin != self.release.version);
        let own = || match (late, other) {
            (true, _) => Some(Mismatch::Latecomer),
            (false, true) => Some(Mismatch::Pinned),
            // Who runs the release already needs nothing any more.
            (false, false) if runs(self.images, device.running) => None,
            (false, false) if self.audience.keeps_out(&self.fit.regions, device) => {
                Some(Mismatch::Outside)
            }
            (false, false) => self.fit.mismatch(device),
        };
        self.audience.mismatch(device).or_else(own)
    }
}

/// Whether `running` holds every one of `images`.
pub fn runs(images: &BTreeMap<Name, Digest>, running: &types::Running) -> bool {
    let present = |(name, image): (&Name, &Digest)| {
        running.get(name).is_some_and(|state| state.image == *image)
    };
    !images.is_empty() && images.iter().all(present)
}

impl<'p> Offer<'p> {
    /// The rule's name, stable for scripts.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Install(_) => "install",
            Self::Continue(..) => "continue",
            Self::Withdrawn(..) => "withdrawn",
            Self::UpToDate(_) => "up-to-date",
            Self::RunsNewer(_) => "runs-newer",
            Self::NotYet(..) => "not-yet",
            Self::WaveFull(_) => "wave-full",
            Self::FlightFull(_) => "flight-full",
            Self::SiteFull(_) => "site-full",
            Self::DownloadsFull(_) => "downloads-full",
            Self::Unable(..) => "unable",
            Self::NotNow(..) => "not-now",
            Self::Preparing(..) => "preparing",
            Self::Paused(..) => "paused",
            Self::Halted(..) => "halted",
            Self::FailedBefore(..) => "failed-before",
            Self::Ended(..) => "ended",
            Self::NotFor(..) => "not-for",
            Self::Nothing => "nothing",
            Self::Stale => "stale",
        }
    }

    /// The rollout that decided, if one did.
    pub fn track(&self) -> Option<&'p Track> {
        match self {
            Self::Install(track)
            | Self::Continue(track, _)
            | Self::Withdrawn(track, _)
            | Self::UpToDate(track)
            | Self::RunsNewer(track)
            | Self::NotYet(track, _)
            | Self::WaveFull(track)
            | Self::FlightFull(track)
            | Self::SiteFull(track)
            | Self::DownloadsFull(track)
            | Self::Unable(track, _)
            | Self::NotNow(track, _)
            | Self::Preparing(track, _)
            | Self::Paused(track, _)
            | Self::Halted(track, _)
            | Self::FailedBefore(track, _)
            | Self::Ended(track, _)
            | Self::NotFor(track, _) => Some(track),
            Self::Nothing | Self::Stale => None,
        }
    }
}

impl fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install(t) => write!(f, "wave {} of {t} is open for it", t.wave),
            Self::Continue(t, id) => write!(f, "it is under way in {t}, attempt {id}"),
            Self::Withdrawn(t, id) => write!(f, "{t} was halted; attempt {id} is withdrawn"),
            Self::UpToDate(t) => write!(f, "it runs what {t} brings"),
            Self::RunsNewer(t) => write!(f, "it runs a newer release than {t} brings"),
            Self::NotYet(t, bucket) => write!(
                f,
                "wave {} of {t} is open up to {:.2} % of the audience; it comes at {:.2} %",
                t.wave,
                percent(t.share),
                percent(bucket.saturating_add(1)),
            ),
            Self::WaveFull(t) => {
                write!(f, "wave {} of {t} has as many terminals as it may", t.wave)
            }
            Self::FlightFull(t) => write!(f, "as many terminals update in {t} as may at once"),
            Self::SiteFull(t) => write!(f, "as many terminals of its site update in {t} as may"),
            Self::DownloadsFull(t) => {
                write!(f, "as many terminals download in {t}, in all or at its site, as may")
            }
            Self::Unable(t, what) => write!(f, "{t} asks for {what}, which its agent cannot do"),
            Self::NotNow(t, Some(at)) => write!(f, "{t} is open for it again at {at}"),
            Self::NotNow(t, None) => write!(f, "{t} is not open for it in the next two weeks"),
            Self::Preparing(t, until) => {
                write!(f, "{t} waits until deltas to it are made, until {until} at the latest")
            }
            Self::Paused(t, why) => write!(f, "{t} is paused: {why}"),
            Self::Halted(t, why) => write!(f, "{t} is halted: {why}"),
            Self::FailedBefore(t, outcome) => {
                write!(f, "{t} failed on it and needs a new order: {outcome}")
            }
            Self::Ended(t, outcome) => write!(f, "{t} ended on it: {outcome}"),
            Self::NotFor(t, Mismatch::Outside) => {
                write!(f, "{t} is not for its region: the release is meant for")?;
                t.fit.regions.iter().try_for_each(|region| write!(f, " {region}"))
            }
            Self::NotFor(t, what) => write!(f, "{t} is not for its {what}"),
            Self::Nothing => f.write_str("no rollout was started"),
            Self::Stale => f.write_str("the server does not know at present; ask again"),
        }
    }
}

fn percent(share: u16) -> f64 {
    f64::from(share) / 100.0
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rollout {} of {} {}", self.rollout, self.release.product, self.release.version)
    }
}

#[cfg(test)]
mod tests;
