//! Terminals: what they are, what they run, and which rule decides about them.

use super::convert::{attempt_view, device_view};
use super::order::resolved;
use crate::clock;
use crate::downloads::shown;
use crate::ledger::LabelError;
use crate::problem::{Refusal, Reply};
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::southbound::answer::sentence as decision;
use crate::store::{LogQuery, Sight};
use crate::wire::{App, Decoded, Operator, Path, Query, json};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fleet::filter::Filter;
use fleet::{Offer, offer};
use protocols::native::Waiting;
use protocols::operator::{
    DeviceDetail, DeviceList, Explanation, GroupList, GroupRule, ImportOrder, LabelOrder, Moment,
    ReportList, Timeline,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use types::{DeviceId, Elsewhere, Name, Text};

/// The most terminals of one answer, and how many there are by default.
const PAGE: usize = 1000;
/// The most reports of one answer.
const REPORTS: u32 = 1000;

/// As many logs as are kept of one terminal.
const LOGS: Sight = Sight { window: 16, most: 16 };

/// Which terminals are asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// Behind this one.
    after: Option<DeviceId>,
    /// How many.
    limit: Option<usize>,
    /// For which this holds.
    filter: Option<String>,
}

/// `GET /api/v1/devices`
pub(crate) async fn list(
    State(app): State<App>,
    _: Operator,
    Query(page): Query<Page>,
) -> Reply<Response> {
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let terminals = match &page.filter {
        None => app.roster.page(page.after.as_ref(), limit),
        Some(text) => {
            find_all(&app, &resolved(&app, text).await?, page.after.as_ref(), limit).await?
        }
    };
    let devices: Vec<_> = terminals.iter().map(|terminal| device_view(&lock(terminal))).collect();
    let full = devices.len() == limit;
    let next = devices.last().filter(|_| full).map(|view| view.device.clone());
    json(&DeviceList { devices, next })
}

async fn find_all(
    app: &Server,
    filter: &Filter,
    after: Option<&DeviceId>,
    limit: usize,
) -> Reply<Vec<Shared>> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let names = app.store.begin().await?.find_devices(filter, after, limit).await?;
    Ok(names.iter().filter_map(|name| app.roster.device(name)).collect())
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
        let download = match offer {
            Offer::Continue(track, _) => shown(&snapshot, &locked, track),
            _ => None,
        };
        let place = offer.track().map_or(Elsewhere::Refuse, |track| track.place(device));
        let decided = decision(&offer, place);
        let decided = download.map_or(decided.clone(), |more| format!("{decided}; {more}"));
        let last =
            |rollout: &Name| locked.tries.iter().rev().find(|t| t.stored.rollout == *rollout);
        Explanation {
            device: id.clone(),
            rule: offer.rule().into(),
            sentence: sentence(&id, &decided, locked.waiting.as_deref()),
            waiting: locked.waiting.as_deref().cloned(),
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

/// `GET /api/v1/devices/{id}/timeline`: what happened to it, last things first.
pub(crate) async fn timeline(
    State(app): State<App>,
    _: Operator,
    Path(id): Path<DeviceId>,
) -> Reply<Response> {
    let terminal = find(&app, &id)?;
    let mut tx = app.store.begin().await?;
    let events = tx.events(&id, REPORTS).await?;
    let reports = tx.dated_reports(&id, REPORTS).await?;
    let asked = LogQuery { device: Some(id.clone()), ..LogQuery::default() };
    let told = tx.find_logs(&asked, LOGS).await?.logs;
    drop(tx);
    let mut told: BTreeMap<_, _> = told.into_iter().map(|log| (log.attempt, log.lines)).collect();
    let happened =
        events.into_iter().map(|(at, what)| Moment { at, what, attempt: None, log: Vec::new() });
    let reported = reports.into_iter().map(|(at, report)| Moment {
        at,
        what: Text::from(format!("reported {}: {}", report.outcome, report.detail)),
        attempt: Some(report.attempt),
        log: told.remove(&report.attempt).unwrap_or_default(),
    });
    let mut moments: Vec<Moment> = happened.chain(reported).collect();
    {
        let locked = lock(&terminal);
        moments.extend(locked.tries.iter().map(|tried| Moment {
            at: tried.stored.offered,
            what: Text::from(format!(
                "offered {} by rollout {} (wave {}, over {})",
                tried.version, tried.stored.rollout, tried.stored.wave, tried.stored.origin,
            )),
            attempt: Some(tried.stored.attempt),
            log: Vec::new(),
        }));
    }
    moments.sort_by_key(|moment| std::cmp::Reverse(moment.at));
    moments.truncate(usize::try_from(REPORTS).unwrap_or(usize::MAX));
    json(&Timeline { moments })
}

/// `POST /api/v1/labels`
pub(crate) async fn relabel(
    State(app): State<App>,
    _: Operator,
    Decoded(order): Decoded<LabelOrder>,
) -> Reply<Response> {
    let filter = match &order.filter {
        None => None,
        Some(text) => Some(resolved(&app, text).await?),
    };
    let done = app.relabel(&order, filter.as_ref(), clock::now()).await;
    json(&done.map_err(|error| match error {
        LabelError::NoDevice(id) => Refusal::absent(&format!("terminal {id}")),
        LabelError::Zone(_) | LabelError::Many(..) => {
            let advice = "compare it with docs/operations.md";
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), advice)
        }
        LabelError::Store(_) => Refusal::broken(&error),
    })?)
}

/// `POST /api/v1/import`: makes terminals known that a factory gave their credentials.
pub(crate) async fn import(
    State(app): State<App>,
    _: Operator,
    Decoded(order): Decoded<ImportOrder>,
) -> Reply<Response> {
    json(&app.import(&order.devices, clock::now()).await?)
}

/// `GET /api/v1/groups`
pub(crate) async fn groups(State(app): State<App>, _: Operator) -> Reply<Response> {
    let groups = app.store.begin().await?.groups().await?;
    let rule = |(name, filter): (Name, Filter)| GroupRule { name, filter: Some(filter.into()) };
    json(&GroupList { groups: groups.into_iter().map(rule).collect() })
}

/// `POST /api/v1/groups`: makes, changes or takes away a dynamic group.
pub(crate) async fn put_group(
    State(app): State<App>,
    _: Operator,
    Decoded(rule): Decoded<GroupRule>,
) -> Reply<Response> {
    let parsed = match &rule.filter {
        None => None,
        Some(text) => Some(resolved(&app, text).await?),
    };
    app.put_group(&rule.name, parsed.as_ref(), clock::now()).await?;
    json(&rule)
}
