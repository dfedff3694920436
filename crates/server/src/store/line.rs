//! The one connection of a server to its database, made anew when it breaks.
//!
//! On PostgreSQL every statement has a time limit on both sides. A server that is cut
//! off gives up, and the database ends what it had begun: neither waits for the other
//! for longer than [`PATIENCE`].

use super::changes::Log;
use super::statement::{Row, Statement};
use super::{Address, StoreError, Stored};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlSafeStr, SqliteConnection};
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;
use tokio::time::timeout;

/// How long a statement, or a new connection, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared: all that there are, in all their sizes.
const STATEMENTS: usize = 512;
/// How long a transaction of a server that was cut off goes on holding its rows.
const ABANDONED: Duration = Duration::from_secs(4);
/// How long a statement waits for rows that another transaction holds. Longer than
/// [`ABANDONED`], so that nobody fails because of a server that is gone.
const HELD: Duration = Duration::from_secs(8);

/// A connection to either engine.
#[derive(Debug)]
pub(super) enum Connection {
    /// To a file.
    Sqlite(SqliteConnection),
    /// To a server.
    Postgres(PgConnection),
}

/// The connection, and whether a transaction was begun and neither committed nor
/// rolled back.
#[derive(Debug)]
pub(super) struct Line {
    address: Address,
    connection: Option<Connection>,
    pub(super) begun: bool,
    /// What this server and others tell each other of their changes.
    pub(super) log: Log,
}

impl Line {
    /// A connected line.
    pub(super) async fn open(address: Address) -> Stored<Self> {
        let mut line = Self { address, connection: None, begun: false, log: Log::new()? };
        line.connect().await?;
        Ok(line)
    }

    async fn connect(&mut self) -> Stored<()> {
        self.begun = false;
        self.connection = Some(patiently(&self.address, connect(&self.address)).await?);
        Ok(())
    }

    /// Begins a transaction; on a new connection, if the one there is broken.
    pub(super) async fn begin(&mut self) -> Stored<()> {
        let text = match self.address {
            Address::File(_) => "BEGIN IMMEDIATE",
            Address::Url(_) => "BEGIN",
        };
        self.end().await;
        let known = self.connection.is_some();
        match self.run_text(text).await {
            // The database may have been away and back since the last time.
            Err(_) if known => {
                self.connection = None;
                self.run_text(text).await?;
            }
            other => other?,
        }
        self.begun = true;
        self.log.begin();
        Ok(())
    }

    /// Ends a transaction that was dropped.
    async fn end(&mut self) {
        if self.begun {
            self.begun = false;
            if self.run_text("ROLLBACK").await.is_err() {
                self.connection = None;
            }
        }
    }

    /// Runs one statement outside of transactions; on a new connection, if the one there
    /// is broken. Returns all its rows.
    pub(super) async fn alone(&mut self, statement: impl Fn() -> Statement) -> Stored<Vec<Row>> {
        self.end().await;
        let known = self.connection.is_some();
        match self.all(statement()).await {
            Err(_) if known => {
                self.connection = None;
                self.all(statement()).await
            }
            other => other,
        }
    }

    /// Makes the transaction durable.
    pub(super) async fn commit(&mut self) -> Stored<()> {
        if let Err(error) = self.run_text("COMMIT").await {
            self.log.doubt()?;
            return Err(error);
        }
        self.begun = false;
        self.log.committed();
        Ok(())
    }

    /// Runs statements without values.
    pub(super) async fn run_text(&mut self, text: impl SqlSafeStr) -> Stored<()> {
        let query = sqlx::raw_sql(text);
        self.ensure_connected().await?;
        let (address, connection) = (&self.address, self.connection.as_mut());
        let connection = connection.ok_or(StoreError::Gone)?;
        let done = patiently(address, async {
            match connection {
                Connection::Sqlite(c) => query.execute(c).await.map(drop),
                Connection::Postgres(c) => query.execute(c).await.map(drop),
            }
            .map_err(StoreError::from)
        });
        let done = done.await;
        self.judge(done)
    }

