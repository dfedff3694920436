//! Reads columns: numbers that are never negative, names, JSON.

use super::statement::{Row, Value};
use super::{StoreError, Stored};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::str::FromStr;
use types::{Name, Timestamp};

/// A column that is a number from 0 on.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &Row, column: &str, what: &'static str) -> Stored<T> {
    let value: i64 = row.try_get(column)?;
    T::try_from(value).map_err(|_| StoreError::Row { what })
}

/// A column that is a time.
pub(super) fn time(row: &Row, column: &str) -> Stored<Timestamp> {
    Ok(Timestamp(row.try_get(column)?))
}

/// A column whose text has one of our text forms.
pub(super) fn parsed<T: FromStr>(row: &Row, column: &str, what: &'static str) -> Stored<T> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| StoreError::Row { what })
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &str, what: &'static str) -> Stored<T> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|_| StoreError::Row { what })
}

/// Names as values.
pub(super) fn texts(names: &[Name]) -> Vec<Value> {
    names.iter().map(|name| name.as_str().into()).collect()
}

/// The JSON of `value`, for a column.
pub(super) fn to_json<T: Serialize>(value: &T, what: &'static str) -> Stored<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Row { what })
}

/// `value` as a column holds it; what is larger than 2^63 - 1 is that.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
