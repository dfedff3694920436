//! TOML, by way of the tree that all documents are read from.

use serde::de::DeserializeOwned;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use types::tree::Node;
use types::{Tree, TreeError};

/// Why a text is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// It is no TOML.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// It is, but says what no configuration says.
    #[error("line {line}: {cause}")]
    Meaning {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there; not a cause, for it is half of the sentence.
        cause: TreeError,
    },
}

/// What `tree` means, which was read from `text`.
///
/// # Errors
/// It is no `T`.
pub(super) fn meant<T: DeserializeOwned>(tree: Tree, text: &str) -> Result<T, FormError> {
    tree.read().map_err(|cause| FormError::Meaning { line: line(text, cause.at()), cause })
}

/// Reads TOML.
///
/// # Errors
/// It is none.
pub(super) fn tree(text: &str) -> Result<Tree, FormError> {
    let table = DeTable::parse(text)?;
    Ok(Tree { at: Some(0), node: entries(table.into_inner()) })
}

/// The line in which byte `at` is, from 1 on.
fn line(text: &str, at: Option<u32>) -> usize {
    let at = at.and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn entries(table: DeTable<'_>) -> Node {
    let entries = table.into_iter().map(|(key, value)| (placed(key, text), placed(value, node)));
    Node::Table(entries.collect())
}

fn placed<T>(spanned: Spanned<T>, node: fn(T) -> Node) -> Tree {
    let at = u32::try_from(spanned.span().start).ok();
    Tree { at, node: node(spanned.into_inner()) }
}

fn text(text: Cow<'_, str>) -> Node {
    Node::Text(text.into_owned())
}

fn node(value: DeValue<'_>) -> Node {
    match value {
        DeValue::String(value) => text(value),
        DeValue::Boolean(value) => Node::Bool(value),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => u64::try_from(number).map_or(Node::Negative(number), Node::Number),
            Err(_) => Node::Other("a number that is too large"),
        },
        DeValue::Float(_) => Node::Other("a fraction"),
        DeValue::Datetime(_) => Node::Other("a date"),
        DeValue::Array(items) => {
            Node::List(items.into_iter().map(|item| placed(item, node)).collect())
        }
        DeValue::Table(table) => entries(table),
    }
}
