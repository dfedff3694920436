//! What goes wrong, as an answer: a status, what was wrong, and what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocols::json::sentence;
use protocols::native::Problem;
use std::error::Error;

/// After how many seconds a terminal asks again that found the server busy: by then a
/// full queue is written, and those that wait come back as they were spread before.
const BUSY: u32 = 2;

/// After how many seconds a terminal asks again whose package cannot be read.
const AWAY: u32 = 5;

/// The answer to a request that is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    problem: Problem,
    retry_after: Option<u32>,
}

/// What every route returns.
pub(crate) type Reply<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal with its status and two sentences.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>, what_to_do: &str) -> Self {
        let problem = Problem { error: error.into(), what_to_do: what_to_do.into() };
        Self { status, problem, retry_after: None }
    }

    /// The request cannot be understood.
    pub(crate) fn wrong(error: &dyn Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence(error), "compare it with /v1/openapi.json")
    }

    /// The server itself is at fault. The cause goes to its log, not to strangers.
    pub(crate) fn broken(error: &dyn Error) -> Self {
        eprintln!("refit-server: {}", sentence(error));
        let text = "the server could not do it";
        let advice = "try again; if it stays so, read the server's log";
        Self { retry_after: Some(5), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, text, advice) }
    }

    /// Nobody, or somebody unknown, asks.
    pub(crate) fn stranger() -> Self {
        let advice = "send `Authorization: Bearer` with the credential from enrolment or the \
                      operator's token";
        Self::new(StatusCode::UNAUTHORIZED, "the request proves nobody's identity", advice)
    }

    /// Whether it is for somebody unknown who did not ask too often.
    pub(crate) fn is_stranger(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// There is no such thing.
    pub(crate) fn absent(what: &str) -> Self {
        let error = format!("there is no {what}");
        Self::new(StatusCode::NOT_FOUND, error, "list what there is and use a name from there")
    }

    /// It does not fit what is there.
    pub(crate) fn conflict(error: impl Into<String>, what_to_do: &str) -> Self {
        Self::new(StatusCode::CONFLICT, error, what_to_do)
    }

    /// Somebody asks too often.
    pub(crate) fn too_often() -> Self {
        let text = "too many requests come from this address";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, text, "wait a minute");
        Self { retry_after: Some(60), ..refusal }
    }

    /// More is said at once than can be written.
    pub(crate) fn busy() -> Self {
        let text = "more terminals report at once than the server can write down";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask again");
        Self { retry_after: Some(BUSY), ..refusal }
    }

    /// As many download as may; there may be room at `again`.
    pub(crate) fn held(rollout: &types::Name, again: types::Seconds) -> Self {
        let text = format!(
            "as many terminals download in rollout {rollout}, in all or at this terminal's site, \
             as may"
        );
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask again then");
        Self { retry_after: Some(again.0), ..refusal }
    }

    /// The bytes of a package cannot be read at present.
    pub(crate) fn unreadable(error: &std::io::Error) -> Self {
        eprintln!("refit-server: a package cannot be read: {}", sentence(error));
        let text = "the store of packages does not answer this server";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask again, from there on");
        Self { retry_after: Some(AWAY), ..refusal }
    }

    /// The server does not know at present.
    pub(crate) fn stale() -> Self {
        let text = "the server's plan is not fresh enough to decide";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask again");
        Self { retry_after: Some(5), ..refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

macro_rules! broken {
    ($($error:ty),*) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::broken(&error)
            }
        })*
    };
}

broken!(crate::secret::NoRandom, std::io::Error);

impl From<crate::store::StoreError> for Refusal {
    fn from(error: crate::store::StoreError) -> Self {
        if matches!(error, crate::store::StoreError::Busy) {
            return Self::busy();
        }
        if !error.is_away() {
            return Self::broken(&error);
        }
        // Said once a second by whoever tries to reach it; not by everybody who asks.
        let text = "the server cannot reach its database";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask again");
        Self { retry_after: Some(5), ..refusal }
    }
}
