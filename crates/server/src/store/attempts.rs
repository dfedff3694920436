//! Attempts and the reports that end them.

use super::rows::{json, parsed, signed, time, to_json, unsigned};
use super::statement::{Row, query};
use super::{Stored, Tx};
use fleet::Standing;
use types::{AttemptId, DeviceId, Digest, Name, Report, Spent, Text, Timestamp};

/// An attempt as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredAttempt {
    pub(crate) device: DeviceId,
    pub(crate) attempt: AttemptId,
    pub(crate) rollout: Name,
    pub(crate) retry: u32,
    /// SHA-256 of the JSON of what ran when it was offered.
    pub(crate) before: Digest,
    pub(crate) standing: Standing,
    pub(crate) detail: Text,
    pub(crate) spent: Spent,
    /// Bytes of the package that were sent for it.
    pub(crate) served: u64,
    pub(crate) offered: Timestamp,
    pub(crate) changed: Timestamp,
}

const PUT: &str = "INSERT INTO attempts (device, attempt, rollout, retry, before, standing, detail, \
     spent, served, offered, changed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (device, attempt) DO UPDATE SET standing = excluded.standing, \
     detail = excluded.detail, spent = excluded.spent, changed = excluded.changed";

impl Tx {
    /// Writes an attempt, new or changed.
    pub(crate) async fn put_attempt(&mut self, attempt: &StoredAttempt) -> Stored<()> {
        let statement = query(PUT)
            .bind(attempt.device.as_str())
            .bind(attempt.attempt.to_string())
            .bind(attempt.rollout.as_str())
            .bind(i64::from(attempt.retry))
            .bind(attempt.before.to_string())
            .bind(to_json(&attempt.standing, "standing")?)
            .bind(attempt.detail.as_str())
            .bind(to_json(&attempt.spent, "cost")?)
            .bind(signed(attempt.served))
            .bind(attempt.offered.0)
            .bind(attempt.changed.0);
        self.run(statement).await.map(drop)
    }

    /// Every attempt, first offered first.
    pub(crate) async fn attempts(&mut self) -> Stored<Vec<StoredAttempt>> {
        let text = "SELECT * FROM attempts ORDER BY device, offered, attempt";
        self.all(query(text)).await?.iter().map(attempt).collect()
    }

    /// Writes how many bytes were sent for an attempt.
    pub(crate) async fn put_served(
        &mut self,
        device: &DeviceId,
        attempt: AttemptId,
        served: u64,
    ) -> Stored<()> {
        let text = "UPDATE attempts SET served = $3 WHERE device = $1 AND attempt = $2";
        let statement =
            query(text).bind(device.as_str()).bind(attempt.to_string()).bind(signed(served));
        self.run(statement).await.map(drop)
    }

    /// Keeps a report. Returns whether it is new: a report is delivered at least
    /// once and counted once.
    pub(crate) async fn put_report(
        &mut self,
        device: &DeviceId,
        report: &Report,
        now: Timestamp,
    ) -> Stored<bool> {
        let text = "INSERT INTO reports (device, attempt, report, received) \
                    VALUES ($1, $2, $3, $4) ON CONFLICT (device, attempt) DO NOTHING";
        let statement = query(text)
            .bind(device.as_str())
            .bind(report.attempt.to_string())
            .bind(to_json(report, "report")?)
            .bind(now.0);
        Ok(self.run(statement).await? == 1)
    }

    /// How many reports of a terminal are kept.
    pub(crate) async fn count_reports(&mut self, device: &DeviceId) -> Stored<u64> {
        let text = "SELECT COUNT(*) AS count FROM reports WHERE device = $1";
        let rows = self.all(query(text).bind(device.as_str())).await?;
        rows.first().map_or(Ok(0), |row| unsigned(row, "count", "count"))
    }

    /// The reports of a terminal, last received first, at most `limit`.
    pub(crate) async fn reports(&mut self, device: &DeviceId, limit: u32) -> Stored<Vec<Report>> {
        let text = "SELECT report FROM reports WHERE device = $1 \
                    ORDER BY received DESC, attempt LIMIT $2";
        let statement = query(text).bind(device.as_str()).bind(i64::from(limit));
        self.all(statement).await?.iter().map(|row| json(row, "report", "report")).collect()
    }
}

fn attempt(row: &Row) -> Stored<StoredAttempt> {
    let what = "attempt";
    let detail: &str = row.try_get("detail")?;
    Ok(StoredAttempt {
        device: parsed(row, "device", what)?,
        attempt: parsed(row, "attempt", what)?,
        rollout: parsed(row, "rollout", what)?,
        retry: unsigned(row, "retry", what)?,
        before: parsed(row, "before", what)?,
        standing: json(row, "standing", what)?,
        detail: detail.into(),
        spent: json(row, "spent", what)?,
        served: unsigned(row, "served", what)?,
        offered: time(row, "offered")?,
        changed: time(row, "changed")?,
    })
}
