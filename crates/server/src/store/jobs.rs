//! The queue of jobs: what is to be done at a time, whichever server is there to do it.
//!
//! Whoever claims a job has it for a lease, and renews that while it works. Who dies
//! loses it to the next after that time. A claim has an owner of its own, so that
//! whoever lost a job learns so and cannot end it. What has ended stays for people to
//! see, for a while.

use super::rows::{parsed, time, unsigned};
use super::statement::{Row, query};
use super::{StoreError, Stored, Tx};
use std::fmt;
use std::str::FromStr;
use types::{Name, Seconds, Timestamp};

/// The longest lease.
const LONGEST: Seconds = Seconds(60);
/// The most jobs of one list.
const LISTED: i64 = 1000;

/// What a job is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Looks after a rollout; named after it.
    Tend,
    /// Plans the deltas of a release.
    Plan,
    /// Makes one delta.
    Delta,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for its time, or somebody is at it.
    Waiting,
    /// It is done.
    Done,
    /// It cannot be done, or was not worth it.
    Dropped,
    /// An operator ended it.
    Cancelled,
}

/// A text that is neither.
#[derive(Debug)]
pub(crate) struct NoSuchWord;

macro_rules! words {
    ($type:ident { $($variant:ident $word:literal)* }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)* })
            }
        }

        impl FromStr for $type {
            type Err = NoSuchWord;
            fn from_str(text: &str) -> Result<Self, NoSuchWord> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(NoSuchWord) }
            }
        }
    };
}

words! { Kind { Tend "tend" Plan "plan" Delta "delta" } }
words! { State { Waiting "waiting" Done "done" Dropped "dropped" Cancelled "cancelled" } }

/// A job that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewJob {
    /// Its name: the same job twice is one.
    pub(crate) job: Name,
    pub(crate) kind: Kind,
    /// The rollout or the release (digest of its manifest) that it is about.
    pub(crate) about: String,
    /// What it needs to know, in its kind's own form.
    pub(crate) payload: String,
    /// Higher ones first.
    pub(crate) priority: i64,
    /// Not before.
    pub(crate) due: Timestamp,
}

/// A job that somebody has, until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) job: Name,
    pub(crate) kind: Kind,
    pub(crate) payload: String,
    /// Who has it.
    pub(crate) owner: Name,
    /// How often it was begun, this time included.
    pub(crate) tries: u32,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Far {
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// What is being done.
    pub(crate) words: String,
}

/// A job as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredJob {
    pub(crate) new: NewJob,
    pub(crate) state: State,
    /// Until when somebody has it.
    pub(crate) lease: Timestamp,
    pub(crate) tries: u32,
    pub(crate) far: Far,
    /// What went wrong last.
    pub(crate) error: String,
    pub(crate) made: Timestamp,
    pub(crate) changed: Timestamp,
}

/// Due anew, whatever became of it; who has it loses it.
const PUT: &str = "INSERT INTO jobs (job, kind, about, payload, priority, due, lease, tries, made, \
     changed) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $7) ON CONFLICT (job) DO UPDATE SET \
     payload = excluded.payload, priority = excluded.priority, due = excluded.due, lease = 0, \
     tries = 0, state = 'waiting', owner = ''";
/// Added, unless it waits or is being done already: then only its priority changes.
const ADD: &str = "INSERT INTO jobs (job, kind, about, payload, priority, due, lease, tries, made, \
     changed) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $7) ON CONFLICT (job) DO UPDATE SET \
     payload = excluded.payload, priority = excluded.priority, \
     due = CASE WHEN jobs.state = 'waiting' THEN jobs.due ELSE excluded.due END, \
     tries = CASE WHEN jobs.state = 'waiting' THEN jobs.tries ELSE 0 END, state = 'waiting'";
const CLAIM: &str = "UPDATE jobs SET lease = $2, tries = tries + 1, owner = $3, changed = $1 \
     WHERE job = (SELECT job FROM jobs WHERE kind = $4 AND state = 'waiting' AND due <= $1 \
     AND lease <= $1 ORDER BY priority DESC, due, job LIMIT 1) AND lease <= $1 \
     RETURNING job, kind, payload, tries";
const BEAT: &str = "UPDATE jobs SET lease = $3, done = $4, total = $5, words = $6, changed = $7 \
     WHERE job = $1 AND owner = $2 AND state = 'waiting'";