    /// Runs `statement`. Returns how many rows it changed.
    pub(super) async fn run(&mut self, statement: Statement) -> Stored<u64> {
        self.ensure_connected().await?;
        let (address, connection) = (&self.address, self.connection.as_mut());
        let connection = connection.ok_or(StoreError::Gone)?;
        let done = patiently(address, async {
            match connection {
                Connection::Sqlite(c) => {
                    statement.sqlite().execute(c).await.map(|done| done.rows_affected())
                }
                Connection::Postgres(c) => {
                    statement.postgres().execute(c).await.map(|done| done.rows_affected())
                }
            }
            .map_err(StoreError::from)
        });
        let done = done.await;
        self.judge(done)
    }

    /// Runs `statement`. Returns all its rows.
    pub(super) async fn all(&mut self, statement: Statement) -> Stored<Vec<Row>> {
        self.ensure_connected().await?;
        let (address, connection) = (&self.address, self.connection.as_mut());
        let connection = connection.ok_or(StoreError::Gone)?;
        let rows = patiently(address, async {
            match connection {
                Connection::Sqlite(c) => {
                    let rows = statement.sqlite().fetch_all(c).await;
                    rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
                }
                Connection::Postgres(c) => {
                    let rows = statement.postgres().fetch_all(c).await;
                    rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
                }
            }
            .map_err(StoreError::from)
        });
        let rows = rows.await;
        self.judge(rows)
    }

    /// Within a transaction a lost connection stays lost: what was begun on it is gone.
    async fn ensure_connected(&mut self) -> Stored<()> {
        if self.connection.is_none() && !self.begun {
            self.connect().await?;
        }
        Ok(())
    }

    /// Gives up a connection of which nobody knows what it does.
    fn judge<T>(&mut self, result: Stored<T>) -> Stored<T> {
        if result.as_ref().is_err_and(StoreError::breaks) {
            self.connection = None;
        }
        result
    }

    /// Whether the other end is PostgreSQL.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.address, Address::Url(_))
    }

    /// Closes it in good order.
    pub(super) async fn close(self) -> Stored<()> {
        match self.connection {
            Some(Connection::Sqlite(connection)) => Ok(connection.close().await?),
            Some(Connection::Postgres(connection)) => Ok(connection.close().await?),
            None => Ok(()),
        }
    }
}

/// Waits for another machine with patience, and for the own disk as long as it takes.
async fn patiently<T>(address: &Address, work: impl Future<Output = Stored<T>>) -> Stored<T> {
    match address {
        Address::File(_) => work.await,
        Address::Url(_) => timeout(PATIENCE, work).await.map_err(|_| StoreError::Slow)?,
    }
}

async fn connect(address: &Address) -> Stored<Connection> {
    match address {
        Address::File(path) => sqlite(path).await.map(Connection::Sqlite),
        Address::Url(url) => postgres(url).await.map(Connection::Postgres),
    }
}

/// `synchronous=FULL`: what is committed, and then acknowledged, survives a power cut.
async fn sqlite(path: &Path) -> Stored<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(STATEMENTS)
        .busy_timeout(PATIENCE);
    Ok(options.connect().await?)
}

/// The limits are set by statements, not by start-up options: poolers and distributed
/// engines know these.
async fn postgres(url: &str) -> Stored<PgConnection> {
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
    let options = options.statement_cache_capacity(STATEMENTS);
    let mut connection = options.application_name("refit-server").connect().await?;
    let limits = [
        ("statement_timeout", PATIENCE),
        ("lock_timeout", HELD),
        ("idle_in_transaction_session_timeout", ABANDONED),
    ];
    for (name, limit) in limits {
        let text = format!("SET {name} = {}", limit.as_millis());
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await?;
    }
    Ok(connection)
}
