//! Who would get what, when, and who would not and why, before anything is offered.

use super::cost::Cost;
use super::path::{Step, path};
use super::tend::{EVEN_AUDIENCE, limit, share_of_wave};
use super::{Opens, Rollout, State, track};
use crate::{BUCKETS, DeviceFacts, Gate, Mismatch, Offer, Plan, bucket, offer};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use types::{DeviceId, Elsewhere, Timestamp, Version};

/// The most devices that are named for one reason or wave.
pub const EXAMPLES_LIMIT: usize = 5;
/// The most different ways, and reasons, that are told apart.
const GROUPS_LIMIT: usize = 256;

/// A number of devices, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crowd {
    /// How many.
    pub count: u32,
    /// Some of them.
    pub examples: Vec<DeviceId>,
}

/// What a rollout would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Who would get the release.
    pub gets: Crowd,
    /// Whose owners would be asked first, because of their region.
    pub asked: Crowd,
    /// Bytes of payloads for all of them.
    pub cost: Cost,
    /// How they come in.
    pub waves: Vec<WaveForecast>,
    /// When the schedule lets the first and the last of them begin.
    pub opens: Option<(Timestamp, Timestamp)>,
    /// Until when everybody would wait for deltas, at the latest, if they would.
    pub waits_until: Option<Timestamp>,
    /// Who needs releases in between, by the versions of their way.
    pub over: BTreeMap<Vec<Version>, Crowd>,
    /// Who would not get it, by reason.
    pub out: BTreeMap<String, Crowd>,
}

/// One wave as it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveForecast {
    /// How many come in with it.
    pub count: u32,
    /// Their part of the bytes, by their number: nobody knows yet who of many comes in.
    pub cost: Cost,
    /// When it opens at the earliest, where time alone decides.
    pub earliest: Option<Timestamp>,
}

/// A forecast in the making: every device of the fleet is asked once.
pub struct DryRun<'r> {
    rollout: &'r Rollout,
    steps: &'r [Step],
    plan: Plan,
    cost: Cost,
    now: Timestamp,
    gets: Crowd,
    asked: Crowd,
    buckets: Vec<u32>,
    opens: Option<(Timestamp, Timestamp)>,
    over: BTreeMap<Vec<Version>, Crowd>,
    out: BTreeMap<String, Crowd>,
}

impl Crowd {
    fn add(&mut self, device: &DeviceId) {
        self.count = self.count.saturating_add(1);
        if self.examples.len() < EXAMPLES_LIMIT {
            self.examples.push(device.clone());
        }
    }
}

impl<'r> DryRun<'r> {
    /// A forecast for `rollout`, started at `now`.
    pub fn new(rollout: &'r Rollout, steps: &'r [Step], now: Timestamp) -> Self {
        let started = Rollout { state: State::Running, started: Some(now), ..rollout.clone() };
        let wide = track(&started, u32::MAX, BTreeSet::new()).map(|track| crate::Track {
            share: BUCKETS,
            wave_room: u32::MAX,
            flight_room: u32::MAX,
            gate: Gate::Open,
            ..track
        });
        let plan = Plan { generation: 0, good_until: now, tracks: wide.into_iter().collect() };
        let (opens, over, out) = (None, BTreeMap::new(), BTreeMap::new());
        let (gets, asked) = (Crowd::default(), Crowd::default());
        let (buckets, cost) = (vec![0; BUCKETS.into()], Cost::default());
        Self { rollout, steps, plan, cost, now, gets, asked, buckets, opens, over, out }
    }

    /// What the rollout would do about one device, which takes so many bytes.
    pub fn ask(&mut self, device: &DeviceFacts<'_>, cost: impl FnOnce() -> Cost) {
        match offer(&self.plan, device, self.now) {
            Offer::Install(_) | Offer::Continue(..) => self.gets(device, cost(), self.now),
            Offer::NotNow(_, Some(at)) => self.gets(device, cost(), at),
            Offer::NotFor(_, Mismatch::Needs) => self.needs(device),
            Offer::NotFor(_, what) => why_not(&mut self.out, what.to_string(), device.id),
            Offer::NotNow(_, None) => {
                why_not(&mut self.out, "schedule: it never opens".into(), device.id);
            }
            other => why_not(&mut self.out, other.rule().into(), device.id),
        }
    }

