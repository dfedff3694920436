//! A copy of everything that the database holds, as lines of JSON, and the way back
//! into an empty database of either engine.
//!
//! The first line says the version of the schema. Each further line is one row: its
//! table, and its columns by name; bytes are hexadecimal digits behind `x`. The tables
//! are those that the engine lists, so that none can be forgotten.

use super::bulk::insert;
use super::statement::{Row, Value as Column, query};
use super::{Store, StoreError, Stored, Tx, schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;
use std::io::{BufRead, Write};

/// Rows that are read, or written, at once.
const PAGE: i64 = 5000;
/// Tables of this start or server only, not of the fleet; and deltas, which can be made
/// again and are in no copy.
const NOT_COPIED: [&str; 5] = ["schema_version", "replicas", "changes", "deltas", "downloads"];
/// What this server calls such a copy.
const KIND: &str = "refit-store";

/// Why a copy fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy cannot be read or written.
    #[error("the copy cannot be read or written")]
    Io(#[from] std::io::Error),
    /// A line is not as this server writes it.
    #[error("line {0} is not of a copy that this server made")]
    Line(usize),
    /// There is something in the database already.
    #[error("the database is not empty; a copy goes into an empty one only")]
    NotEmpty,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    kind: String,
    schema: usize,
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    table: String,
    row: Map<String, Value>,
}

/// A column as its table declares it.
struct Declared {
    name: String,
    bytes: bool,
    number: bool,
}

/// Writes everything to `out`, as it is at one moment. Returns how many rows.
pub(crate) async fn backup(store: &Store, out: &mut impl Write) -> Result<u64, CopyError> {
    let mut tx = store.begin().await?;
    if tx.is_shared() {
        tx.line.run_text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    }
    let found = schema::version(&mut tx).await?;
    let schema = usize::try_from(found).map_err(|_| StoreError::Row { what: "version" })?;
    write_line(out, &Head { kind: KIND.into(), schema })?;
    let mut rows = 0;
    for table in tables(&mut tx).await? {
        rows += table_out(&mut tx, &table, out).await?;
    }
    out.flush()?;
    Ok(rows)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), CopyError> {
    let text = serde_json::to_string(line).map_err(std::io::Error::other)?;
    Ok(writeln!(out, "{text}")?)
}

/// All tables of the fleet, by name.
async fn tables(tx: &mut Tx) -> Stored<Vec<String>> {
    let text = if tx.is_shared() {
        "SELECT table_name AS name FROM information_schema.tables \
         WHERE table_schema = current_schema() ORDER BY table_name"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    };
    let rows = tx.all(query(text)).await?;
    let names: Stored<Vec<String>> = rows.iter().map(|row| row.try_get("name")).collect();
    Ok(names?.into_iter().filter(|name| !NOT_COPIED.contains(&name.as_str())).collect())
}

/// The columns of a table; the key's come first, in its order.
async fn columns(tx: &mut Tx, table: &str) -> Stored<(Vec<Declared>, Vec<String>)> {
    let (all, keys) = if tx.is_shared() {
        (
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind \
             FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1",
            "SELECT CAST(k.column_name AS TEXT) AS name FROM information_schema.table_constraints c \
             JOIN information_schema.key_column_usage k ON k.constraint_name = c.constraint_name \
             AND k.table_schema = c.table_schema AND k.table_name = c.table_name \
             WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = current_schema() \
             AND c.table_name = $1 ORDER BY k.ordinal_position",
        )
    } else {
        (
            "SELECT name, type AS kind FROM pragma_table_info($1)",
            "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
        )
    };
    let declared = |row: &Row| {
        let (name, kind): (String, String) = (row.try_get("name")?, row.try_get("kind")?);
        let kind = kind.to_ascii_lowercase();
        let bytes = matches!(kind.as_str(), "blob" | "bytea");
        Ok(Declared { name, bytes, number: kind == "bigint" })
    };
    let declared: Stored<Vec<_>> =
        tx.all(query(all).bind(table)).await?.iter().map(declared).collect();
    let keys = tx.all(query(keys).bind(table)).await?;
    let keys: Stored<Vec<String>> = keys.iter().map(|row| row.try_get("name")).collect();
    Ok((declared?, keys?))
}

async fn table_out(tx: &mut Tx, table: &str, out: &mut impl Write) -> Result<u64, CopyError> {
    let (columns, keys) = columns(tx, table).await?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let (names, order) = (names.join(", "), keys.join(", "));
    let (mut written, mut last): (u64, Option<Vec<Column>>) = (0, None);
    loop {
        let marks: Vec<String> = (1..=keys.len()).map(|n| format!("${n}")).collect();
        let behind = last.as_ref().map(|_| format!("WHERE ({order}) > ({})", marks.join(", ")));
        let behind = behind.unwrap_or_default();
        let text = format!("SELECT {names} FROM {table} {behind} ORDER BY {order} LIMIT {PAGE}");
        let values = last.take().unwrap_or_default();
        let statement = values.into_iter().fold(query(AssertSqlSafe(text)), |q, v| q.bind(v));
        let rows = tx.all(statement).await?;
        for row in &rows {
            let row = row_out(row, &columns)?;
            write_line(out, &Line { table: table.into(), row })?;
            written += 1;
        }
        let Some(end) = rows.last().filter(|_| rows.len() == usize::try_from(PAGE).unwrap_or(0))
        else {
            return Ok(written);
        };
        let key = |name: &String| column(end, columns.iter().find(|c| c.name == *name));
        last = Some(keys.iter().map(key).collect::<Stored<_>>()?);
    }
}

/// What a column of a row holds.
fn column(row: &Row, declared: Option<&Declared>) -> Stored<Column> {
    let declared = declared.ok_or(StoreError::Row { what: "key" })?;
    let name = declared.name.as_str();
    if declared.bytes {
        return row.try_get(name).map(Column::Bytes);
    }
    if declared.number {
        return row.try_get(name).map(Column::Number);
    }
    row.try_get(name).map(Column::Text)
}

fn row_out(row: &Row, columns: &[Declared]) -> Stored<Map<String, Value>> {
    let mut out = Map::new();
    for declared in columns {
        let value = match column(row, Some(declared))? {
            Column::Text(Some(text)) => Value::String(text),
            Column::Number(Some(number)) => number.into(),
            Column::Bytes(Some(bytes)) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Value::String(format!("x{digits}"))
            }
            Column::Text(None) | Column::Number(None) | Column::Bytes(None) => Value::Null,
        };
        out.insert(declared.name.clone(), value);
    }
    Ok(out)
}

