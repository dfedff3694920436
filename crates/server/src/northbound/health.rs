//! What anybody may ask: whether the server is well, and what it can be asked.

use crate::clock;
use crate::problem::{Refusal, Reply};
use crate::wire::{App, json};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use protocols::operator::Health;

/// The OpenAPI document, as it is served and as it stands among the documents.
pub(crate) const OPENAPI: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json"));

/// `GET /health`: well is a server that may make offers.
pub(crate) async fn health(State(app): State<App>) -> Reply<Response> {
    if clock::now() > app.snapshot().plan.good_until {
        return Err(Refusal::stale());
    }
    json(&Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() })
}

/// `GET /v1/openapi.json`
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
