//! Counters for Prometheus, in its text form. To read them costs the store nothing.

use crate::server::Server;
use crate::wire::{App, Observer};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Heartbeats that were answered.
    pub(crate) heartbeats: AtomicU64,
    /// Reports that are durable.
    pub(crate) reports: AtomicU64,
    /// Transactions that hold what terminals said.
    pub(crate) batches: AtomicU64,
    /// Heartbeats and reports that were sent away because too many waited.
    pub(crate) busy: AtomicU64,
    /// Downloads that were sent away because as many went as may.
    pub(crate) held: AtomicU64,
}

impl Counters {
    /// Counts so many more.
    pub(crate) fn more(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(State(app): State<App>, _: Observer) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&app)).into_response()
}

fn text(app: &Server) -> String {
    let (counters, statements) = (&app.counters, app.store.statements());
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let lines = [
        ("counter", "refit_statements_total{by=\"requests\"}", statements.requests),
        ("counter", "refit_statements_total{by=\"jobs\"}", statements.jobs),
        ("counter", "refit_heartbeats_total", of(&counters.heartbeats)),
        ("counter", "refit_reports_total", of(&counters.reports)),
        ("counter", "refit_batches_total", of(&counters.batches)),
        ("counter", "refit_busy_total", of(&counters.busy)),
        ("counter", "refit_downloads_held_total", of(&counters.held)),
        ("gauge", "refit_terminals", app.roster.count()),
        ("gauge", "refit_plan_generation", app.snapshot().plan.generation),
    ];
    let mut out = String::new();
    let mut last = "";
    for (kind, name, value) in lines {
        let family = name.split('{').next().unwrap_or(name);
        // A text in memory takes whatever is written to it.
        if family != last {
            let _ = writeln!(out, "# TYPE {family} {kind}");
        }
        let _ = writeln!(out, "{name} {value}");
        last = family;
    }
    out
}