const END: &str = "UPDATE jobs SET state = $3, error = $4, words = $5, due = $6, changed = $7, \
     lease = 0, owner = '' WHERE job = $1 AND owner = $2 AND state = 'waiting'";
/// As if it had not been begun.
const GIVE_BACK: &str = "UPDATE jobs SET lease = 0, owner = '', tries = tries - 1 \
     WHERE job = $1 AND owner = $2 AND state = 'waiting'";
const CANCEL: &str = "UPDATE jobs SET state = 'cancelled', error = $2, changed = $3, lease = 0, \
     owner = '' WHERE job = $1 AND state = 'waiting' AND kind <> 'tend'";
const RETRY: &str = "UPDATE jobs SET state = 'waiting', due = $2, changed = $2, lease = 0, \
     tries = 0, owner = '', error = '' WHERE job = $1 AND kind <> 'tend' AND lease <= $2";
const PENDING: &str = "SELECT COUNT(*) AS pending FROM jobs WHERE about = $1 AND state = 'waiting' \
     AND (kind = 'delta' OR (kind = 'plan' AND (due <= $2 OR lease > $2)))";
const COLUMNS: &str = "job, kind, about, payload, priority, due, lease, tries, state, done, total, \
     words, error, made, changed";

impl Tx {
    /// The job is due at its time; made if it is not there, and taken from whoever has it.
    pub(crate) async fn put_job(&mut self, job: &NewJob, now: Timestamp) -> Stored<()> {
        self.write_job(PUT, job, now).await
    }

    /// The job is to be done once: it is added, if it does not wait already.
    pub(crate) async fn add_job(&mut self, job: &NewJob, now: Timestamp) -> Stored<()> {
        self.write_job(ADD, job, now).await
    }

    async fn write_job(&mut self, text: &'static str, job: &NewJob, now: Timestamp) -> Stored<()> {
        let statement = query(text)
            .bind(job.job.as_str())
            .bind(job.kind.to_string())
            .bind(job.about.clone())
            .bind(job.payload.clone())
            .bind(job.priority)
            .bind(job.due.0)
            .bind(now.0);
        self.run(statement).await.map(drop)
    }

    /// Claims the job of this kind whose turn it is, for `lease`.
    pub(crate) async fn claim_job(
        &mut self,
        kind: Kind,
        owner: &Name,
        now: Timestamp,
        lease: Seconds,
    ) -> Stored<Option<Claim>> {
        let statement = query(CLAIM)
            .bind(now.0)
            .bind(now.after(lease).0)
            .bind(owner.as_str())
            .bind(kind.to_string());
        let rows = self.all(statement).await?;
        let claim = |row: &Row| {
            Ok(Claim {
                job: parsed(row, "job", "job")?,
                kind: parsed(row, "kind", "job")?,
                payload: row.try_get("payload")?,
                owner: owner.clone(),
                tries: unsigned(row, "tries", "job")?,
            })
        };
        rows.first().map(claim).transpose()
    }

