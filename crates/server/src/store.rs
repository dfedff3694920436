//! Everything durable but the packages, in SQLite.
//!
//! SQL is in this folder only. One connection writes and reads: what polls need is
//! in memory, so nothing else asks often. `synchronous=FULL`: what is committed, and
//! then acknowledged, survives a power cut.

mod attempts;
mod devices;
mod jobs;
mod releases;
mod rollouts;
mod rows;

pub(crate) use attempts::StoredAttempt;
pub(crate) use devices::{StoredDevice, TokenUse};
pub(crate) use rollouts::{Happened, StoredRollout};

use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Schemas by version: the first brings an empty database to version 1, and so on.
/// Never edited once released; a new version is a new entry.
const SCHEMAS: &[&str] = &[include_str!("store/schema.sql")];

/// Why the store fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database fails.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
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

/// What store functions return.
pub(crate) type Stored<T> = Result<T, StoreError>;

/// A statement with its arguments.
type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    line: Arc<Mutex<Line>>,
    statements: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    connection: SqliteConnection,
    /// A transaction was begun and neither committed nor rolled back.
    begun: bool,
}

/// A transaction. It holds the store: memory that follows the store is changed
/// while it lives. Dropped before [`Tx::commit`], it never was.
pub(crate) struct Tx {
    line: OwnedMutexGuard<Line>,
    statements: Arc<AtomicU64>,
}

impl Store {
    /// Opens the database file at `path`, made if it is not there.
    pub(crate) async fn open(path: &Path) -> Stored<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let connection = options.connect().await?;
        let line = Arc::new(Mutex::new(Line { connection, begun: false }));
        let store = Self { line, statements: Arc::default() };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Stored<()> {
        let mut tx = self.begin().await?;
        let rows = tx.all(sqlx::query("PRAGMA user_version")).await?;
        let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        let known = SCHEMAS.len();
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        let missing = SCHEMAS.get(done..).ok_or(StoreError::Newer { found, known })?;
        for schema in missing {
            sqlx::raw_sql(*schema).execute(&mut tx.line.connection).await?;
        }
        let version = format!("PRAGMA user_version = {known}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(&mut tx.line.connection).await?;
        tx.commit().await
    }

    /// Begins a transaction, once no other is under way.
    pub(crate) async fn begin(&self) -> Stored<Tx> {
        let mut line = Arc::clone(&self.line).lock_owned().await;
        if line.begun {
            sqlx::query("ROLLBACK").execute(&mut line.connection).await?;
            line.begun = false;
        }
        let statements = Arc::clone(&self.statements);
        let mut tx = Tx { line, statements };
        tx.run(sqlx::query("BEGIN IMMEDIATE")).await?;
        tx.line.begun = true;
        Ok(tx)
    }

    /// How many statements were run since the start.
    #[cfg(test)]
    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}

impl Tx {
    /// Makes it durable. The store is held until the transaction is dropped.
    pub(crate) async fn commit(&mut self) -> Stored<()> {
        self.run(sqlx::query("COMMIT")).await?;
        self.line.begun = false;
        Ok(())
    }

    /// Runs `statement`. Returns how many rows it changed.
    async fn run(&mut self, statement: Statement<'_>) -> Stored<u64> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(statement.execute(&mut self.line.connection).await?.rows_affected())
    }

    /// Runs `statement`. Returns all its rows.
    async fn all(&mut self, statement: Statement<'_>) -> Stored<Vec<SqliteRow>> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(statement.fetch_all(&mut self.line.connection).await?)
    }

    /// The plan's generation.
    pub(crate) async fn generation(&mut self) -> Stored<u64> {
        let statement = sqlx::query("SELECT value FROM settings WHERE name = 'generation'");
        let rows = self.all(statement).await?;
        let row = rows.first().ok_or(StoreError::Row { what: "generation" })?;
        rows::unsigned(row, "value", "generation")
    }

    /// Raises the generation, so that every replica reads the plan anew.
    pub(crate) async fn raise_generation(&mut self) -> Stored<()> {
        let text = "UPDATE settings SET value = value + 1 WHERE name = 'generation'";
        self.run(sqlx::query(text)).await.map(drop)
    }
}

/// Closes the database in good order.
pub(crate) async fn close(store: Store) -> Stored<()> {
    match Arc::try_unwrap(store.line) {
        Ok(line) => Ok(line.into_inner().connection.close().await?),
        // Somebody still holds it; the journal makes up for it at the next start.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_transaction_never_was() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("db")).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.raise_generation().await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.generation().await.unwrap(), 1);
        tx.raise_generation().await.unwrap();
        tx.commit().await.unwrap();
        drop(tx);
        close(store).await.unwrap();
        let store = Store::open(&place.path().join("db")).await.unwrap();
        assert_eq!(store.begin().await.unwrap().generation().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_newer_database_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        let store = Store::open(&path).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run(sqlx::query("PRAGMA user_version = 99")).await.unwrap();
        tx.commit().await.unwrap();
        drop(tx);
        close(store).await.unwrap();
        assert!(matches!(Store::open(&path).await, Err(StoreError::Newer { found: 99, .. })));
    }
}
