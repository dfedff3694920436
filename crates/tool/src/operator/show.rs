//! How answers are printed: as JSON for scripts, as tables for people.

use comfy_table::{Table, presets};
use serde::Serialize;

/// Prints `value` as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table without lines.
pub(crate) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|word| word.to_uppercase()));
    rows.for_each(|row| {
        table.add_row(row);
    });
    table
}

/// A word of the wire, as `running` for `RolloutState::Running`.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