/// Reads a copy into the empty database at `store`, which is of no version yet, and
/// brings it to the version of this server. Returns how many rows.
pub(crate) async fn restore(store: &Store, copy: &mut impl BufRead) -> Result<u64, CopyError> {
    let mut lines = copy.lines().enumerate();
    let first = lines.next().ok_or(CopyError::Line(1))?.1?;
    let head: Head = serde_json::from_str(&first).map_err(|_| CopyError::Line(1))?;
    if head.kind != KIND {
        return Err(CopyError::Line(1));
    }
    if head.schema > schema::newest() {
        let found = i64::try_from(head.schema).unwrap_or(i64::MAX);
        return Err(StoreError::Newer { found, known: schema::newest() }.into());
    }
    if schema::version(&mut store.begin().await?).await? != 0 {
        return Err(CopyError::NotEmpty);
    }
    schema::migrate_to(store, head.schema).await?;
    let mut tx = store.begin().await?;
    let all = tables(&mut tx).await?;
    for table in &all {
        let text = format!("DELETE FROM {table}");
        tx.run(query(AssertSqlSafe(text))).await?;
    }
    let written = lines_in(&mut tx, &all, lines).await?;
    tx.commit().await?;
    drop(tx);
    schema::migrate(store).await?;
    Ok(written)
}

/// Writes the rows of `lines` into tables that are among `all`.
async fn lines_in(
    tx: &mut Tx,
    all: &[String],
    lines: impl Iterator<Item = (usize, std::io::Result<String>)>,
) -> Result<u64, CopyError> {
    let (mut written, mut table) = (0, String::new());
    let mut gathered: Vec<Map<String, Value>> = Vec::new();
    for (number, line) in lines {
        let wrong = || CopyError::Line(number + 1);
        let line: Line = serde_json::from_str(&line?).map_err(|_| wrong())?;
        if !all.contains(&line.table) {
            return Err(wrong());
        }
        if line.table != table || gathered.len() >= usize::try_from(PAGE).unwrap_or(1) {
            rows_in(tx, &table, &gathered).await?;
            gathered.clear();
            table = line.table;
        }
        gathered.push(line.row);
        written += 1;
    }
    rows_in(tx, &table, &gathered).await?;
    Ok(written)
}

async fn rows_in(tx: &mut Tx, table: &str, rows: &[Map<String, Value>]) -> Stored<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (columns, _) = columns(tx, table).await?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let head = format!("INSERT INTO {table} ({})", names.join(", "));
    let values = |row: &Map<String, Value>| -> Stored<Vec<Column>> {
        columns.iter().map(|declared| column_in(row.get(&declared.name), declared)).collect()
    };
    let values: Stored<Vec<_>> = rows.iter().map(values).collect();
    for statement in insert(&head, &values?, "") {
        tx.run(statement).await?;
    }
    Ok(())
}

fn column_in(value: Option<&Value>, declared: &Declared) -> Stored<Column> {
    let wrong = StoreError::Row { what: "column of the copy" };
    match value {
        Some(Value::String(text)) if declared.bytes => {
            let bytes = text.strip_prefix('x').and_then(bytes_of).ok_or(wrong)?;
            Ok(Column::Bytes(Some(bytes)))
        }
        Some(Value::String(text)) => Ok(Column::Text(Some(text.clone()))),
        Some(Value::Number(number)) => Ok(Column::Number(Some(number.as_i64().ok_or(wrong)?))),
        Some(Value::Null) if declared.bytes => Ok(Column::Bytes(None)),
        Some(Value::Null) if declared.number => Ok(Column::Number(None)),
        Some(Value::Null) => Ok(Column::Text(None)),
        _ => Err(wrong),
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}
