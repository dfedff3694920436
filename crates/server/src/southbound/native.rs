//! The native device protocol's routes.

use super::answer::{Decision, decide};
use crate::clock;
use crate::ledger::EnrolError;
use crate::northbound::metrics::Counters;
use crate::problem::{Refusal, Reply};
use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::wire::{App, Decoded, Device, Stranger, json};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocols::native::{
    Accepted, Answer, AttemptLog, Enrol, Enrolled, Heartbeat, Phase, Progress, Reports,
};
use types::Timestamp;

/// How often a heartbeat is decided anew because the last decision had to be
/// written first: give up the old, start the new, answer.
const ROUNDS: usize = 3;

/// `POST /v1/enrol`
pub(crate) async fn enrol(
    State(app): State<App>,
    _: Stranger,
    Decoded(asked): Decoded<Enrol>,
) -> Reply<Response> {
    let credential = app.enrol(&asked, clock::now()).await.map_err(|error| match error {
        EnrolError::Token => {
            let advice = "get a new token: refit enrol-token";
            Refusal::new(StatusCode::FORBIDDEN, error.to_string(), advice)
        }
        EnrolError::Taken(_) => Refusal::conflict(
            error.to_string(),
            "use another name, or a token for this terminal: refit enrol-token --device NAME",
        ),
        EnrolError::Store(_) | EnrolError::Random(_) => Refusal::broken(&error),
    })?;
    json(&Enrolled { credential, poll_seconds: 1 })
}

/// `POST /v1/heartbeat`
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Device(terminal): Device,
    Decoded(heartbeat): Decoded<Heartbeat>,
) -> Reply<Response> {
    own_name(&terminal, &heartbeat)?;
    let answer = news(&app, &terminal, &heartbeat, clock::now()).await?;
    Counters::more(&app.counters.heartbeats, 1);
    match answer {
        None => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(answer) => json(&answer),
    }
}

fn own_name(terminal: &Shared, heartbeat: &Heartbeat) -> Reply<()> {
    if lock(terminal).stored.device == heartbeat.device {
        return Ok(());
    }
    let text = "the credential is another terminal's";
    Err(Refusal::new(StatusCode::FORBIDDEN, text, "enrol this terminal with a token of its own"))
}

/// What there is to say to a heartbeat; nothing, if the terminal knows it already.
pub(crate) async fn news(
    app: &Server,
    terminal: &Shared,
    heartbeat: &Heartbeat,
    now: Timestamp,
) -> Reply<Option<Answer>> {
    app.hear(terminal, heartbeat, now).await?;
    for _ in 0..ROUNDS {
        match decide(app, terminal, heartbeat, now) {
            Decision::Stale => return Err(Refusal::stale()),
            Decision::Start(rollout) => {
                // Without room after all, the next round says so.
                app.admit(terminal, &rollout, now).await?;
            }
            Decision::Withdraw(attempt, answer) => {
                if heartbeat.attempt.is_some() || heartbeat.phase != Phase::Idle {
                    return Ok(unseen(answer, heartbeat));
                }
                app.give_up(terminal, attempt, now).await?;
            }
            Decision::Say(answer) => return Ok(unseen(answer, heartbeat)),
        }
    }
    // Others were quicker each time; the terminal asks again.
    Err(Refusal::stale())
}

fn unseen(answer: Box<Answer>, heartbeat: &Heartbeat) -> Option<Answer> {
    (heartbeat.seen.as_deref() != Some(answer.etag.as_str())).then_some(*answer)
}

/// `POST /v1/reports`
pub(crate) async fn reports(
    State(app): State<App>,
    Device(terminal): Device,
    Decoded(reports): Decoded<Reports>,
) -> Reply<Response> {
    let accepted = app.file(&terminal, &reports.reports, clock::now()).await?;
    json(&Accepted { accepted, logs: app.wanted_logs(&reports.reports) })
}

/// `POST /v1/logs`
pub(crate) async fn logs(
    State(app): State<App>,
    Device(terminal): Device,
    Decoded(log): Decoded<AttemptLog>,
) -> Reply<Response> {
    let attempt = log.attempt;
    app.keep_log(&terminal, log, clock::now()).await?;
    json(&Accepted { accepted: vec![attempt], logs: Vec::new() })
}

/// `POST /v1/progress`
pub(crate) async fn progress(
    State(app): State<App>,
    Device(terminal): Device,
    Decoded(progress): Decoded<Progress>,
) -> StatusCode {
    app.note_progress(&terminal, progress, clock::now());
    StatusCode::NO_CONTENT
}
