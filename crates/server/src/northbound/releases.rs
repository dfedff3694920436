//! Releases and the maker's keys.

use super::convert::release_view;
use super::order::resolved;
use crate::catalogue::Published;
use crate::clock;
use crate::ledger::PublishError;
use crate::problem::{Refusal, Reply};
use crate::secret;
use crate::wire::{App, Decoded, Operator, Path, json};
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::examine::ExamineError;
use http_body_util::BodyExt as _;
use protocols::json::sentence;
use protocols::operator::{NeedsOrder, Reason, ReleaseList, Stopped};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::time::timeout;
use trust::Root;
use types::{Digest, Sealed};

/// The most bytes of the maker's keys.
const ROOT_LIMIT: usize = 512 << 10;
/// Bytes that are written at once.
const PIECE: usize = 1 << 20;
/// How long the next bytes of an upload may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// `GET /api/v1/releases`
pub(crate) async fn list(State(app): State<App>, _: Operator) -> Reply<Response> {
    let releases = app.catalogue.all().iter().map(|published| release_view(published)).collect();
    json(&ReleaseList { releases })
}

/// `POST /api/v1/releases`: the body is the package.
pub(crate) async fn publish(State(app): State<App>, _: Operator, body: Body) -> Reply<Response> {
    if app.root().is_none() {
        return Err(refusal(&PublishError::NoRoot));
    }
    let upload = app.blobs.upload(&secret::id("u")?)?;
    let file = tokio::fs::File::from_std(upload.file.try_clone()?);
    receive(body, file, app.settings.package_limit).await?;
    let published = app.publish(upload, clock::now()).await.map_err(|error| refusal(&error))?;
    json(&release_view(&published))
}

/// Writes a body to a file, piece by piece.
async fn receive(mut body: Body, file: tokio::fs::File, limit: u64) -> Reply<()> {
    let mut file = BufWriter::with_capacity(PIECE, file);
    let mut received = 0;
    loop {
        let frame = timeout(PATIENCE, body.frame()).await.map_err(|_| broken_off())?;
        let Some(frame) = frame else { break };
        let Ok(bytes) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        received += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if received > limit {
            let text = format!("the package has more than {limit} bytes");
            let advice = "raise the server's --package-limit";
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text, advice));
        }
        file.write_all(&bytes).await?;
    }
    Ok(file.flush().await?)
}

fn broken_off() -> Refusal {
    let text = "the upload broke off";
    Refusal::new(StatusCode::BAD_REQUEST, text, "publish the package again")
}

fn refusal(error: &PublishError) -> Refusal {
    match error {
        PublishError::NoRoot => {
            let advice = "give the server the maker's root.json: refit trust root.json, or --root";
            Refusal::conflict(error.to_string(), advice)
        }
        PublishError::Refused(ExamineError::Refused(refused)) => {
            let text = format!("the package is refused: {refused} ({})", refused.outcome.code());
            let advice = "check it: refit verify update.zip --root root.json";
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text, advice)
        }
        PublishError::Taken(_) => Refusal::conflict(
            error.to_string(),
            "give the release another version and pack it again",
        ),
        PublishError::Refused(ExamineError::Source(_))
        | PublishError::Io(_)
        | PublishError::Store(_) => Refusal::broken(error),
    }
}

/// `PUT /api/v1/root`: the maker's keys, once. Replacing them is done on the
/// server's machine, so that a stolen operator's token cannot do it.
pub(crate) async fn put_root(State(app): State<App>, _: Operator, body: Body) -> Reply<StatusCode> {
    let too_large = |_| {
        let text = format!("a root has at most {ROOT_LIMIT} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text, "send the maker's root.json")
    };
    let bytes = to_bytes(body, ROOT_LIMIT).await.map_err(too_large)?;
    let root = Root::open(&Sealed::from(&bytes[..])).map_err(|error| {
        let advice = "send the maker's root.json, as refit keygen made it";
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, sentence(&error), advice)
    })?;
    if app.keep_root(&bytes, root).await.map_err(|error| Refusal::broken(&error))? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let advice = "start the server with --root to exchange them";
    Err(Refusal::conflict("the server has other maker's keys already", advice))
}

fn find(app: &crate::server::Server, manifest: Digest) -> Reply<Arc<Published>> {
    let absent = || Refusal::absent(&format!("release {manifest}"));
    app.catalogue.find(manifest).ok_or_else(absent)
}

/// `POST /api/v1/releases/{manifest}/needs`
pub(crate) async fn needs(
    State(app): State<App>,
    _: Operator,
    Path(manifest): Path<Digest>,
    Decoded(order): Decoded<NeedsOrder>,
) -> Reply<Response> {
    find(&app, manifest)?;
    let needs = match &order.needs {
        None => None,
        Some(text) => Some(resolved(&app, text).await?),
    };
    app.set_needs(manifest, needs.as_ref(), clock::now()).await?;
    json(&release_view(&*find(&app, manifest)?))
}

/// `POST /api/v1/releases/{manifest}/withdraw`: its rollouts halt, for good.
pub(crate) async fn withdraw(
    State(app): State<App>,
    operator: Operator,
    Path(manifest): Path<Digest>,
    Decoded(reason): Decoded<Reason>,
) -> Reply<Response> {
    find(&app, manifest)?;
    let rollouts = app.withdraw(manifest, operator.name, &reason.why, clock::now()).await?;
    json(&Stopped { rollouts })
}
