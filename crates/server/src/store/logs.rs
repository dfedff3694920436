//! What terminals tell of their attempts: kept, found again, and removed.
//!
//! A search looks through a bounded number of logs at once and says from where to go on,
//! so that it never holds the store for long, whatever is asked and however many there
//! are. The newest come first.

use super::bulk::insert;
use super::rows::{json, parsed, time, to_json, unsigned};
use super::statement::{Row, Statement, Value, query};
use super::{Mark, Stored, Tx};
use protocols::native::LogLine;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use types::{AttemptId, DeviceId, Name, Report, Timestamp};

/// The most logs of one terminal; the oldest go.
const PER_DEVICE: i64 = 16;

/// The log of one attempt as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredLog {
    pub(crate) device: DeviceId,
    pub(crate) attempt: AttemptId,
    pub(crate) received: Timestamp,
    /// In which rollout, if it was offered by this server's fleet.
    pub(crate) rollout: Option<Name>,
    /// The version that was ordered, where it became known.
    pub(crate) version: Option<Name>,
    /// The number of the attempt's outcome.
    pub(crate) outcome: u16,
    pub(crate) lines: Vec<LogLine>,
}

/// Which logs are looked for; what is absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LogQuery {
    pub(crate) rollout: Option<Name>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) version: Option<Name>,
    pub(crate) outcome: Option<u16>,
    /// A text in one of its lines, in small or capital letters.
    pub(crate) text: Option<String>,
    /// Older than this one.
    pub(crate) after: Option<Mark>,
}

/// How far one look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Through so many logs.
    pub(crate) window: u32,
    /// Up to so many that fit.
    pub(crate) most: u32,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Newest first.
    pub(crate) logs: Vec<StoredLog>,
    /// From where to go on, if there may be more.
    pub(crate) next: Option<Mark>,
}

const PUT: &str = "INSERT INTO attempt_logs (device, attempt, received, rollout, version, outcome, \
     lines, folded)";
const CROWD: &str = "DELETE FROM attempt_logs WHERE device = $1 AND attempt NOT IN \
     (SELECT attempt FROM attempt_logs WHERE device = $1 ORDER BY received DESC, attempt LIMIT $2)";
const OLD: &str = "DELETE FROM attempt_logs WHERE (device, attempt) IN \
     (SELECT device, attempt FROM attempt_logs WHERE received < $1 LIMIT $2)";
const ORDER: &str = "ORDER BY received DESC, device DESC, attempt DESC";
const COLUMNS: &str = "device, attempt, received, rollout, version, outcome, lines, folded";

impl Tx {
    /// Keeps logs, of each attempt the first. A terminal that has too many loses its oldest.
    pub(crate) async fn put_logs(&mut self, logs: &[StoredLog]) -> Stored<()> {
        let rows: Stored<Vec<_>> = logs.iter().map(values).collect();
        for statement in insert(PUT, &rows?, "ON CONFLICT (device, attempt) DO NOTHING") {
            self.run(statement).await?;
        }
        for log in logs {
            self.run(query(CROWD).bind(log.device.as_str()).bind(PER_DEVICE)).await?;
        }
        Ok(())
    }

    /// The reports of these attempts, as far as they are kept.
    pub(crate) async fn reports_of(
        &mut self,
        attempts: &[(DeviceId, AttemptId)],
    ) -> Stored<BTreeMap<(DeviceId, AttemptId), Report>> {
        let row = |(device, attempt): &(DeviceId, AttemptId)| -> Vec<Value> {
            vec![device.as_str().into(), attempt.to_string().into()]
        };
        let rows: Vec<_> = attempts.iter().map(row).collect();
        let head = "SELECT device, report FROM reports WHERE (device, attempt) IN (";
        let mut reports = BTreeMap::new();
        for statement in insert(head, &rows, ")") {
            for row in self.all(statement).await? {
                let report: Report = json(&row, "report", "report")?;
                reports.insert((parsed(&row, "device", "report")?, report.attempt), report);
            }
        }
        Ok(reports)
    }

