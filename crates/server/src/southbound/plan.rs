//! Static plans, and the packages that they offer: the same for everybody, so that
//! whatever stands in between may keep them.

use super::artifact::{Found, Source, serve};
use crate::plans::Press;
use crate::problem::{Refusal, Reply};
use crate::wire::App;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use types::{Digest, Name};

/// Entries never change: their address holds the digest of the manifest.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /v1/static/p/{product}/{file}`
pub(crate) async fn plan(
    State(app): State<App>,
    Path((product, file)): Path<(Name, String)>,
    headers: HeaderMap,
) -> Reply<Response> {
    let press = press(&app)?;
    let shelf = press.shelf();
    let leaf = shelf.leaf(&format!("p/{product}/{file}"));
    let leaf = leaf.ok_or_else(|| Refusal::absent("such plan"))?;
    let kept = format!("public, max-age={}", press.every().0);
    let head = [(header::ETAG, leaf.etag.clone()), (header::CACHE_CONTROL, kept)];
    let seen = headers.get(header::IF_NONE_MATCH).and_then(|seen| seen.to_str().ok());
    if seen.is_some_and(|seen| seen.split(',').any(|tag| tag.trim() == leaf.etag)) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((head, kind, Body::from(leaf.bytes.clone())).into_response())
}

/// `GET /v1/static/r/{manifest}/{entry}`
pub(crate) async fn entry(
    State(app): State<App>,
    Path((manifest, entry)): Path<(Digest, String)>,
    headers: HeaderMap,
) -> Reply<Response> {
    let absent = || Refusal::absent("such release in a plan");
    let offered = press(&app)?.shelf().offers(manifest);
    let published = app.catalogue.find(manifest).filter(|_| offered).ok_or_else(absent)?;
    let span = published.span(&entry);
    let span = span.ok_or_else(|| Refusal::absent("such entry in the package"))?;
    let (size, of) = (span.size, published.package);
    let source = Source::Blob(app.blobs.get(of)?, span.at);
    serve(Found { source, size, of, reader: None, kept: FOR_EVER }, &headers).await
}

fn press(app: &App) -> Reply<&Press> {
    let off = || {
        let text = "this server makes no static plans";
        let advice = "start it with --plan-seconds, or ask by heartbeat";
        Refusal::new(StatusCode::NOT_FOUND, text, advice)
    };
    app.plans.get().ok_or_else(off)
}