    fn gets(&mut self, device: &DeviceFacts<'_>, cost: Cost, at: Timestamp) {
        self.gets.add(device.id);
        self.cost += cost;
        let Rollout { audience, fit, .. } = self.rollout;
        if audience.place(&fit.regions, device) == Elsewhere::Ask {
            self.asked.add(device.id);
        }
        let bucket = bucket(self.rollout.id.as_str().as_bytes(), device.id);
        if let Some(count) = self.buckets.get_mut(usize::from(bucket)) {
            *count += 1;
        }
        let (first, last) = self.opens.unwrap_or((at, at));
        self.opens = Some((first.min(at), last.max(at)));
    }

    /// The device does not run what the release needs; perhaps others lead there.
    fn needs(&mut self, device: &DeviceFacts<'_>) {
        let (target, outside) = (self.rollout.release.manifest, self.rollout.audience.outside);
        match path(device, target, self.steps, outside) {
            Ok(way) => {
                let versions: Vec<_> = way.iter().map(|s| s.release.version.clone()).collect();
                if self.over.len() < GROUPS_LIMIT || self.over.contains_key(&versions) {
                    self.over.entry(versions).or_default().add(device.id);
                }
            }
            Err(why) => why_not(&mut self.out, why.to_string(), device.id),
        }
    }

    /// The forecast, once every device was asked.
    pub fn forecast(self) -> Forecast {
        let sums = self.sums();
        let earliest = self.earliest();
        let before = [0].into_iter().chain(sums.iter().copied());
        let waves = sums.iter().zip(before).zip(earliest).map(|((sum, before), earliest)| {
            let count = sum.saturating_sub(before);
            WaveForecast { count, cost: self.cost.part(count, self.gets.count), earliest }
        });
        let waves = waves.collect();
        let waits = self.rollout.terms.wait_for_deltas;
        let waits_until = waits.map(|waits| self.now.after(waits));
        let Self { gets, asked, cost, opens, over, out, .. } = self;
        Forecast { gets, asked, cost, waves, opens, waits_until, over, out }
    }

    /// How many are in with each wave, counted over the whole rollout.
    fn sums(&self) -> Vec<u32> {
        let all = self.gets.count;
        let mut most = 0;
        let sum = |wave: &super::Wave| {
            let within = limit(*wave, all).min(all);
            let share = share_of_wave(*wave, all);
            let drawn = self.buckets.iter().take(share.into()).sum::<u32>();
            most = most.max(if all < EVEN_AUDIENCE { within } else { within.min(drawn) });
            most
        };
        self.rollout.waves.iter().map(sum).collect()
    }

    /// When each wave opens at the earliest, as long as only time decides.
    fn earliest(&self) -> Vec<Option<Timestamp>> {
        let start = self.rollout.terms.schedule.starts.map_or(self.now, |at| at.max(self.now));
        let mut at = Some(start);
        let mut opens = |(index, wave): (usize, &super::Wave)| {
            at = match wave.opens {
                _ if index == 0 => at,
                Opens::After(seconds) => at.map(|at| at.after(seconds)),
                Opens::At(time) => at.map(|at| at.max(time)),
                Opens::Confirmed(_) | Opens::ByHand => None,
            };
            at
        };
        self.rollout.waves.iter().enumerate().map(&mut opens).collect()
    }
}

fn why_not(out: &mut BTreeMap<String, Crowd>, why: String, device: &DeviceId) {
    if out.len() < GROUPS_LIMIT || out.contains_key(&why) {
        out.entry(why).or_default().add(device);
    }
}

#[cfg(test)]
mod tests;
