//! Everything durable but the packages, in SQLite or PostgreSQL.
//!
//! SQL is in this folder only, in one text for both engines. One connection writes
//! and reads: what polls need is in memory, so nothing else asks often. What is
//! committed, and then acknowledged, survives a power cut. Rules for the text, so that
//! engines that speak PostgreSQL's protocol and spread over machines can run it: TEXT,
//! BIGINT and BLOB only; no serial columns, triggers or notifications; what is kept
//! per terminal has the terminal first in its key.

mod address;
mod attempts;
#[cfg(test)]
pub(crate) mod bench;
mod bulk;
mod changes;
mod copy;
mod deltas;
mod devices;
mod downloads;
mod failures;
mod filter;
mod history;
mod jobs;
mod kinds;
mod labels;
mod line;
mod logs;
mod products;
mod releases;
mod rollouts;
mod rows;
mod schema;
pub(crate) mod statement;

pub(crate) use address::Address;
pub(crate) use attempts::{Sign, StoredAttempt};
pub(crate) use changes::Touched;
pub(crate) use copy::{backup, restore};
pub(crate) use deltas::{MadeDelta, StoredDelta};
pub(crate) use devices::{StoredDevice, TokenUse};
pub(crate) use downloads::{Download, Downloading, counted};
pub(crate) use failures::{Failing, Failures};
pub(crate) use history::{Entry as HistoryEntry, Mark};
pub(crate) use jobs::{Claim, Far, Kind, NewJob, State as JobState, StoredJob};
pub(crate) use kinds::Kinds;
pub(crate) use labels::{Words, words};
pub(crate) use logs::{Found, LogQuery, Sight, StoredLog};
pub(crate) use products::RegionPolicy;
pub(crate) use rollouts::{Happened, StoredRollout};

use line::Line;
use statement::{Row, Statement, query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;
use types::Timestamp;

/// Why the store fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database fails.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The database does not answer.
    #[error("the database does not answer in time")]
    Slow,
    /// The database was out of reach a moment ago.
    #[error("the database is out of reach")]
    Away,
    /// As many changes wait to be written as may.
    #[error("too many changes wait to be written")]
    Busy,
    /// The connection broke inside of a transaction, which therefore never was.
    #[error("the connection to the database broke")]
    Gone,
    /// The address is not one of a database.
    #[error("the database's address is not of the form postgres://USER@HOST/NAME")]
    Address,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A row holds what this server never wrote.
    #[error("the database holds a {what} that cannot be read")]
    Row {
        /// What was expected.
        what: &'static str,
    },
    /// The database is of a newer server.
    #[error("the database has version {found}; this server knows up to {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: usize,
    },
}

/// States of SQL in which the same transaction, run again, may well succeed:
/// `serialization_failure` and `deadlock_detected`.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

impl StoreError {
    /// Whether it is the database that is out of reach, and nothing wrong.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Away | Self::Slow | Self::Gone | Self::Database(sqlx::Error::Io(_)))
    }

    /// Whether the connection can no longer be used.
    fn breaks(&self) -> bool {
        match self {
            Self::Slow => true,
            // Class 57P is the other end going away, 25P an end of the transaction.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("25P"))
            }
            Self::Database(error) => !matches!(
                error,
                sqlx::Error::RowNotFound
                    | sqlx::Error::ColumnNotFound(_)
                    | sqlx::Error::ColumnDecode { .. }
            ),
            _ => false,
        }
    }
}

/// Errors that may come of a transaction that others got in the way of.
pub(crate) trait Conflict {
    /// Whether others got in the way, and nothing else.
    fn is_conflict(&self) -> bool;
}

impl Conflict for StoreError {
    fn is_conflict(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| CONFLICTS.contains(&code.as_ref()))
    }
}

/// How often a transaction is run again that others got in the way of.
pub(crate) const AGAIN: u32 = 5;

/// Runs a whole transaction, again if others got in its way. It is an expression that
/// makes a future and begins the transaction anew each time. A macro, because closures
/// that make futures do not yet say which threads these can move to.
macro_rules! settle {
    ($transaction:expr) => {{
        use $crate::store::{AGAIN, Conflict as _};
        let mut left = AGAIN;
        loop {
            match $transaction.await {
                Err(error) if left > 0 && error.is_conflict() => left -= 1,
                other => break other,
            }
        }
    }};
}
pub(crate) use settle;

/// How long a transaction waits for its turn on PostgreSQL's one connection.
const QUEUE: Duration = Duration::from_secs(5);

/// What store functions return.
pub(crate) type Stored<T> = Result<T, StoreError>;

tokio::task_local! {
    /// Set while nobody asked for what is done.
    pub(crate) static UNASKED: ();
}

/// How many statements were run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statements {
    /// Because somebody asked.
    pub(crate) requests: u64,
    /// By the server's own jobs.
    pub(crate) jobs: u64,
}

/// The same, while they are counted.
#[derive(Debug, Default)]
struct Counted {
    requests: AtomicU64,
    jobs: AtomicU64,
}

