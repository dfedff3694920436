//! Between the words of the wire and those of the house.

use super::order::{audience_rule, halt_rule, terms_rule, wave_rule};
use crate::catalogue::Published;
use crate::clock;
use crate::roster::{Terminal, Tried};
use crate::snapshot::{Course, Snapshot};
use crate::store::Happened;
use fleet::operator::{State, outlook};
use fleet::{Labels, Standing};
use protocols::native::Facts;
use protocols::operator::{
    AttemptState, AttemptView, DeviceView, EventView, LabelsView, ReleaseView, RolloutState,
    RolloutView, TallyView,
};
use std::sync::atomic::Ordering;
use types::Running;

pub(super) fn release_view(published: &Published) -> ReleaseView {
    ReleaseView {
        release: published.release.clone(),
        package: published.package,
        size: published.size,
        published: published.at,
        variants: published.rules.fit.variants.clone(),
        regions: published.rules.fit.regions.clone(),
        needs: published.rules.fit.needs.as_ref().map(ToString::to_string),
        withdrawn: published.rules.withdrawn.clone(),
    }
}

fn state(state: State) -> RolloutState {
    match state {
        State::Draft => RolloutState::Draft,
        State::Running => RolloutState::Running,
        State::Paused => RolloutState::Paused,
        State::Halted => RolloutState::Halted,
        State::Finished => RolloutState::Finished,
    }
}

pub(super) fn rollout_view(
    course: &Course,
    snapshot: &Snapshot,
    happened: Vec<Happened>,
) -> RolloutView {
    let rollout = &course.rollout;
    let wave = if rollout.state == State::Draft { 0 } else { rollout.wave + 1 };
    RolloutView {
        id: rollout.id.clone(),
        name: course.name.clone(),
        release: rollout.release.clone(),
        state: state(rollout.state),
        who: course.who.clone(),
        why: rollout.why.clone(),
        since: course.since,
        wave: u32::try_from(wave).unwrap_or(u32::MAX),
        audience: audience_rule(&rollout.audience, &rollout.terms),
        waves: rollout.waves.iter().map(wave_rule).collect(),
        halt: halt_rule(&rollout.halt),
        in_flight_limit: rollout.in_flight,
        terms: terms_rule(&rollout.terms),
        needs: rollout.fit.needs.as_ref().map(ToString::to_string),
        outlook: outlook(rollout, snapshot.audience(&rollout.id), clock::now()),
        tally: tally(course, snapshot),
        history: happened.into_iter().map(event_view).collect(),
    }
}

fn event_view(event: Happened) -> EventView {
    EventView { at: event.at, who: event.who, what: event.what.into(), why: event.why }
}

fn tally(course: &Course, snapshot: &Snapshot) -> TallyView {
    let tally = course.rollout.tally;
    TallyView {
        audience: snapshot.audience(&course.rollout.id),
        exposure_limit: snapshot.limit(&course.rollout),
        exposed: tally.exposed,
        in_flight: tally.in_flight,
        downloading: downloading(course, snapshot),
        confirmed: tally.confirmed,
        failed: tally.failed,
        lost: tally.lost,
        neutral: tally.neutral,
        fetched: tally.fetched,
        full: tally.full,
    }
}

/// How many download, where that is bounded.
fn downloading(course: &Course, snapshot: &Snapshot) -> Option<u32> {
    let known = snapshot.downloads.get(&course.rollout.id);
    let count = known.map_or(0, |known| u32::try_from(known.len()).unwrap_or(u32::MAX));
    (!course.rollout.terms.places().is_none()).then_some(count)
}

pub(super) fn device_view(terminal: &Terminal) -> DeviceView {
    let stored = &terminal.stored;
    DeviceView {
        device: stored.device.clone(),
        facts: Facts::clone(&stored.facts),
        slot: stored.slot,
        running: Running::clone(&stored.running),
        release: terminal.release.as_ref().map(|published| published.release.clone()),
        phase: terminal.phase,
        seen: terminal.seen,
        labels: labels_view(stored.labels()),
        attempt: terminal.tries.last().map(attempt_view),
    }
}

pub(super) fn labels_view(labels: &Labels) -> LabelsView {
    LabelsView {
        tags: labels.tags.clone(),
        groups: labels.groups.clone(),
        attributes: labels.attributes.clone(),
        channel: labels.channel.clone(),
        home: labels.home.clone(),
        zone: labels.zone.as_ref().map(ToString::to_string),
        pin: labels.pin.clone(),
    }
}

pub(super) fn attempt_view(tried: &Tried) -> AttemptView {
    let stored = &tried.stored;
    AttemptView {
        attempt: stored.attempt,
        rollout: stored.rollout.clone(),
        version: tried.version.clone(),
        state: attempt_state(stored.standing),
        outcome: stored.standing.outcome(),
        detail: stored.detail.clone(),
        spent: stored.spent,
        bytes_served: tried.served.load(Ordering::Relaxed),
        offered: stored.offered,
        changed: stored.changed,
        progress: tried.progress,
    }
}

fn attempt_state(standing: Standing) -> AttemptState {
    match standing {
        Standing::Offered => AttemptState::Offered,
        Standing::Reported => AttemptState::Reported,
        Standing::Confirmed => AttemptState::Confirmed,
        Standing::Reverted => AttemptState::Reverted,
        Standing::Lost | Standing::LostReported => AttemptState::Lost,
        Standing::Failed(_) => AttemptState::Failed,
        Standing::Neutral(_) => AttemptState::Neutral,
    }
}
