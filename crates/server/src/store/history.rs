//! Reports in the order in which they came, and the end of what is kept no longer.

use super::rows::{json, parsed, time};
use super::statement::{Row, query};
use super::{Stored, Tx};
use types::{AttemptId, DeviceId, Name, Report, Timestamp};

/// A report with everything that an export says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// When it was received.
    pub(crate) received: Timestamp,
    /// Of whom.
    pub(crate) device: DeviceId,
    /// In which rollout, if it was offered by this server's fleet.
    pub(crate) rollout: Option<Name>,
    /// The report.
    pub(crate) report: Report,
}

/// The last report that was exported: the next one comes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) received: Timestamp,
    pub(crate) device: DeviceId,
    pub(crate) attempt: AttemptId,
}

const PAGE: &str = "SELECT r.received, r.device, r.report, a.rollout FROM reports r \
     LEFT JOIN attempts a ON a.device = r.device AND a.attempt = r.attempt \
     WHERE r.received > $1 OR (r.received = $1 AND (r.device > $2 OR \
     (r.device = $2 AND r.attempt > $3))) \
     ORDER BY r.received, r.device, r.attempt LIMIT $4";
const OLD_EVENTS: &str = "DELETE FROM device_events WHERE (device, at, what) IN \
     (SELECT device, at, what FROM device_events WHERE at < $1 LIMIT $2)";
const OLD_REPORTS: &str = "DELETE FROM reports WHERE (device, attempt) IN \
     (SELECT device, attempt FROM reports WHERE received < $1 LIMIT $2)";

impl Tx {
    /// Up to `limit` reports behind `mark`, first received first.
    pub(crate) async fn history(&mut self, mark: Option<&Mark>, limit: u32) -> Stored<Vec<Entry>> {
        let received = mark.map_or(Timestamp(i64::MIN), |mark| mark.received);
        let device = mark.map_or("", |mark| mark.device.as_str());
        let attempt = mark.map_or_else(String::new, |mark| mark.attempt.to_string());
        let statement = query(PAGE).bind(received).bind(device).bind(attempt);
        let rows = self.all(statement.bind(i64::from(limit))).await?;
        rows.iter().map(entry).collect()
    }

    /// Removes at most `limit` events and reports each that are older than `before`.
    /// Returns how many were removed.
    pub(crate) async fn forget(&mut self, before: Timestamp, limit: u32) -> Stored<u64> {
        let mut gone = 0;
        for text in [OLD_EVENTS, OLD_REPORTS] {
            gone += self.run(query(text).bind(before).bind(i64::from(limit))).await?;
        }
        Ok(gone)
    }
}

fn entry(row: &Row) -> Stored<Entry> {
    let what = "report";
    let rollout: Option<&str> = row.try_get("rollout")?;
    Ok(Entry {
        received: time(row, "received")?,
        device: parsed(row, "device", what)?,
        rollout: rollout.and_then(|rollout| rollout.parse().ok()),
        report: json(row, "report", what)?,
    })
}
