//! Enrolment tokens.

use crate::clock;
use crate::ledger::EnrolError;
use crate::problem::{Refusal, Reply};
use crate::wire::{App, Decoded, Operator, json};
use axum::extract::State;
use axum::response::Response;
use protocols::operator::{TokenList, TokenOrder};

/// `POST /api/v1/enrolment-tokens`
pub(crate) async fn make(
    State(app): State<App>,
    _: Operator,
    Decoded(order): Decoded<TokenOrder>,
) -> Reply<Response> {
    let now = clock::now();
    let expires = now.after(order.valid_seconds);
    let made = app.make_tokens(order.count, order.device.as_ref(), now, expires).await;
    let tokens = made.map_err(|error: EnrolError| Refusal::broken(&error))?;
    json(&TokenList { tokens, expires })
}
