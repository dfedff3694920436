//! What a rollout would do, as it is written.

use crate::roster::lock;
use crate::server::Server;
use fleet::operator::{Crowd, DryRun, Rollout};
use protocols::operator::forecast as wire;
use types::Timestamp;

/// Asks every terminal about `rollout`, of a package of `size` bytes.
pub(super) fn forecast(
    app: &Server,
    rollout: &Rollout,
    size: u64,
    now: Timestamp,
) -> wire::Forecast {
    let steps = app.catalogue.steps();
    let mut run = DryRun::new(rollout, size, &steps, now);
    for terminal in app.roster.all() {
        lock(&terminal).ask(|device| run.ask(device));
    }
    let seen = run.forecast();
    let wave = |wave: &fleet::operator::WaveForecast| wire::WaveForecast {
        count: wave.count,
        bytes: wave.bytes,
        earliest: wave.earliest,
    };
    let over = seen.over.into_iter();
    let out = seen.out.into_iter();
    wire::Forecast {
        release: rollout.release.clone(),
        gets: crowd(seen.gets),
        bytes: seen.bytes,
        waves: seen.waves.iter().map(wave).collect(),
        first: seen.opens.map(|(first, _)| first),
        last: seen.opens.map(|(_, last)| last),
        waits_until: seen.waits_until,
        over: over.map(|(versions, some)| wire::Way { versions, crowd: crowd(some) }).collect(),
        out: out.map(|(why, some)| wire::Reason { why, crowd: crowd(some) }).collect(),
    }
}

fn crowd(crowd: Crowd) -> wire::Crowd {
    wire::Crowd { count: crowd.count, examples: crowd.examples }
}
