//! What terminals told of their attempts: searched, shown and exported.

use super::export::{Format, harmless, next_page, quoted, read_mark, written_mark};
use crate::problem::{Refusal, Reply};
use crate::server::Server;
use crate::store::{Found, LogQuery, Sight, StoredLog};
use crate::wire::{App, Operator, Query, json};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocols::operator::{LogList, LogView};
use serde::Deserialize;
use types::{AttemptId, DeviceId, Name, Outcome, Version};

/// How far one answer looks: the store is held for some milliseconds.
const SIGHT: Sight = Sight { window: 2000, most: 200 };
/// The longest text that is looked for, in bytes.
const TEXT_LIMIT: usize = 200;
/// The columns of CSV; each line of a log is a row.
const HEAD: &str = "received,device,rollout,attempt,version,outcome,at,phase,text\r\n";

/// Which logs are asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    rollout: Option<Name>,
    device: Option<DeviceId>,
    attempt: Option<AttemptId>,
    release: Option<Version>,
    outcome: Option<u16>,
    text: Option<String>,
    /// Older than this one, as the last answer said.
    after: Option<String>,
    /// At most so many.
    limit: Option<u32>,
    /// For exports only.
    #[serde(default)]
    format: Format,
}

impl Wanted {
    fn query(self) -> Reply<LogQuery> {
        if self.text.as_ref().is_some_and(|text| text.len() > TEXT_LIMIT) {
            let text = format!("`text` has more than {TEXT_LIMIT} bytes");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, text, "look for a part of it"));
        }
        Ok(LogQuery {
            rollout: self.rollout,
            device: self.device,
            attempt: self.attempt,
            version: self.release,
            outcome: self.outcome,
            // No line has one, and PostgreSQL refuses it.
            text: self.text.map(|text| text.replace('\0', "\u{FFFD}")),
            after: self.after.as_deref().map(read_mark).transpose()?,
        })
    }
}

async fn find(app: &Server, wanted: Wanted) -> Reply<Found> {
    let most = wanted.limit.unwrap_or(SIGHT.most).clamp(1, SIGHT.most);
    let asked = wanted.query()?;
    Ok(app.store.begin().await?.find_logs(&asked, Sight { most, ..SIGHT }).await?)
}

/// `GET /api/v1/logs`
pub(crate) async fn list(
    State(app): State<App>,
    _: Operator,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let found = find(&app, wanted).await?;
    let next = found.next.as_ref().map(written_mark);
    json(&LogList { logs: found.logs.into_iter().map(view).collect(), next })
}

/// `GET /api/v1/export/logs`
pub(crate) async fn export(
    State(app): State<App>,
    _: Operator,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let (format, first) = (wanted.format, wanted.after.is_none());
    let found = find(&app, wanted).await?;
    let mut out = String::from(if format == Format::Csv && first { HEAD } else { "" });
    for log in found.logs {
        match format {
            Format::Csv => csv(&mut out, &log),
            Format::Jsonl => {
                let text = serde_json::to_string(&view(log));
                out += &text.map_err(|error| Refusal::broken(&error))?;
                out.push('\n');
            }
        }
    }
    Ok(next_page(format, out, found.next.as_ref().map(written_mark)))
}

/// A log as it is shown.
pub(super) fn view(log: StoredLog) -> LogView {
    let known = Outcome::from_code(log.outcome);
    LogView {
        received: log.received,
        device: log.device,
        attempt: log.attempt,
        rollout: log.rollout,
        version: log.version,
        outcome: log.outcome,
        sentence: known.map_or("an outcome of a newer agent", Outcome::sentence).into(),
        lines: log.lines,
    }
}

fn csv(out: &mut String, log: &StoredLog) {
    let name = |name: Option<&Name>| name.map_or(String::new(), ToString::to_string);
    for line in &log.lines {
        let fields = [
            log.received.to_string(),
            log.device.to_string(),
            name(log.rollout.as_ref()),
            log.attempt.to_string(),
            name(log.version.as_ref()),
            log.outcome.to_string(),
            line.at.map_or(String::new(), |at| at.to_string()),
            line.phase.clone(),
            harmless(line.text.as_str()),
        ];
        let fields = fields.map(|field| quoted(&field));
        *out += &fields.join(",");
        *out += "\r\n";
    }
}
