//! Reports for other programs: CSV (RFC 4180) or one JSON object a line, page by page.

use crate::problem::{Refusal, Reply};
use crate::server::Server;
use crate::store::{HistoryEntry, Mark};
use crate::wire::{App, Operator, Query};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use types::{AttemptId, DeviceId, Name, Timestamp, Version};

/// Reports that are read for one answer.
const PAGE: u32 = 5000;
/// Where the next page begins.
const NEXT: HeaderName = HeaderName::from_static("refit-next");
/// The columns of CSV, and the fields of JSON.
const HEAD: &str = "received,device,rollout,attempt,source,version,outcome,sentence,detail,bytes,\
     seconds,failed_boots,full\r\n";

/// What is exported.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// In which form.
    #[serde(default)]
    format: Format,
    /// Behind this one, as the last page said.
    after: Option<String>,
    /// Of this rollout only.
    rollout: Option<Name>,
    /// With this outcome only.
    outcome: Option<u16>,
    /// Whose detail holds this text only.
    text: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Jsonl,
    Csv,
}

/// One line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    received: Timestamp,
    device: &'a DeviceId,
    rollout: Option<&'a Name>,
    attempt: AttemptId,
    source: &'a Name,
    version: Option<&'a Version>,
    outcome: u16,
    sentence: &'static str,
    detail: &'a str,
    bytes: u64,
    seconds: u32,
    failed_boots: u32,
    /// Bytes of its release's full payloads; 0 where the release is not known.
    full: u64,
}

/// `GET /api/v1/export/reports`
pub(crate) async fn reports(
    State(app): State<App>,
    _: Operator,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let mark = wanted.after.as_deref().map(read_mark).transpose()?;
    let entries = app.store.begin().await?.history(mark.as_ref(), PAGE).await?;
    let full = entries.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| full).map(|entry| written_mark(&mark_of(entry)));
    let first = mark.is_none();
    let mut out = String::from(if wanted.format == Format::Csv && first { HEAD } else { "" });
    for entry in entries.iter().filter(|entry| wanted.wants(entry)) {
        match wanted.format {
            Format::Csv => csv(&mut out, &line(entry, full_bytes(&app, entry))),
            Format::Jsonl => {
                let text = serde_json::to_string(&line(entry, full_bytes(&app, entry)));
                out += &text.map_err(|error| Refusal::broken(&error))?;
                out.push('\n');
            }
        }
    }
    Ok(next_page(wanted.format, out, next))
}

/// A page, and where the next one begins.
pub(super) fn next_page(format: Format, out: String, next: Option<String>) -> Response {
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Jsonl => "application/jsonl",
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], Body::from(out)).into_response();
    if let Some(Ok(next)) = next.map(|next| next.parse()) {
        response.headers_mut().insert(NEXT, next);
    }
    response
}

impl Wanted {
    fn wants(&self, entry: &HistoryEntry) -> bool {
        let report = &entry.report;
        self.rollout.as_ref().is_none_or(|rollout| entry.rollout.as_ref() == Some(rollout))
            && self.outcome.is_none_or(|outcome| report.outcome.code() == outcome)
            && self.text.as_ref().is_none_or(|text| report.detail.as_str().contains(text))
    }
}

/// Bytes of the full payloads of the release that a report is about.
fn full_bytes(app: &Server, entry: &HistoryEntry) -> u64 {
    let snapshot = app.snapshot();
    let course = entry.rollout.as_ref().and_then(|rollout| snapshot.courses.get(rollout));
    let published = course.and_then(|c| app.catalogue.find(c.rollout.release.manifest));
    published.map_or(0, |published| published.full_bytes(None))
}

fn line(entry: &HistoryEntry, full: u64) -> Line<'_> {
    let report = &entry.report;
    Line {
        received: entry.received,
        device: &entry.device,
        rollout: entry.rollout.as_ref(),
        attempt: report.attempt,
        source: &report.source,
        version: report.version.as_ref(),
        outcome: report.outcome.code(),
        sentence: report.outcome.sentence(),
        detail: report.detail.as_str(),
        bytes: report.spent.bytes,
        seconds: report.spent.seconds.0,
        failed_boots: report.failed_boots.into(),
        full,
    }
}

fn csv(out: &mut String, line: &Line<'_>) {
    let name = |name: Option<&Name>| name.map_or(String::new(), ToString::to_string);
    let texts = [
        line.received.to_string(),
        line.device.to_string(),
        name(line.rollout),
        line.attempt.to_string(),
        line.source.to_string(),
        name(line.version),
        line.outcome.to_string(),
        line.sentence.into(),
        harmless(line.detail),
    ];
    for text in texts {
        *out += &quoted(&text);
        out.push(',');
    }
    // Writing to a string does not fail.
    let Line { bytes, seconds, failed_boots, full, .. } = line;
    let _ = write!(out, "{bytes},{seconds},{failed_boots},{full}\r\n");
}

/// A text of a terminal that no spreadsheet takes for a formula.
pub(super) fn harmless(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.into() }
}

/// A field of RFC 4180.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

fn mark_of(entry: &HistoryEntry) -> Mark {
    let (received, device) = (entry.received, entry.device.clone());
    Mark { received, device, attempt: entry.report.attempt }
}

pub(super) fn written_mark(mark: &Mark) -> String {
    format!("{}/{}/{}", mark.received.0, mark.attempt, mark.device)
}

pub(super) fn read_mark(text: &str) -> Reply<Mark> {
    let mut parts = text.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (received, attempt, device) = (next().parse(), next().parse(), next().parse());
    match (received, attempt, device) {
        (Ok(received), Ok(attempt), Ok(device)) => {
            Ok(Mark { received: Timestamp(received), device, attempt })
        }
        _ => {
            let advice = "send what the last page said of the next one";
            let text = "`after` names nothing that was said before";
            Err(Refusal::new(StatusCode::BAD_REQUEST, text, advice))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Outcome, Report, Seconds, Spent};

    fn entry(detail: &str) -> HistoryEntry {
        let device: DeviceId = "cpe:1".parse().unwrap();
        let attempt = AttemptId::new("spring", &device, 0);
        let report = Report {
            attempt,
            source: "operator".parse().unwrap(),
            outcome: Outcome::BootFailed,
            detail: detail.into(),
            version: None,
            spent: Spent { bytes: 7, seconds: Seconds(9) },
            failed_boots: 3,
        };
        HistoryEntry { received: Timestamp(1000), device, rollout: None, report }
    }

    #[test]
    fn a_line_of_csv_is_harmless_in_a_spreadsheet() {
        let check = |detail: &str, field: &str| {
            let mut out = String::new();
            csv(&mut out, &line(&entry(detail), 80));
            assert!(out.ends_with(&format!(",{field},7,9,3,80\r\n")), "{out}");
            assert!(out.starts_with("1970-01-01T00:00:01Z,cpe:1,,"), "{out}");
        };
        check("plain", "plain");
        check("a,b \"c\"", "\"a,b \"\"c\"\"\"");
        check("=cmd()", "'=cmd()");
        check("-1,2", "\"'-1,2\"");
    }

    #[test]
    fn a_mark_finds_its_report_again() {
        let entry = entry("");
        let mark = read_mark(&written_mark(&mark_of(&entry))).unwrap();
        assert_eq!((mark.received, &mark.device), (entry.received, &entry.device));
        assert_eq!(mark.attempt, entry.report.attempt);
        for bad in ["", "1", "1/2/3", "x/y/z"] {
            assert!(read_mark(bad).is_err(), "{bad}");
        }
    }
}
