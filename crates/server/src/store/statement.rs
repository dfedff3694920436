//! A statement with its values, and the rows it gives: the same on both engines.

use super::{StoreError, Stored};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};
use types::Timestamp;

/// A statement of one text for both engines, with its values `$1`, `$2`, ...
#[derive(Clone)]
pub(super) struct Statement {
    text: SqlStr,
    values: Vec<Value>,
}

/// The end of a text that also locks the rows it reads until the transaction ends.
/// Every engine but SQLite spells it so.
pub(super) const HELD: &str = " FOR UPDATE";

/// What a column can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `TEXT`.
    Text(Option<String>),
    /// `BIGINT`.
    Number(Option<i64>),
    /// `BLOB`, on PostgreSQL `BYTEA`.
    Bytes(Option<Vec<u8>>),
}

/// A statement without values yet.
pub(super) fn query(text: impl SqlSafeStr) -> Statement {
    Statement { text: text.into_sql_str(), values: Vec::new() }
}

macro_rules! bound {
    ($statement:expr, $engine:ty, $arguments:ty) => {{
        let Statement { text, values } = $statement;
        let query: Query<'static, $engine, $arguments> = sqlx::query(text);
        values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }};
}

impl Statement {
    /// Adds the next value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Its text.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        self.text.as_str()
    }

    /// As SQLite takes it: whoever began a transaction there holds every row.
    pub(super) fn sqlite(mut self) -> Query<'static, Sqlite, SqliteArguments> {
        if let Some(text) = self.text.as_str().strip_suffix(HELD) {
            self.text = AssertSqlSafe(text.to_owned()).into_sql_str();
        }
        bound!(self, Sqlite, SqliteArguments)
    }

    /// As PostgreSQL takes it.
    pub(super) fn postgres(self) -> Query<'static, Postgres, PgArguments> {
        bound!(self, Postgres, PgArguments)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Number(Some(time.0))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

/// A row of either engine.
pub(super) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// What `column` holds.
    pub(super) fn try_get<'r, T>(&'r self, column: &str) -> Stored<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        let got = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        got.map_err(StoreError::from)
    }
}
