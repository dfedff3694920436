//! Requests: who asks, from where, and a body within its limits.

use crate::clock;
use crate::listen::Peer;
use crate::problem::{Refusal, Reply};
use crate::roster::Shared;
use crate::secret;
use crate::server::Server;
use axum::body::{Body, to_bytes};
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use protocols::json::{Message, decode, encode, sentence};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What every route is given.
pub(crate) type App = Arc<Server>;

/// A decoded body. It was never longer than its kind may be.
pub(crate) struct Decoded<M>(pub(crate) M);

impl<M: Message> FromRequest<App> for Decoded<M> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &App) -> Reply<Self> {
        let too_large = |_| {
            let text = format!("the {} has more than {} bytes", M::KIND, M::LIMIT);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text, "send less at once")
        };
        let bytes = to_bytes(request.into_body(), M::LIMIT).await.map_err(too_large)?;
        decode(&bytes).map(Self).map_err(|error| Refusal::wrong(&error))
    }
}

/// A message as an answer with status 200.
pub(crate) fn json<M: Message>(message: &M) -> Reply<Response> {
    let bytes = encode(message).map_err(|error| Refusal::broken(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response())
}

/// Where a request came from.
pub(crate) fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get().map_or(Ipv4Addr::UNSPECIFIED.into(), |Peer(address)| *address)
}

/// The secret of a request. Whoever sends a wrong one uses up the quota of
/// strangers, so that none can be guessed.
fn bearer(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn refuse(parts: &Parts, app: &App) -> Refusal {
    if app.quota.admits(peer(parts), clock::now()) {
        Refusal::stranger()
    } else {
        Refusal::too_often()
    }
}

/// What an address asks for behind its `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let read = extract::Query::from_request_parts(parts, app).await;
        read.map(|extract::Query(asked)| Self(asked)).map_err(|error| unreadable(&error))
    }
}

/// The names in an address.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let read = extract::Path::from_request_parts(parts, app).await;
        read.map(|extract::Path(named)| Self(named)).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &dyn Error) -> Refusal {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let text = format!("the address cannot be read: {cause}");
    Refusal::new(StatusCode::BAD_REQUEST, text, "compare it with /v1/openapi.json")
}

/// A terminal, known by its credential.
pub(crate) struct Device(pub(crate) Shared);

impl FromRequestParts<App> for Device {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let Some(digest) = bearer(parts).map(secret::digest) else {
            return Err(refuse(parts, app));
        };
        if let Some(holder) = app.roster.holder(digest) {
            return Ok(Self(holder));
        }
        let refusal = refuse(parts, app);
        // Another server may have let it in a moment ago. Strangers have a quota.
        if app.store.is_shared() && refusal.is_stranger() {
            app.learn_holder(digest).await?;
        }
        app.roster.holder(digest).map(Self).ok_or(refusal)
    }
}

/// An operator, known by the operator's token.
pub(crate) struct Operator {
    /// What its acts are recorded under.
    pub(crate) name: &'static str,
}

impl FromRequestParts<App> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let digest = bearer(parts).map(secret::digest);
        if digest == Some(app.operator) {
            // An operator sees what any server did; without the store, what this one knows.
            if app.store.is_shared()
                && let Err(error) = app.refresh(clock::now()).await
            {
                eprintln!("refit-server: {}", sentence(&error));
            }
            return Ok(Self { name: "operator" });
        }
        Err(refuse(parts, app))
    }
}

/// Who holds the operator's token and only looks: the store is not asked.
pub(crate) struct Observer;

impl FromRequestParts<App> for Observer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let known = bearer(parts).map(secret::digest) == Some(app.operator);
        if known { Ok(Self) } else { Err(refuse(parts, app)) }
    }
}

/// Anybody, as long as the address has quota left.
pub(crate) struct Stranger;

impl FromRequestParts<App> for Stranger {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        if app.quota.admits(peer(parts), clock::now()) {
            Ok(Self)
        } else {
            Err(Refusal::too_often())
        }
    }
}
