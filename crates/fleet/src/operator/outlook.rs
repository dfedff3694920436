//! What a rollout waits for, as a sentence.

use super::{Opens, Rollout, State, Tally, exposure_limit};
use alloc::format;
use alloc::string::String;
use types::Timestamp;

/// What `rollout` waits for now, in an audience of so many devices.
pub fn outlook(rollout: &Rollout, audience: u32, now: Timestamp) -> String {
    match rollout.state {
        State::Draft => "it is a draft and waits to be started".into(),
        State::Paused => format!("it is paused and waits to be resumed: {}", rollout.why),
        State::Halted => format!("it is halted for good: {}", rollout.why),
        State::Finished => format!("it is finished: {}; latecomers are served", rollout.why),
        State::Running => running(rollout, audience, now),
    }
}

fn running(rollout: &Rollout, audience: u32, now: Timestamp) -> String {
    let schedule = &rollout.terms.schedule;
    if let Some(starts) = schedule.starts.filter(|starts| now < *starts) {
        return format!("it waits for its start at {starts}");
    }
    if let Some(until) = rollout.preparing().filter(|until| now < *until) {
        return format!("it waits until deltas to it are made, until {until} at the latest");
    }
    let wave = exposure_limit(rollout, audience).min(audience);
    let Tally { exposed, in_flight, confirmed, failed, .. } = rollout.tally;
    let number = rollout.wave + 1;
    if wave == 0 {
        return "its audience is empty".into();
    }
    let next = match rollout.waves.get(rollout.wave + 1).map(|next| next.opens) {
        None => format!("it finishes when all {wave} have ended"),
        Some(Opens::ByHand) => format!("wave {} waits for an operator", number + 1),
        Some(Opens::After(seconds)) => {
            format!("wave {} opens at {}", number + 1, rollout.opened.after(seconds))
        }
        Some(Opens::At(at)) => format!("wave {} opens at {at}", number + 1),
        Some(Opens::Confirmed(percent)) => {
            let needed = (u64::from(wave) * u64::from(percent)).div_ceil(100);
            let possible = u64::from(wave.saturating_sub(failed + rollout.tally.neutral));
            let hint = if possible < needed { ", which cannot be reached any more" } else { "" };
            format!("wave {} opens when {needed} of the {wave} have confirmed{hint}", number + 1)
        }
    };
    format!(
        "wave {number} holds {wave} terminals: {exposed} have it, {in_flight} of them are under way, \
         {confirmed} confirmed, {failed} failed; {next}"
    )
}