    /// Renews a claim and says how far the job is. Returns whether it still is a claim.
    pub(crate) async fn renew_job(
        &mut self,
        claim: &Claim,
        far: &Far,
        now: Timestamp,
        lease: Seconds,
    ) -> Stored<bool> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let statement = query(BEAT)
            .bind(claim.job.as_str())
            .bind(claim.owner.as_str())
            .bind(now.after(lease).0)
            .bind(number(far.done))
            .bind(number(far.total))
            .bind(far.words.clone())
            .bind(now.0);
        Ok(self.run(statement).await? == 1)
    }

    /// Ends a claim: with the job, or, where it goes on `Waiting`, until `due`. Returns
    /// whether it still was a claim; without one nothing changes.
    pub(crate) async fn end_job(
        &mut self,
        claim: &Claim,
        state: State,
        [words, error]: [&str; 2],
        due: Timestamp,
        now: Timestamp,
    ) -> Stored<bool> {
        let statement = query(END)
            .bind(claim.job.as_str())
            .bind(claim.owner.as_str())
            .bind(state.to_string())
            .bind(error)
            .bind(words)
            .bind(due.0)
            .bind(now.0);
        Ok(self.run(statement).await? == 1)
    }

    /// Gives a job back that was begun and not ended by this server's own wish.
    pub(crate) async fn give_back_job(&mut self, claim: &Claim) -> Stored<()> {
        let statement = query(GIVE_BACK).bind(claim.job.as_str()).bind(claim.owner.as_str());
        self.run(statement).await.map(drop)
    }

    /// The clock was set: whoever has a job has it for a lease from now on, as if it had
    /// just said so, and what waits for a time waits no longer.
    pub(crate) async fn hold_jobs_anew(&mut self, now: Timestamp) -> Stored<()> {
        let text = "UPDATE jobs SET lease = $1 WHERE owner <> '' AND state = 'waiting'";
        self.run(query(text).bind(now.after(LONGEST).0)).await?;
        let text = "UPDATE jobs SET due = $1 WHERE due > $1 AND state = 'waiting' \
                    AND kind <> 'tend'";
        self.run(query(text).bind(now.0)).await.map(drop)
    }

    /// Whoever had jobs is gone: on a database of one server, that is its last start.
    pub(crate) async fn void_leases(&mut self) -> Stored<()> {
        let text = "UPDATE jobs SET lease = 0, owner = '' WHERE lease > 0";
        self.run(query(text)).await.map(drop)
    }

    /// Ends a job that has not ended, for an operator. Returns whether there was one.
    pub(crate) async fn cancel_job(
        &mut self,
        job: &Name,
        why: &str,
        now: Timestamp,
    ) -> Stored<bool> {
        Ok(self.run(query(CANCEL).bind(job.as_str()).bind(why).bind(now.0)).await? == 1)
    }

    /// Begins a job anew at which nobody is. Returns whether there was one.
    pub(crate) async fn retry_job(&mut self, job: &Name, now: Timestamp) -> Stored<bool> {
        Ok(self.run(query(RETRY).bind(job.as_str()).bind(now.0)).await? == 1)
    }

    /// The job is done for good, and nobody needs to know of it.
    pub(crate) async fn drop_job(&mut self, job: &Name) -> Stored<()> {
        self.run(query("DELETE FROM jobs WHERE job = $1").bind(job.as_str())).await.map(drop)
    }

    /// Forgets jobs that ended before `before`.
    pub(crate) async fn forget_jobs(&mut self, before: Timestamp) -> Stored<()> {
        let text = "DELETE FROM jobs WHERE state <> 'waiting' AND changed < $1";
        self.run(query(text).bind(before.0)).await.map(drop)
    }

    /// How many jobs stand between a release and all of its deltas.
    pub(crate) async fn pending_deltas(&mut self, about: &str, now: Timestamp) -> Stored<u64> {
        let rows = self.all(query(PENDING).bind(about).bind(now.0)).await?;
        let row = rows.first().ok_or(StoreError::Row { what: "count of jobs" })?;
        unsigned(row, "pending", "count of jobs")
    }

    /// The jobs: those that wait first, of them those whose turn is next.
    pub(crate) async fn jobs(&mut self) -> Stored<Vec<StoredJob>> {
        let text = format!(
            "SELECT {COLUMNS} FROM jobs ORDER BY CASE WHEN state = 'waiting' THEN 0 ELSE 1 END, \
             priority DESC, changed DESC, job LIMIT {LISTED}"
        );
        let rows = self.all(query(sqlx::AssertSqlSafe(text))).await?;
        rows.iter().map(stored).collect()
    }

    /// One job.
    pub(crate) async fn job(&mut self, job: &Name) -> Stored<Option<StoredJob>> {
        let text = format!("SELECT {COLUMNS} FROM jobs WHERE job = $1");
        let rows = self.all(query(sqlx::AssertSqlSafe(text)).bind(job.as_str())).await?;
        rows.first().map(stored).transpose()
    }
}

fn stored(row: &Row) -> Stored<StoredJob> {
    let what = "job";
    Ok(StoredJob {
        new: NewJob {
            job: parsed(row, "job", what)?,
            kind: parsed(row, "kind", what)?,
            about: row.try_get("about")?,
            payload: row.try_get("payload")?,
            priority: row.try_get("priority")?,
            due: time(row, "due")?,
        },
        state: parsed(row, "state", what)?,
        lease: time(row, "lease")?,
        tries: unsigned(row, "tries", what)?,
        far: Far {
            done: unsigned(row, "done", what)?,
            total: unsigned(row, "total", what)?,
            words: row.try_get("words")?,
        },
        error: row.try_get("error")?,
        made: time(row, "made")?,
        changed: time(row, "changed")?,
    })
}
