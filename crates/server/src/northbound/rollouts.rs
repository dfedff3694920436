//! Rollouts: made, started, watched, stopped.

use super::convert::rollout_view;
use super::forecast::forecast;
use super::order::{audience, halt, resolved, terms, waves};
use crate::catalogue::Published;
use crate::clock;
use crate::ledger::{Act, ActError};
use crate::problem::{Refusal, Reply};
use crate::secret;
use crate::server::Server;
use crate::snapshot::Course;
use crate::store::StoredRollout;
use crate::wire::{App, Decoded, Operator, Path, Query, json};
use axum::extract::State;
use axum::response::Response;
use fleet::operator::{State as At, Tally};
use protocols::operator::{
    FailureList, FailureView, Reason, RetryOrder, RolloutList, RolloutOrder, Stopped,
};
use std::cmp::Reverse;
use std::sync::Arc;
use types::{Name, Text, Timestamp};

/// How many terminals may update at once, where nothing else is said.
const IN_FLIGHT: u32 = 1000;

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
    let (stored, published) = draft(&app, order, operator.name, clock::now()).await?;
    let id = app.make_rollout(stored, &published, clock::now()).await?;
    show(&app, &id).await
}

/// `POST /api/v1/rollouts/plan`: what the rollout would do; nothing is written.
pub(crate) async fn plan(
    State(app): State<App>,
    operator: Operator,
    Decoded(order): Decoded<RolloutOrder>,
) -> Reply<Response> {
    let absent = Refusal::absent(&format!("release {}", order.release));
    let (stored, published) = draft(&app, order, operator.name, clock::now()).await?;
    let course = Course::of(stored, &app.catalogue).ok_or(absent)?;
    json(&forecast(&app, &course.rollout, &published, clock::now()).await?)
}

/// The order with the filters of its groups in its own.
async fn grouped(app: &Server, mut order: RolloutOrder) -> Reply<RolloutOrder> {
    if let Some(text) = order.audience.filter.take() {
        order.audience.filter = Some(resolved(app, &text).await?.into());
    }
    let Some(name) = order.audience.group.take() else { return Ok(order) };
    let groups = app.store.begin().await?.groups().await?;
    let absent = || Refusal::absent(&format!("dynamic group {name}"));
    let group = groups.get(&name).ok_or_else(absent)?;
    let own = order.audience.filter.take();
    order.audience.filter = Some(match own {
        Some(own) => format!("({group});({own})"),
        None => group.to_string(),
    });
    Ok(order)
}

/// The release that an order means.
fn meant(app: &Server, order: &RolloutOrder) -> Reply<Arc<Published>> {
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
    if let Some(why) = &published.rules.withdrawn {
        let text = format!("release {} was withdrawn: {why}", order.release);
        return Err(Refusal::conflict(text, "roll out another release"));
    }
    Ok(published)
}

/// The policy for regions that the product has, where the order says nothing of its own.
async fn regional(app: &Server, mut order: RolloutOrder, product: &Name) -> Reply<RolloutOrder> {
    let audience = &mut order.audience;
    if audience.abroad.is_none() || audience.outside.is_none() {
        let policies = app.store.begin().await?.products().await?;
        let policy = policies.get(product).copied().unwrap_or_default();
        audience.abroad.get_or_insert(policy.abroad);
        audience.outside.get_or_insert(policy.outside);
    }
    Ok(order)
}

async fn draft(
    app: &Server,
    order: RolloutOrder,
    who: &str,
    now: Timestamp,
) -> Reply<(StoredRollout, Arc<Published>)> {
    let published = meant(app, &order)?;
    let order = &regional(app, grouped(app, order).await?, &published.release.product).await?;
    let stored = StoredRollout {
        id: secret::id("r")?,
        name: order.name.clone(),
        manifest: published.release.manifest,
        audience: audience(&order.audience, &published.release.product)?,
        waves: waves(&order.waves)?,
        halt: halt(&order.halt),
        terms: terms(order)?,
        in_flight: order.in_flight.unwrap_or_else(|| in_flight(app)),
        made: now,
        started: None,
        state: At::Draft,
        who: who.into(),
        why: Text::default(),
        since: now,
        wave: 0,
        opened: now,
        prepared: None,
        tally: Tally::default(),
    };
    Ok((stored, published))
}

/// How many terminals may update at once where the order does not say it: somebody has to
/// count them, and nobody does where terminals follow static plans.
fn in_flight(app: &Server) -> u32 {
    if app.plans.get().is_some() { u32::MAX } else { IN_FLIGHT }
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
        ActError::Withdrawn(_) => Refusal::conflict(error.to_string(), "roll out another release"),
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

/// Whose rollouts are stopped.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Whose {
    /// Of this product only.
    product: Option<Name>,
}

/// `POST /api/v1/stop`: halts every rollout at once.
pub(crate) async fn stop(
    State(app): State<App>,
    operator: Operator,
    Query(whose): Query<Whose>,
    Decoded(reason): Decoded<Reason>,
) -> Reply<Response> {
    let product = whose.product.as_ref();
    let rollouts = app.stop(product, operator.name, &reason.why, clock::now()).await?;
    json(&Stopped { rollouts })
}

/// `GET /api/v1/rollouts/{id}/failures`
pub(crate) async fn failures(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<Name>,
) -> Reply<Response> {
    let failures = app.store.begin().await?.failures(&id).await?;
    let view = |failed: crate::store::Failures| FailureView {
        wave: failed.wave,
        outcome: failed.outcome,
        sentence: failed.sentence().into(),
        hardware: failed.hardware,
        from: failed.origin,
        devices: failed.devices,
    };
    json(&FailureList { failures: failures.into_iter().map(view).collect() })
}
