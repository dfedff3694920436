//! Payload addresses: entries of packages, straight from the file, by range.

use super::body::{BlobBody, Reader};
use super::range::{Part, part};
use crate::catalogue::Span;
use crate::clock;
use crate::listen::Peer;
use crate::problem::{Refusal, Reply};
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::ticket::{Grant, claim};
use crate::wire::App;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use types::{AttemptId, Digest, Timestamp};

/// What a payload address leads to.
struct Found {
    package: Digest,
    span: Span,
    served: Arc<AtomicU64>,
    terminal: Shared,
}

/// `GET /v1/a/{ticket}/{entry}`
pub(crate) async fn artifact(
    State(app): State<App>,
    Path((ticket, entry)): Path<(String, String)>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
) -> Reply<Response> {
    let now = clock::now();
    learn(&app, &ticket, address, now).await?;
    let found = find(&app, &ticket, &entry, now)?;
    lock(&found.terminal).seen = Some(now);
    let tag = format!("\"{}\"", found.package);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_MATCH).is_some_and(|wanted| wanted != "*" && wanted != tag) {
        let advice = "ask without If-Match and start this entry anew";
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "the package changed", advice));
    }
    let fresh = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let range = text(header::RANGE).filter(|_| fresh);
    Ok(respond(&app, &found, part(range, found.span.size), &tag)?)
}

/// Looks for an attempt that another server may have offered. Whoever makes up
/// addresses uses up the quota of strangers.
async fn learn(app: &Server, ticket: &str, from: IpAddr, now: Timestamp) -> Reply<()> {
    let Some(claim) = claim(ticket).filter(|_| app.store.is_shared()) else { return Ok(()) };
    if app.roster.of_attempt(claim.attempt).is_some() {
        return Ok(());
    }
    if !app.quota.admits(from, now) {
        return Err(Refusal::too_often());
    }
    Ok(app.learn_attempt(claim.attempt).await?)
}

fn respond(app: &Server, found: &Found, part: Part, tag: &str) -> std::io::Result<Response> {
    let size = found.span.size;
    let (status, first, len, range) = match part {
        Part::Whole => (StatusCode::OK, 0, size, None),
        Part::Some { first, last } => {
            let range = format!("bytes {first}-{last}/{size}");
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1, Some(range))
        }
        Part::None => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let blob = app.blobs.get(found.package)?;
    let reader = Reader { terminal: found.terminal.clone(), served: Arc::clone(&found.served) };
    let body = BlobBody::new(blob, found.span.at + first, len, reader);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, len)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::ETAG, tag);
    if let Some(range) = range {
        response = response.header(header::CONTENT_RANGE, range);
    }
    response.body(Body::new(body)).map_err(std::io::Error::other)
}

/// What `ticket` and `entry` lead to, if the attempt still stands.
fn find(app: &Server, ticket: &str, entry: &str, now: Timestamp) -> Reply<Found> {
    let attempt = claim(ticket).map(|claim| claim.attempt).ok_or_else(forged)?;
    let terminal = app.roster.of_attempt(attempt).ok_or_else(forged)?;
    let (manifest, served) = granted(app, &terminal, ticket, attempt, now)?;
    let published = app.catalogue.find(manifest).ok_or_else(withdrawn)?;
    let span = published.span(entry).ok_or_else(|| Refusal::absent("such entry in the package"))?;
    Ok(Found { package: published.package, span: span.clone(), served, terminal: terminal.clone() })
}

/// Checks the ticket. Returns the manifest it grants, and where to count.
fn granted(
    app: &Server,
    terminal: &Shared,
    ticket: &str,
    attempt: AttemptId,
    now: Timestamp,
) -> Reply<(Digest, Arc<AtomicU64>)> {
    let locked = lock(terminal);
    let tried = locked.tried(attempt).ok_or_else(forged)?;
    let (device, manifest) = (&locked.stored.device, tried.manifest);
    let checked = app.tickets.check(ticket, &Grant { attempt, device, manifest }, now);
    checked.map_err(|error| {
        let advice = "send a heartbeat; its answer has a fresh address";
        Refusal::new(StatusCode::FORBIDDEN, error.to_string(), advice)
    })?;
    let halted = app
        .snapshot()
        .courses
        .get(&tried.stored.rollout)
        .is_none_or(|course| course.rollout.state == fleet::operator::State::Halted);
    if halted || !tried.stored.standing.is_open() {
        return Err(withdrawn());
    }
    Ok((manifest, Arc::clone(&tried.served)))
}

fn forged() -> Refusal {
    let text = "the address is not one of this server's";
    Refusal::new(StatusCode::FORBIDDEN, text, "send a heartbeat; its answer has an address")
}

fn withdrawn() -> Refusal {
    let text = "the attempt has ended or was withdrawn";
    Refusal::new(StatusCode::GONE, text, "give the attempt up and send a heartbeat")
}
