//! What follows from how a rollout goes: halt, open a wave, finish.

use super::{Allowance, Halt, Opens, Rollout, Size, State, Tally, Wave};
use crate::{BUCKETS, Busy, Gate, Track};
use alloc::collections::BTreeSet;
use alloc::format;
use types::{Seconds, Text, Timestamp};

/// From so many devices on, a share of the buckets is even enough to choose who is
/// in a wave. In a smaller audience a share may hold nobody, so whoever asks first
/// is let in; the number is bounded by the wave all the same.
pub const EVEN_AUDIENCE: u32 = 10_000;

/// What a rollout is to become, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It stops for good.
    Halt(Text),
    /// This wave, counted from 0, opens.
    Open(usize, Text),
    /// Everyone of the last wave has ended.
    Finish(Text),
}

/// The most devices that the open wave lets out, of an audience of so many.
pub fn exposure_limit(rollout: &Rollout, audience: u32) -> u32 {
    rollout.waves.get(rollout.wave).map_or(0, |wave| limit(*wave, audience))
}

/// The most devices that `wave` lets out, of an audience of so many.
pub(super) fn limit(wave: Wave, audience: u32) -> u32 {
    match wave.size {
        Size::Count(count) => count,
        Size::Percent(percent) => share_of(audience, percent).max(1),
    }
}

fn share_of(whole: u32, percent: u8) -> u32 {
    let part = u64::from(whole) * u64::from(percent.min(100)) / 100;
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// Why the rollout must stop now, if it must, when the open wave has so many devices.
pub fn halted(allows: &Allowance, tally: Tally, wave: u32) -> Option<Text> {
    let Tally { failed, lost, .. } = tally;
    if let Some(allowed) = allows.count.filter(|allowed| failed > *allowed) {
        return Some(Text::from(format!("{failed} terminals failed; {allowed} are allowed")));
    }
    let wave = u64::from(wave.max(1));
    let passes = |percent: &u8| u64::from(failed) * 100 > u64::from(*percent) * wave;
    if let Some(percent) = allows.percent.filter(passes) {
        return Some(Text::from(format!(
            "{failed} terminals failed of the {wave} of the open wave; {percent} % are allowed"
        )));
    }
    let missing =
        |back: &u16| u64::from(lost) * 1000 > u64::from(1000u16.saturating_sub(*back)) * wave;
    let back = allows.back.filter(missing)?;
    Some(Text::from(format!(
        "{lost} terminals did not come back of the {wave} of the open wave; {:.1} % must",
        f64::from(back) / 10.0,
    )))
}

/// What is allowed while the wave that is open is the open one.
pub fn allowance(rollout: &Rollout) -> Allowance {
    let own = rollout.waves.get(rollout.wave).and_then(|wave| wave.allows);
    own.unwrap_or(rollout.halt.allows)
}

/// Whether a device in flight that last gave a sign of life at `seen` has failed.
pub fn overdue(rule: &Halt, seen: Timestamp, now: Timestamp) -> bool {
    now.seconds_since(seen) > rule.not_back
}

/// What follows now, in an audience of so many devices. At most one change; asked
/// again after each.
pub fn tend(rollout: &Rollout, audience: u32, now: Timestamp) -> Option<Change> {
    let offers = matches!(rollout.state, State::Running | State::Paused | State::Finished);
    let limit = exposure_limit(rollout, audience);
    // A wave of 1000 in an audience of 12 is a wave of 12.
    let wave = limit.min(audience.max(rollout.tally.exposed));
    if let Some(why) = halted(&allowance(rollout), rollout.tally, wave).filter(|_| offers) {
        return Some(Change::Halt(why));
    }
    let prepares = rollout.preparing().is_some_and(|until| now < until);
    if rollout.state != State::Running || prepares {
        return None;
    }
    match rollout.waves.get(rollout.wave + 1) {
        Some(next) => opening(rollout, next.opens, limit.min(audience), now),
        None => finish(rollout, limit.min(audience)),
    }
}

/// Whether the next wave opens, when the open one holds `wave` devices.
fn opening(rollout: &Rollout, opens: Opens, wave: u32, now: Timestamp) -> Option<Change> {
    let why = match opens {
        Opens::Confirmed(percent) => confirmed(rollout.tally, percent, wave)?,
        Opens::After(seconds) => elapsed(rollout.opened, seconds, now)?,
        Opens::At(at) if now < at => return None,
        Opens::At(at) => Text::from(format!("it is past {at}")),
        Opens::ByHand => return None,
    };
    Some(Change::Open(rollout.wave + 1, why))
}

fn confirmed(tally: Tally, percent: u8, wave: u32) -> Option<Text> {
    let enough = u64::from(tally.confirmed) * 100 >= u64::from(percent) * u64::from(wave);
    let count = tally.confirmed;
    (wave > 0 && enough)
        .then(|| Text::from(format!("{count} of the {wave} of the wave before confirmed")))
}

fn elapsed(opened: Timestamp, seconds: Seconds, now: Timestamp) -> Option<Text> {
    let passed = now.seconds_since(opened) >= seconds;
    passed.then(|| Text::from(format!("{} s passed since the wave before", seconds.0)))
}

fn finish(rollout: &Rollout, wave: u32) -> Option<Change> {
    let Tally { exposed, in_flight, confirmed, .. } = rollout.tally;
    (wave > 0 && exposed >= wave && in_flight == 0)
        .then(|| Change::Finish(Text::from(format!("{confirmed} of {exposed} confirmed"))))
}

/// The rollout as a track of a plan, for an audience of so many devices and with the
/// sites at which no more may start; nothing for a draft.
pub fn track(rollout: &Rollout, audience: u32, full_sites: BTreeSet<Text>) -> Option<Track> {
    let limit = exposure_limit(rollout, audience);
    Some(Track {
        rollout: rollout.id.clone(),
        release: rollout.release.clone(),
        images: rollout.images.clone(),
        audience: rollout.audience.clone(),
        fit: rollout.fit.clone(),
        terms: rollout.terms.clone(),
        started: rollout.started.unwrap_or(rollout.opened),
        gate: gate(rollout)?,
        wave: u32::try_from(rollout.wave + 1).unwrap_or(u32::MAX),
        share: share(rollout, audience),
        wave_room: limit.saturating_sub(rollout.tally.exposed),
        flight_room: rollout.in_flight.saturating_sub(rollout.tally.in_flight),
        full_sites,
        busy: Busy::default(),
    })
}

fn gate(rollout: &Rollout) -> Option<Gate> {
    match rollout.state {
        State::Draft => None,
        State::Running | State::Finished => {
            Some(rollout.preparing().map_or(Gate::Open, Gate::Preparing))
        }
        State::Paused => Some(Gate::Paused(rollout.why.clone())),
        State::Halted => Some(Gate::Halted(rollout.why.clone())),
    }
}

/// Which buckets are in the open wave.
fn share(rollout: &Rollout, audience: u32) -> u16 {
    rollout.waves.get(rollout.wave).map_or(BUCKETS, |wave| share_of_wave(*wave, audience))
}

/// Which buckets are in `wave`.
pub(super) fn share_of_wave(wave: Wave, audience: u32) -> u16 {
    match wave.size {
        Size::Percent(percent) if audience >= EVEN_AUDIENCE => {
            u16::from(percent.min(100)).saturating_mul(BUCKETS / 100)
        }
        _ => BUCKETS,
    }
}

#[cfg(test)]
mod tests;
