//! Payload addresses: entries of packages, straight from the file, by range.

use super::body::{BlobBody, Reader};
use super::deltas::{Wish, deltas, named};
use super::range::{Part, part};
use crate::blobs::Blob;
use crate::catalogue::Published;
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
use bytes::Bytes;
use package::Deltas;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{AttemptId, Digest, Name, Timestamp};

/// What a payload address leads to.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) size: u64,
    /// The etag: the digest of what the bytes are taken from.
    pub(super) of: Digest,
    /// Who takes them, where that is known.
    pub(super) reader: Option<Reader>,
    /// How long others may keep them.
    pub(super) kept: &'static str,
}

/// Where the bytes come from.
pub(super) enum Source {
    /// From a place in a package, or from the start of a delta.
    Blob(Blob, u64),
    /// They were just made.
    Bytes(Bytes),
}

/// An attempt whose address is good.
pub(crate) struct Granted {
    pub(crate) attempt: AttemptId,
    pub(crate) rollout: Name,
    pub(crate) terminal: Shared,
    pub(super) published: Arc<Published>,
    pub(super) served: Arc<AtomicU64>,
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
    let granted = grant(&app, &ticket, now)?;
    lock(&granted.terminal).seen = Some(now);
    let mut found = find(&app, &granted, &entry, now).await?;
    let pass = app.download(&granted, found.size, now).await?;
    if let Some(reader) = &mut found.reader {
        reader.pass = pass;
    }
    serve(found, &headers).await
}

/// Answers with what of it the request wants.
pub(super) async fn serve(found: Found, headers: &HeaderMap) -> Reply<Response> {
    let tag = format!("\"{}\"", found.of);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_MATCH).is_some_and(|wanted| wanted != "*" && wanted != tag) {
        let advice = "ask without If-Match and start this entry anew";
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "the package changed", advice));
    }
    if text(header::IF_NONE_MATCH).is_some_and(|known| known == "*" || known == tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let fresh = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let range = text(header::RANGE).filter(|_| fresh);
    let part = part(range, found.size);
    respond(found, part, &tag).await
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

async fn respond(found: Found, part: Part, tag: &str) -> Reply<Response> {
    let Found { source, size, reader, kept, .. } = found;
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
    let body = match source {
        Source::Blob(blob, at) => {
            let mut body = BlobBody::new(blob, at + first, len, reader);
            body.begin().await.map_err(|error| unreadable(&error))?;
            Body::new(body)
        }
        Source::Bytes(bytes) => {
            if let Some(reader) = reader {
                reader.served.fetch_add(len, Ordering::Relaxed);
            }
            let bound = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
            Body::from(bytes.slice(bound(first)..bound(first + len)))
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, len)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, kept)
        .header(header::ETAG, tag);
    if let Some(range) = range {
        response = response.header(header::CONTENT_RANGE, range);
    }
    response.body(body).map_err(|error| Refusal::broken(&error))
}

/// Why nothing is sent. What is gone will not come back: a terminal takes the full
/// payload instead of a delta that another server let go.
fn unreadable(error: &std::io::Error) -> Refusal {
    match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::absent("such entry any more"),
        _ => Refusal::unreadable(error),
    }
}

/// What `entry` is under a good address.
async fn find(app: &Server, granted: &Granted, entry: &str, now: Timestamp) -> Reply<Found> {
    let Granted { published, served, terminal, .. } = granted;
    let found = |source, size, of| {
        let (terminal, served) = (terminal.clone(), Arc::clone(served));
        let reader = Reader { terminal, served, pass: None };
        Found { source, size, of, reader: Some(reader), kept: "no-store" }
    };
    if entry == Deltas::ENTRY {
        let wish = Wish::of(&lock(terminal));
        let deltas = deltas(app, published, &wish).await;
        let deltas = deltas.map_err(|error| unreadable(&error))?;
        // A terminal takes none for an empty list, and older ones expect that.
        if deltas.deltas.is_empty() {
            return Err(Refusal::absent("delta that this terminal could use"));
        }
        let bytes = serde_json::to_vec(&deltas).map_err(|error| Refusal::broken(&error))?;
        let (of, size) = (Digest::of(&bytes), u64::try_from(bytes.len()).unwrap_or(0));
        return Ok(found(Source::Bytes(bytes.into()), size, of));
    }
    if let Some(span) = published.span(entry) {
        let (size, of) = (span.size, published.package);
        let source = Source::Blob(app.blobs.get(of)?, span.at);
        return Ok(found(source, size, of));
    }
    let leads = |target| published.images.values().any(|image| *image == target);
    let absent = || Refusal::absent("such entry in the package");
    let kept = named(entry).and_then(|blob| app.shelf.kept(blob, leads));
    let (item, made) = kept.ok_or_else(absent)?;
    item.touch(now);
    // Another server may have let it go: the terminal takes the full payload.
    let blob = app.delta_blobs.get(made.blob).map_err(|_| absent())?;
    Ok(found(Source::Blob(blob, 0), made.size, made.blob))
}

/// The attempt that `ticket` is for, if it still stands.
fn grant(app: &Server, ticket: &str, now: Timestamp) -> Reply<Granted> {
    let attempt = claim(ticket).map(|claim| claim.attempt).ok_or_else(forged)?;
    let terminal = app.roster.of_attempt(attempt).ok_or_else(forged)?;
    let (manifest, rollout, served) = granted(app, &terminal, ticket, attempt, now)?;
    let published = app.catalogue.find(manifest).ok_or_else(withdrawn)?;
    Ok(Granted { attempt, rollout, terminal, published, served })
}

/// Checks the ticket. Returns the manifest it grants, its rollout, and where to count.
fn granted(
    app: &Server,
    terminal: &Shared,
    ticket: &str,
    attempt: AttemptId,
    now: Timestamp,
) -> Reply<(Digest, Name, Arc<AtomicU64>)> {
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
    Ok((manifest, tried.stored.rollout.clone(), Arc::clone(&tried.served)))
}

fn forged() -> Refusal {
    let text = "the address is not one of this server's";
    Refusal::new(StatusCode::FORBIDDEN, text, "send a heartbeat; its answer has an address")
}

fn withdrawn() -> Refusal {
    let text = "the attempt has ended or was withdrawn";
    Refusal::new(StatusCode::GONE, text, "give the attempt up and send a heartbeat")
}
