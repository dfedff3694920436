//! Attempts and the reports that end them.

use super::bulk::{insert, within};
use super::rows::{json, parsed, signed, texts, time, to_json, unsigned};
use super::statement::{Row, Value, query};
use super::{Stored, Tx};
use fleet::Standing;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
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
    /// The wave that was open, counted from 1; 0 where an earlier version offered it.
    pub(crate) wave: u32,
    /// The site that it counts to, if the rollout limits sites.
    pub(crate) site: Option<Text>,
    /// The version that ran when it was offered, for people.
    pub(crate) origin: Text,
    /// When any server was known to have seen the terminal, not counting the last
    /// moments.
    pub(crate) seen: Timestamp,
}

/// A sign of life during an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sign {
    pub(crate) device: DeviceId,
    pub(crate) attempt: AttemptId,
    /// Bytes sent since the last sign.
    pub(crate) served: u64,
    /// When it was.
    pub(crate) seen: Timestamp,
}

const PUT: &str = "INSERT INTO attempts (device, attempt, rollout, retry, before, standing, detail, \
     spent, served, offered, changed, seen, wave, site, origin)";
/// What was served and seen is counted apart, by the servers that serve and see it.
const CHANGE: &str = "ON CONFLICT (device, attempt) DO UPDATE SET standing = excluded.standing, \
     detail = excluded.detail, spent = excluded.spent, changed = excluded.changed";
/// A sign from an hour ahead is one of a server whose clock was wrong, and is replaced.
const SIGN: &str = "UPDATE attempts SET served = attempts.served + sign.column3, \
     seen = CASE WHEN attempts.seen < sign.column4 OR attempts.seen > sign.column4 + 3600000 \
     THEN sign.column4 ELSE attempts.seen END FROM (";
const SIGNED: &str =
    ") AS sign WHERE attempts.device = sign.column1 AND attempts.attempt = sign.column2";

