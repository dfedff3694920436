//! Terminals: what they are, what they run, and which rule decides about them.

use super::convert::{attempt_view, device_view};
use crate::clock;
use crate::problem::{Refusal, Reply};
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::wire::{App, Operator, json};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use fleet::offer;
use protocols::native::Waiting;
use protocols::operator::{DeviceDetail, DeviceList, Explanation, ReportList};
use serde::Deserialize;
use types::{DeviceId, Name};

/// The most terminals of one answer, and how many there are by default.
const PAGE: usize = 1000;
/// The most reports of one answer.
const REPORTS: u32 = 1000;

/// Which terminals are asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// Behind this one.
    after: Option<DeviceId>,
    /// How many.
    limit: Option<usize>,
}

/// `GET /api/v1/devices`
pub(crate) async fn list(
    State(app): State<App>,
    _: Operator,
    Query(page): Query<Page>,
) -> Reply<Response> {
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let terminals = app.roster.page(page.after.as_ref(), limit);
    let devices: Vec<_> = terminals.iter().map(|terminal| device_view(&lock(terminal))).collect();
    let full = devices.len() == limit;
    let next = devices.last().filter(|_| full).map(|view| view.device.clone());
    json(&DeviceList { devices, next })
}

fn find(app: &Server, id: &DeviceId) -> Reply<Shared> {
    app.roster.device(id).ok_or_else(|| Refusal::absent(&format!("terminal {id}")))
}

/// `GET /api/v1/devices/{id}`
pub(crate) async fn one(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<DeviceId>,
) -> Reply<Response> {
    let terminal = find(&app, &id)?;
    let detail = {
        let locked = lock(&terminal);
        let attempts = locked.tries.iter().rev().map(attempt_view).collect();
        DeviceDetail { view: device_view(&locked), attempts }
    };
    json(&detail)
}

/// What decides on the server's side, and what the terminal itself waits for.
fn sentence(id: &DeviceId, offer: &str, waiting: Option<&Waiting>) -> String {
    match waiting {
        None => format!("{id}: {offer}"),
        Some(Waiting { why, .. }) => format!("{id}: {offer}; the terminal waits: {why}"),
    }
}

/// `GET /api/v1/devices/{id}/explain`
pub(crate) async fn explain(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<DeviceId>,
) -> Reply<Response> {
    let terminal = find(&app, &id)?;
    let snapshot = app.snapshot();
    let locked = lock(&terminal);
    let explanation = locked.ask(|device| {
        let offer = offer(&snapshot.plan, device, clock::now());
        let rollout = offer.track().map(|track| track.rollout.clone());
        let last =
            |rollout: &Name| locked.tries.iter().rev().find(|t| t.stored.rollout == *rollout);
        Explanation {
            device: id.clone(),
            rule: offer.rule().into(),
            sentence: sentence(&id, &offer.to_string(), locked.waiting.as_ref()),
            waiting: locked.waiting.clone(),
            attempt: rollout.as_ref().and_then(last).map(attempt_view),
            rollout,
        }
    });
    json(&explanation)
}

/// `GET /api/v1/devices/{id}/reports`
pub(crate) async fn reports(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<DeviceId>,
) -> Reply<Response> {
    find(&app, &id)?;
    let reports = app.store.begin().await?.reports(&id, REPORTS).await?;
    json(&ReportList { reports })
}
