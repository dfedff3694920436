//! Between the words of the wire and those of the house.

use crate::catalogue::Published;
use crate::roster::{Terminal, Tried};
use crate::snapshot::{Course, Snapshot};
use crate::store::Happened;
use fleet::operator::{Halt, Opens, Size, State, Wave};
use fleet::{Audience, Standing};
use protocols::operator::{
    AttemptState, AttemptView, AudienceRule, DeviceView, EventView, HaltRule, OpenRule,
    ReleaseView, RolloutState, RolloutView, TallyView, WaveRule,
};
use std::sync::atomic::Ordering;
use types::Name;

pub(super) fn release_view(published: &Published) -> ReleaseView {
    ReleaseView {
        release: published.release.clone(),
        package: published.package,
        size: published.size,
        published: published.at,
    }
}

pub(super) fn audience(rule: &AudienceRule, product: &Name) -> Audience {
    Audience {
        product: product.clone(),
        hardware: rule.hardware.clone(),
        regions: rule.regions.clone(),
        variants: rule.variants.clone(),
        running: rule.running.clone(),
    }
}

fn audience_rule(audience: &Audience) -> AudienceRule {
    AudienceRule {
        product: Some(audience.product.clone()),
        hardware: audience.hardware.clone(),
        regions: audience.regions.clone(),
        variants: audience.variants.clone(),
        running: audience.running.clone(),
    }
}

/// Everyone at once where no wave is named.
pub(super) fn waves(rules: &[WaveRule]) -> Vec<Wave> {
    let everyone = WaveRule { percent: Some(100), count: None, opens: OpenRule::default() };
    let all = if rules.is_empty() { std::slice::from_ref(&everyone) } else { rules };
    all.iter().map(wave).collect()
}

fn wave(rule: &WaveRule) -> Wave {
    let size = match rule.count {
        Some(count) => Size::Count(count),
        None => Size::Percent(rule.percent.unwrap_or(100)),
    };
    let opens = match rule.opens {
        OpenRule::WhenConfirmedPercent(percent) => Opens::Confirmed(percent),
        OpenRule::AfterSeconds(seconds) => Opens::After(seconds),
        OpenRule::ByHand => Opens::ByHand,
    };
    Wave { size, opens }
}

fn wave_rule(wave: &Wave) -> WaveRule {
    let (percent, count) = match wave.size {
        Size::Percent(percent) => (Some(percent), None),
        Size::Count(count) => (None, Some(count)),
    };
    let opens = match wave.opens {
        Opens::Confirmed(percent) => OpenRule::WhenConfirmedPercent(percent),
        Opens::After(seconds) => OpenRule::AfterSeconds(seconds),
        Opens::ByHand => OpenRule::ByHand,
    };
    WaveRule { percent, count, opens }
}

pub(super) fn halt(rule: &HaltRule) -> Halt {
    Halt {
        percent: rule.failures_percent,
        count: rule.failures_count,
        not_back: rule.not_back_seconds,
    }
}

fn halt_rule(halt: &Halt) -> HaltRule {
    HaltRule {
        failures_percent: halt.percent,
        failures_count: halt.count,
        not_back_seconds: halt.not_back,
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
        audience: audience_rule(&rollout.audience),
        waves: rollout.waves.iter().map(wave_rule).collect(),
        halt: halt_rule(&rollout.halt),
        in_flight_limit: rollout.in_flight,
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
        confirmed: tally.confirmed,
        failed: tally.failed,
        neutral: tally.neutral,
    }
}

pub(super) fn device_view(terminal: &Terminal) -> DeviceView {
    let stored = &terminal.stored;
    DeviceView {
        device: stored.device.clone(),
        facts: stored.facts.clone(),
        slot: stored.slot,
        running: stored.running.clone(),
        release: terminal.release.clone(),
        phase: terminal.phase,
        seen: terminal.seen,
        attempt: terminal.tries.last().map(attempt_view),
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
