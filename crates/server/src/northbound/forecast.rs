//! What a rollout would do, as it is written.

use crate::catalogue::Published;
use crate::problem::{Refusal, Reply};
use crate::roster::lock;
use crate::server::Server;
use fleet::operator::{Cost, Crowd, DryRun, Rollout, WaveForecast};
use protocols::operator::forecast as wire;
use types::Timestamp;

/// Asks every terminal about `rollout`, of what was published as `published`.
pub(super) async fn forecast(
    app: &Server,
    rollout: &Rollout,
    published: &Published,
    now: Timestamp,
) -> Reply<wire::Forecast> {
    let payloads = app.payloads(published, rollout).await.map_err(|e| Refusal::broken(&e))?;
    let steps = app.catalogue.steps();
    let mut run = DryRun::new(rollout, &steps, now);
    for terminal in app.roster.all() {
        let locked = lock(&terminal);
        let (running, mib) = (&locked.stored.running, locked.stored.facts.memory_class_mib);
        locked.ask(|device| run.ask(device, || payloads.cost(running, mib)));
    }
    let seen = run.forecast();
    let wave = |wave: &WaveForecast| wire::WaveForecast {
        count: wave.count,
        bytes: bytes(wave.cost),
        earliest: wave.earliest,
    };
    let over = seen.over.into_iter();
    let out = seen.out.into_iter();
    Ok(wire::Forecast {
        release: rollout.release.clone(),
        gets: crowd(seen.gets),
        asked: crowd(seen.asked),
        bytes: bytes(seen.cost),
        waves: seen.waves.iter().map(wave).collect(),
        first: seen.opens.map(|(first, _)| first),
        last: seen.opens.map(|(_, last)| last),
        waits_until: seen.waits_until,
        over: over.map(|(versions, some)| wire::Way { versions, crowd: crowd(some) }).collect(),
        out: out.map(|(why, some)| wire::Reason { why, crowd: crowd(some) }).collect(),
    })
}

fn crowd(crowd: Crowd) -> wire::Crowd {
    wire::Crowd { count: crowd.count, examples: crowd.examples }
}

fn bytes(cost: Cost) -> wire::Bytes {
    wire::Bytes { full: cost.full, with_deltas: cost.least, unknown: cost.open }
}