    /// Looks through the next logs for those that are asked for.
    pub(crate) async fn find_logs(&mut self, asked: &LogQuery, sight: Sight) -> Stored<Found> {
        let mut edge = Asking::default();
        let text = edge.window(asked, 1, sight.window.saturating_sub(1));
        let rows = self.all(edge.statement(text)).await?;
        let edge = rows.first().map(mark).transpose()?;
        let mut asking = Asking::default();
        let window = asking.window(asked, sight.window, 0);
        let holds = asking.holds(asked);
        let most = asking.value(i64::from(sight.most));
        let text = format!("SELECT * FROM ({window}) AS w WHERE {holds} {ORDER} LIMIT {most}");
        let rows = self.all(asking.statement(text)).await?;
        let logs: Vec<StoredLog> = rows.iter().map(log).collect::<Stored<_>>()?;
        let full = logs.len() == usize::try_from(sight.most).unwrap_or(usize::MAX);
        let next = if full { rows.last().map(mark).transpose()? } else { edge };
        Ok(Found { logs, next })
    }

    /// Removes at most `limit` logs that are older than `before`. Returns how many.
    pub(crate) async fn forget_logs(&mut self, before: Timestamp, limit: u32) -> Stored<u64> {
        self.run(query(OLD).bind(before).bind(i64::from(limit))).await
    }
}

/// A question in the making. Nothing that anybody wrote gets into its text.
#[derive(Default)]
struct Asking(Vec<Value>);

impl Asking {
    /// Adds a parameter. Returns how it is written.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    /// The logs that are looked through: what an index finds, newest first.
    fn window(&mut self, asked: &LogQuery, most: u32, skip: u32) -> String {
        let mut parts = vec!["1 = 1".to_owned()];
        if let Some(device) = &asked.device {
            parts.push(format!("device = {}", self.value(device.as_str())));
        }
        if let Some(attempt) = &asked.attempt {
            parts.push(format!("attempt = {}", self.value(attempt.to_string())));
        }
        if let Some(rollout) = &asked.rollout {
            parts.push(format!("rollout = {}", self.value(rollout.as_str())));
        }
        if let Some(mark) = &asked.after {
            let (at, device) = (self.value(mark.received), self.value(mark.device.as_str()));
            let attempt = self.value(mark.attempt.to_string());
            parts.push(format!("(received, device, attempt) < ({at}, {device}, {attempt})"));
        }
        let (most, skip) = (self.value(i64::from(most)), self.value(i64::from(skip)));
        let holds = parts.join(" AND ");
        format!(
            "SELECT {COLUMNS} FROM attempt_logs WHERE {holds} {ORDER} LIMIT {most} OFFSET {skip}"
        )
    }

    /// What else has to hold.
    fn holds(&mut self, asked: &LogQuery) -> String {
        let mut parts = vec!["1 = 1".to_owned()];
        if let Some(version) = &asked.version {
            parts.push(format!("version = {}", self.value(version.as_str())));
        }
        if let Some(outcome) = asked.outcome {
            parts.push(format!("outcome = {}", self.value(i64::from(outcome))));
        }
        if let Some(text) = &asked.text {
            let pattern = self.value(format!("%{}%", escaped(&text.to_lowercase())));
            parts.push(format!("folded LIKE {pattern} ESCAPE '!'"));
        }
        parts.join(" AND ")
    }

    fn statement(self, text: String) -> Statement {
        self.0
            .into_iter()
            .fold(query(AssertSqlSafe(text)), |statement, value| statement.bind(value))
    }
}

/// A text in which nothing stands for anything else in a pattern.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
    }
    out
}

fn values(log: &StoredLog) -> Stored<Vec<Value>> {
    let name = |name: &Option<Name>| name.as_ref().map_or("", Name::as_str).to_owned();
    let words: Vec<&str> = log.lines.iter().map(|line| line.text.as_str()).collect();
    Ok(vec![
        log.device.as_str().into(),
        log.attempt.to_string().into(),
        log.received.into(),
        name(&log.rollout).into(),
        name(&log.version).into(),
        i64::from(log.outcome).into(),
        to_json(&log.lines, "log")?.into(),
        words.join("\n").to_lowercase().into(),
    ])
}

fn mark(row: &Row) -> Stored<Mark> {
    Ok(Mark {
        received: time(row, "received")?,
        device: parsed(row, "device", "log")?,
        attempt: parsed(row, "attempt", "log")?,
    })
}

fn log(row: &Row) -> Stored<StoredLog> {
    let name = |column| -> Stored<Option<Name>> {
        let text: &str = row.try_get(column)?;
        Ok(text.parse().ok())
    };
    Ok(StoredLog {
        device: parsed(row, "device", "log")?,
        attempt: parsed(row, "attempt", "log")?,
        received: time(row, "received")?,
        rollout: name("rollout")?,
        version: name("version")?,
        outcome: unsigned(row, "outcome", "log")?,
        lines: json(row, "lines", "log")?,
    })
}
