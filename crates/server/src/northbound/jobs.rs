//! What the servers do by themselves: seen, ended, begun anew.

use crate::clock;
use crate::problem::{Refusal, Reply};
use crate::server::Server;
use crate::store::{JobState as Stands, Kind, StoredDelta, StoredJob};
use crate::wire::{App, Decoded, Operator, Path, Query, json};
use axum::extract::State;
use axum::response::Response;
use protocols::operator::{DeltaList, DeltaView, JobKind, JobList, JobState, JobView, Reason};
use types::{Digest, Name, Timestamp};

/// Which jobs are listed.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Wanted {
    /// Of this kind only.
    kind: Option<JobKind>,
    /// About this rollout or release only.
    about: Option<String>,
}

/// `GET /api/v1/jobs`
pub(crate) async fn list(
    State(app): State<App>,
    _: Operator,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let jobs = app.store.begin().await?.jobs().await?;
    let views = jobs.iter().map(|job| view(job, clock::now()));
    let fits = |view: &JobView| {
        wanted.kind.is_none_or(|kind| view.kind == kind)
            && wanted.about.as_ref().is_none_or(|about| view.about == *about)
    };
    json(&JobList { jobs: views.filter(fits).collect() })
}

/// `POST /api/v1/jobs/{id}/cancel`: whoever is at it stops within seconds.
pub(crate) async fn cancel(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<Name>,
    Decoded(reason): Decoded<Reason>,
) -> Reply<Response> {
    let why = format!("{} cancelled it: {}", operator.name, reason.why);
    let why = why.trim_end_matches([':', ' ']);
    if !app.cancel_job(&id, why, clock::now()).await? {
        return Err(nothing_to_do(&id, "has ended already, or looks after a rollout"));
    }
    show(&app, &id).await
}

/// `POST /api/v1/jobs/{id}/retry`: as if it had never been tried.
pub(crate) async fn retry(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<Name>,
    Decoded(_): Decoded<Reason>,
) -> Reply<Response> {
    if !app.retry_job(&id, clock::now()).await? {
        return Err(nothing_to_do(&id, "is being done, or looks after a rollout"));
    }
    show(&app, &id).await
}

fn nothing_to_do(id: &Name, why: &str) -> Refusal {
    Refusal::conflict(format!("there is no job {id}, or it {why}"), "list them: refit jobs")
}

async fn show(app: &Server, id: &Name) -> Reply<Response> {
    let job = app.store.begin().await?.job(id).await?;
    let job = job.ok_or_else(|| Refusal::absent(&format!("job {id}")))?;
    json(&view(&job, clock::now()))
}

fn view(job: &StoredJob, now: Timestamp) -> JobView {
    let StoredJob { new, far, .. } = job;
    JobView {
        id: new.job.clone(),
        kind: match new.kind {
            Kind::Tend => JobKind::Tend,
            Kind::Plan => JobKind::Plan,
            Kind::Delta => JobKind::Delta,
        },
        about: if new.about.is_empty() { new.job.to_string() } else { new.about.clone() },
        state: match job.state {
            Stands::Waiting if job.lease > now => JobState::Running,
            Stands::Waiting => JobState::Waiting,
            Stands::Done => JobState::Done,
            Stands::Dropped => JobState::Dropped,
            Stands::Cancelled => JobState::Cancelled,
        },
        priority: new.priority,
        due: new.due,
        tries: job.tries,
        done: far.done,
        total: far.total,
        words: far.words.clone(),
        error: job.error.clone(),
        made: job.made,
        changed: job.changed,
    }
}

/// `GET /api/v1/releases/{manifest}/deltas`
pub(crate) async fn deltas(
    State(app): State<App>,
    _: Operator,
    Path(manifest): Path<Digest>,
) -> Reply<Response> {
    let absent = || Refusal::absent(&format!("release {manifest}"));
    let published = app.catalogue.find(manifest).ok_or_else(absent)?;
    let mut tx = app.store.begin().await?;
    let pending = tx.pending_deltas(&manifest.to_string(), clock::now()).await?;
    let all = tx.deltas().await?;
    drop(tx);
    let leads =
        |delta: &&StoredDelta| published.images.get(&delta.component) == Some(&delta.target);
    let deltas = all.iter().filter(leads).map(|delta| delta_view(&app, delta));
    json(&DeltaList { deltas: deltas.collect(), pending })
}

fn delta_view(app: &Server, delta: &StoredDelta) -> DeltaView {
    let all = app.catalogue.all();
    let from = all.iter().find(|p| p.images.get(&delta.component) == Some(&delta.source));
    DeltaView {
        component: delta.component.clone(),
        source: delta.source,
        from: from.map(|published| published.release.version.to_string()),
        class_mib: delta.class,
        kept: delta.made.is_some(),
        size: delta.made.map_or(0, |made| made.size),
        heap: delta.made.map_or(0, |made| made.heap),
        full: delta.full,
        why: delta.why.clone(),
        made: delta.at,
        used: delta.used,
    }
}
