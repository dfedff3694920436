//! Rollouts: made, started, watched, stopped.

use super::convert::{audience, halt, rollout_view, waves};
use crate::clock;
use crate::ledger::{Act, ActError};
use crate::problem::{Refusal, Reply};
use crate::secret;
use crate::server::Server;
use crate::store::StoredRollout;
use crate::wire::{App, Decoded, Operator, json};
use axum::extract::{Path, State};
use axum::response::Response;
use fleet::operator::{State as At, Tally};
use protocols::operator::{Reason, RetryOrder, RolloutList, RolloutOrder};
use std::cmp::Reverse;
use std::sync::Arc;
use types::{Name, Text, Timestamp};

/// `GET /api/v1/rollouts`
pub(crate) async fn list(State(app): State<App>, _: Operator) -> Reply<Response> {
    let snapshot = app.snapshot();
    let mut courses: Vec<_> = snapshot.courses.values().collect();
    courses.sort_by_key(|course| Reverse((course.made, course.rollout.id.clone())));
    let rollouts = courses.into_iter().map(|c| rollout_view(c, &snapshot, Vec::new())).collect();
    json(&RolloutList { rollouts })
}

/// `GET /api/v1/rollouts/{id}`
pub(crate) async fn one(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<Name>,
) -> Reply<Response> {
    show(&app, &id).await
}

async fn show(app: &Server, id: &Name) -> Reply<Response> {
    let happened = app.store.begin().await?.happened(id).await?;
    let snapshot = app.snapshot();
    let absent = || Refusal::absent(&format!("rollout {id}"));
    let course = snapshot.courses.get(id).ok_or_else(absent)?;
    json(&rollout_view(course, &snapshot, happened))
}

/// `POST /api/v1/rollouts`
pub(crate) async fn make(
    State(app): State<App>,
    operator: Operator,
    Decoded(order): Decoded<RolloutOrder>,
) -> Reply<Response> {
    let named = app.catalogue.named(&order.release, order.audience.product.as_ref());
    let published = match &named[..] {
        [one] => Arc::clone(one),
        [] => return Err(Refusal::absent(&format!("release {}", order.release))),
        _ => {
            let text = format!("{} is a version of several products", order.release);
            return Err(Refusal::conflict(text, "name the product, or the manifest's digest"));
        }
    };
    let product = &published.release.product;
    if order.audience.product.as_ref().is_some_and(|asked| asked != product) {
        let text = format!("release {} is not of that product", order.release);
        return Err(Refusal::conflict(text, "leave the product out, or name another release"));
    }
    let stored = draft(&order, &published.release, operator.name, clock::now())?;
    let id = app.make_rollout(stored, &published, clock::now()).await?;
    show(&app, &id).await
}

fn draft(
    order: &RolloutOrder,
    release: &types::Release,
    who: &str,
    now: Timestamp,
) -> Reply<StoredRollout> {
    Ok(StoredRollout {
        id: secret::id("r")?,
        name: order.name.clone(),
        manifest: release.manifest,
        audience: audience(&order.audience, &release.product),
        waves: waves(&order.waves),
        halt: halt(&order.halt),
        in_flight: order.in_flight,
        made: now,
        started: None,
        state: At::Draft,
        who: who.into(),
        why: Text::default(),
        since: now,
        wave: 0,
        opened: now,
        tally: Tally::default(),
    })
}

async fn act(
    app: &Server,
    id: &Name,
    act: Act,
    operator: &Operator,
    reason: &Reason,
) -> Reply<Response> {
    let done = app.act(id, act, operator.name, &reason.why, clock::now()).await;
    done.map_err(|error| refusal(&error))?;
    show(app, id).await
}

fn refusal(error: &ActError) -> Refusal {
    match error {
        ActError::NoRollout(id) => Refusal::absent(&format!("rollout {id}")),
        ActError::NoDevice(id) => Refusal::absent(&format!("terminal {id}")),
        ActError::State { .. } => Refusal::conflict(
            error.to_string(),
            "look where it stands: refit rollout status; make a new one",
        ),
        ActError::LastWave(_) => Refusal::conflict(error.to_string(), "nothing needs to be done"),
        ActError::NothingToRetry { .. } => {
            Refusal::conflict(error.to_string(), "ask what decides about it: refit explain DEVICE")
        }
        ActError::Store(_) => Refusal::broken(error),
    }
}

macro_rules! acts {
    ($($path:literal $name:ident $act:ident)*) => {
        $(#[doc = concat!("`POST /api/v1/rollouts/{id}/", $path, "`")]
        pub(crate) async fn $name(
            State(app): State<App>,
            operator: Operator,
            Path(id): Path<Name>,
            Decoded(reason): Decoded<Reason>,
        ) -> Reply<Response> {
            act(&app, &id, Act::$act, &operator, &reason).await
        })*
    };
}

acts! {
    "start" start Start
    "pause" pause Pause
    "resume" resume Resume
    "halt" halt_now Halt
    "advance" advance Advance
}

/// `POST /api/v1/rollouts/{id}/retry`
pub(crate) async fn retry(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<Name>,
    Decoded(order): Decoded<RetryOrder>,
) -> Reply<Response> {
    app.retry(&id, &order.device, clock::now()).await.map_err(|error| refusal(&error))?;
    show(&app, &id).await
}
