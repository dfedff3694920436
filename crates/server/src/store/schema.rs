//! The schema, by versions, and the way from each to the next.

use super::statement::query;
use super::{Store, StoreError, Stored, Tx};
use sqlx::AssertSqlSafe;

/// The first brings an empty database to version 1, and so on. Never edited once
/// released; a new version is a new entry.
const SCHEMAS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
];

/// How often a migration is tried while other servers migrate the same database.
const TRIES: u32 = 5;

/// The newest version.
pub(super) fn newest() -> usize {
    SCHEMAS.len()
}

/// Brings the database to the newest version.
pub(super) async fn migrate(store: &Store) -> Stored<()> {
    migrate_to(store, newest()).await
}

/// Brings the database to version `wanted`.
pub(super) async fn migrate_to(store: &Store, wanted: usize) -> Stored<()> {
    let mut tries = TRIES;
    loop {
        match step(store, wanted).await {
            Ok(()) => return Ok(()),
            Err(error @ StoreError::Newer { .. }) => return Err(error),
            // Another server may have been quicker: then the next look says so.
            Err(error) if tries == 0 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

async fn step(store: &Store, wanted: usize) -> Stored<()> {
    let mut tx = store.begin().await?;
    let found = version(&mut tx).await?;
    let known = newest();
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let missing = SCHEMAS.get(done..).ok_or(StoreError::Newer { found, known })?;
    let missing = missing.get(..wanted.saturating_sub(done)).unwrap_or_default();
    for schema in missing {
        let text = spelled(schema, tx.line.is_postgres());
        tx.line.run_text(AssertSqlSafe(text)).await?;
    }
    if !missing.is_empty() {
        set_version(&mut tx, wanted).await?;
    }
    tx.commit().await
}

/// The schema in the words of an engine: they differ in the name of the type for bytes, and
/// in how bytes are written.
fn spelled(schema: &str, postgres: bool) -> String {
    if postgres {
        schema.replace(" BLOB", " BYTEA").replace("X'", "'\\x")
    } else {
        schema.to_owned()
    }
}

/// The version of a database; 0 for an empty one.
pub(super) async fn version(tx: &mut Tx) -> Stored<i64> {
    if tx.line.is_postgres() {
        let there = "SELECT table_name FROM information_schema.tables \
                     WHERE table_schema = current_schema() AND table_name = 'schema_version'";
        if tx.all(query(there)).await?.is_empty() {
            return Ok(0);
        }
        let rows = tx.all(query("SELECT version FROM schema_version")).await?;
        return rows.first().map_or(Ok(0), |row| row.try_get("version"));
    }
    let rows = tx.all(query("PRAGMA user_version")).await?;
    rows.first().map_or(Ok(0), |row| row.try_get("user_version"))
}

pub(super) async fn set_version(tx: &mut Tx, version: usize) -> Stored<()> {
    let text = if tx.line.is_postgres() {
        format!(
            "CREATE TABLE IF NOT EXISTS schema_version (one BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
             INSERT INTO schema_version (one, version) VALUES (1, {version}) \
             ON CONFLICT (one) DO UPDATE SET version = excluded.version"
        )
    } else {
        format!("PRAGMA user_version = {version}")
    };
    tx.line.run_text(AssertSqlSafe(text)).await
}