impl Tx {
    /// Writes attempts, new or changed, each only once.
    pub(crate) async fn put_attempts(&mut self, attempts: &[&StoredAttempt]) -> Stored<()> {
        let rows: Stored<Vec<_>> = attempts.iter().map(|attempt| values(attempt)).collect();
        for statement in insert(PUT, &rows?, CHANGE) {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// The attempts of the terminals from `first` to `last`, first offered first.
    pub(crate) async fn attempts_between(
        &mut self,
        first: &DeviceId,
        last: &DeviceId,
    ) -> Stored<Vec<StoredAttempt>> {
        let text = format!(
            "SELECT {COLUMNS} FROM attempts WHERE device >= $1 AND device <= $2 \
             ORDER BY device, offered, attempt"
        );
        let statement = query(AssertSqlSafe(text)).bind(first.as_str()).bind(last.as_str());
        self.all(statement).await?.iter().map(attempt).collect()
    }

    /// The attempts of these terminals, first offered first.
    pub(crate) async fn attempts_of(&mut self, devices: &[Name]) -> Stored<Vec<StoredAttempt>> {
        let head = format!("SELECT {COLUMNS} FROM attempts WHERE device");
        let mut all = Vec::new();
        for statement in within(&head, &texts(devices), "ORDER BY device, offered, attempt") {
            for row in self.all(statement).await? {
                all.push(attempt(&row)?);
            }
        }
        Ok(all)
    }

    /// Has the database look at how its table of attempts is filled. Until it did, it takes
    /// terminals for few with many attempts each, and reads all of it to find some.
    pub(crate) async fn survey_attempts(&mut self) -> Stored<()> {
        self.run(query("ANALYZE attempts")).await.map(drop)
    }

    /// Whose attempt this is.
    pub(crate) async fn device_of(&mut self, attempt: AttemptId) -> Stored<Option<DeviceId>> {
        let text = "SELECT device FROM attempts WHERE attempt = $1";
        let rows = self.all(query(text).bind(attempt.to_string())).await?;
        rows.first().map(|row| parsed(row, "device", "attempt")).transpose()
    }

    /// Adds to the bytes that were sent for attempts, and writes when their terminals
    /// were seen last. Each attempt is named once.
    pub(crate) async fn put_signs(&mut self, signs: &[Sign]) -> Stored<()> {
        let row = |sign: &Sign| {
            let (device, attempt) = (sign.device.as_str().into(), sign.attempt.to_string().into());
            vec![device, attempt, signed(sign.served).into(), sign.seen.into()]
        };
        let rows: Vec<_> = signs.iter().map(row).collect();
        for statement in insert(SIGN, &rows, SIGNED) {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// Which of these reports are kept already: a report is delivered at least once
    /// and counted once.
    pub(crate) async fn known_reports(
        &mut self,
        reports: &[(DeviceId, AttemptId)],
    ) -> Stored<BTreeSet<(DeviceId, AttemptId)>> {
        let mut known = BTreeSet::new();
        let row = |(device, attempt): &(DeviceId, AttemptId)| -> Vec<Value> {
            vec![device.as_str().into(), attempt.to_string().into()]
        };
        let rows: Vec<_> = reports.iter().map(row).collect();
        let head = "SELECT device, attempt FROM reports WHERE (device, attempt) IN (";
        for statement in insert(head, &rows, ")") {
            for row in self.all(statement).await? {
                known.insert((
                    parsed(&row, "device", "report")?,
                    parsed(&row, "attempt", "report")?,
                ));
            }
        }
        Ok(known)
    }

    /// Keeps reports that are not kept yet.
    pub(crate) async fn put_reports(
        &mut self,
        reports: &[(DeviceId, Report)],
        now: Timestamp,
    ) -> Stored<()> {
        let row = |(device, report): &(DeviceId, Report)| {
            let (attempt, text) = (report.attempt.to_string(), to_json(report, "report")?);
            Ok(vec![device.as_str().into(), attempt.into(), text.into(), now.into()])
        };
        let rows: Stored<Vec<_>> = reports.iter().map(row).collect();
        let head = "INSERT INTO reports (device, attempt, report, received)";
        for statement in insert(head, &rows?, "ON CONFLICT (device, attempt) DO NOTHING") {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// How many reports of a terminal are kept.
    pub(crate) async fn count_reports(&mut self, device: &DeviceId) -> Stored<u64> {
        let text = "SELECT COUNT(*) AS count FROM reports WHERE device = $1";
        let rows = self.all(query(text).bind(device.as_str())).await?;
        rows.first().map_or(Ok(0), |row| unsigned(row, "count", "count"))
    }

    /// The reports of a terminal with when they were received, last ones first.
    pub(crate) async fn dated_reports(
        &mut self,
        device: &DeviceId,
        limit: u32,
    ) -> Stored<Vec<(Timestamp, Report)>> {
        let text = "SELECT received, report FROM reports WHERE device = $1 \
                    ORDER BY received DESC, attempt LIMIT $2";
        let statement = query(text).bind(device.as_str()).bind(i64::from(limit));
        let read = |row: &Row| Ok((time(row, "received")?, json(row, "report", "report")?));
        self.all(statement).await?.iter().map(read).collect()
    }

    /// The reports of a terminal, last received first, at most `limit`.
    pub(crate) async fn reports(&mut self, device: &DeviceId, limit: u32) -> Stored<Vec<Report>> {
        let text = "SELECT report FROM reports WHERE device = $1 \
                    ORDER BY received DESC, attempt LIMIT $2";
        let statement = query(text).bind(device.as_str()).bind(i64::from(limit));
        self.all(statement).await?.iter().map(|row| json(row, "report", "report")).collect()
    }
}

const COLUMNS: &str = "device, attempt, rollout, retry, before, standing, detail, spent, served, \
     offered, changed, seen, wave, site, origin";

fn values(attempt: &StoredAttempt) -> Stored<Vec<Value>> {
    Ok(vec![
        attempt.device.as_str().into(),
        attempt.attempt.to_string().into(),
        attempt.rollout.as_str().into(),
        i64::from(attempt.retry).into(),
        attempt.before.to_string().into(),
        to_json(&attempt.standing, "standing")?.into(),
        attempt.detail.as_str().into(),
        to_json(&attempt.spent, "cost")?.into(),
        signed(attempt.served).into(),
        attempt.offered.into(),
        attempt.changed.into(),
        attempt.seen.into(),
        i64::from(attempt.wave).into(),
        attempt.site.as_ref().map(ToString::to_string).into(),
        attempt.origin.as_str().into(),
    ])
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
        seen: time(row, "seen")?,
        wave: unsigned(row, "wave", what)?,
        site: row.try_get::<Option<&str>>("site")?.map(Into::into),
        origin: row.try_get::<&str>("origin")?.into(),
    })
}