impl Counted {
    /// One more.
    fn one(&self) {
        let unasked = UNASKED.try_with(|()| ()).is_ok();
        let counter = if unasked { &self.jobs } else { &self.requests };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    line: Arc<Mutex<Line>>,
    shared: bool,
    /// The database was out of reach the last time. Only [`Store::reach`] tries again;
    /// everybody else is told at once.
    away: Arc<AtomicBool>,
    statements: Arc<Counted>,
    kinds: Arc<Kinds>,
}

/// A transaction. It holds the store: memory that follows the store is changed
/// while it lives. Dropped before [`Tx::commit`], it never was.
pub(crate) struct Tx {
    line: OwnedMutexGuard<Line>,
    away: Arc<AtomicBool>,
    statements: Arc<Counted>,
    kinds: Arc<Kinds>,
}

impl Store {
    /// Opens the database at `address`, and brings it to the version of this server.
    pub(crate) async fn open(address: &Address) -> Stored<Self> {
        let store = Self::connect(address).await?;
        schema::migrate(&store).await?;
        labels::backfill(&store).await?;
        Ok(store)
    }

    /// Opens the database at `address` as it is.
    pub(crate) async fn connect(address: &Address) -> Stored<Self> {
        let line = Line::open(address.clone()).await?;
        let shared = line.is_postgres();
        let (line, away) = (Arc::new(Mutex::new(line)), Arc::default());
        Ok(Self { line, shared, away, statements: Arc::default(), kinds: Arc::default() })
    }

    /// Whether other servers may use the same database.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Begins a transaction, once no other of this server is under way.
    pub(crate) async fn begin(&self) -> Stored<Tx> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Away);
        }
        let lock = timeout(QUEUE, Arc::clone(&self.line).lock_owned());
        let line = lock.await.map_err(|_| StoreError::Slow)?;
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Away);
        }
        self.begin_on(line).await
    }

    /// Begins a transaction though the database may be out of reach.
    pub(crate) async fn reach(&self) -> Stored<Tx> {
        let line = Arc::clone(&self.line).lock_owned().await;
        self.begin_on(line).await
    }

    /// What time it is for all servers that share the database.
    pub(crate) async fn time(&self) -> Stored<Timestamp> {
        let text = "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000) AS BIGINT) \
                    AS now";
        let mut line = Arc::clone(&self.line).lock_owned().await;
        self.statements.one();
        let rows = line.alone(|| query(text)).await;
        self.away.store(rows.is_err() && self.shared, Ordering::Relaxed);
        let rows = rows?;
        rows::time(rows.first().ok_or(StoreError::Row { what: "time" })?, "now")
    }

    async fn begin_on(&self, mut line: OwnedMutexGuard<Line>) -> Stored<Tx> {
        self.statements.one();
        let begun = line.begin().await;
        self.away.store(begun.is_err() && self.shared, Ordering::Relaxed);
        begun?;
        let (away, statements) = (Arc::clone(&self.away), Arc::clone(&self.statements));
        Ok(Tx { line, away, statements, kinds: Arc::clone(&self.kinds) })
    }

    /// What terminals have in common.
    pub(crate) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// How many statements were run since the start.
    pub(crate) fn statements(&self) -> Statements {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statements { requests: of(&self.statements.requests), jobs: of(&self.statements.jobs) }
    }
}

impl Tx {
    /// Makes it durable. The store is held until the transaction is dropped.
    pub(crate) async fn commit(&mut self) -> Stored<()> {
        self.statements.one();
        let done = self.line.commit().await;
        self.judge(done)
    }

    /// A database that does not answer is away for everybody.
    fn judge<T>(&self, result: Stored<T>) -> Stored<T> {
        if matches!(result, Err(StoreError::Slow)) {
            self.away.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Runs `statement`. Returns how many rows it changed.
    async fn run(&mut self, statement: Statement) -> Stored<u64> {
        self.statements.one();
        let done = self.line.run(statement).await;
        self.judge(done)
    }

    /// Runs `statement`. Returns all its rows.
    async fn all(&mut self, statement: Statement) -> Stored<Vec<Row>> {
        self.statements.one();
        let rows = self.line.all(statement).await;
        self.judge(rows)
    }

    /// The plan's generation.
    pub(crate) async fn generation(&mut self) -> Stored<u64> {
        let statement = query("SELECT value FROM settings WHERE name = 'generation'");
        let rows = self.all(statement).await?;
        let row = rows.first().ok_or(StoreError::Row { what: "generation" })?;
        rows::unsigned(row, "value", "generation")
    }

    /// Raises the generation, so that every replica reads the plan anew. Returns it.
    pub(crate) async fn raise_generation(&mut self) -> Stored<u64> {
        let text =
            "UPDATE settings SET value = value + 1 WHERE name = 'generation' RETURNING value";
        let rows = self.all(query(text)).await?;
        let row = rows.first().ok_or(StoreError::Row { what: "generation" })?;
        rows::unsigned(row, "value", "generation")
    }
}

/// Closes the database in good order.
pub(crate) async fn close(store: Store) -> Stored<()> {
    match Arc::try_unwrap(store.line) {
        Ok(line) => line.into_inner().close().await,
        // Somebody still holds it; the journal makes up for it at the next start.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod filter_tests;
#[cfg(test)]
mod tests;
