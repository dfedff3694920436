//! Documents as a plain tree, and the one reader that everything small is read by.
//!
//! The code that serde derives for a type is made once per reader. Whoever counts bytes
//! reads TOML and JSON into a [`Tree`] first, and every type out of that, so that it is
//! made once at all; and errors say the way to the value. Deliberately absent: fractions
//! and dates, which no document has, and borrowed text.

mod build;
mod error;
mod read;

pub use error::TreeError;

use alloc::string::String;
use alloc::vec::Vec;
use serde::de::{Deserialize, DeserializeOwned};

/// A value, and where it stands in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The value.
    pub node: Node,
    /// Bytes before it in the text; `None` where nobody counted.
    pub at: Option<u32>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number from 0 on.
    Number(u64),
    /// A number below 0.
    Negative(i64),
    /// Text.
    Text(String),
    /// Values in their order.
    List(Vec<Tree>),
    /// Names and their values, as they came: a name that comes twice is in it twice.
    Table(Vec<(Tree, Tree)>),
    /// What no document has, as `a date`.
    Other(&'static str),
}

impl From<Node> for Tree {
    fn from(node: Node) -> Self {
        Self { node, at: None }
    }
}

impl Tree {
    /// Reads JSON.
    ///
    /// # Errors
    /// It is none, or nests deeper than 128 levels.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TreeError> {
        serde_json::from_slice(bytes).map_err(<TreeError as serde::de::Error>::custom)
    }

    /// What a table has under `key`.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Node::Table(entries) = &self.node else { return None };
        let is_key = |name: &Self| matches!(&name.node, Node::Text(text) if text == key);
        entries.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
    }

    /// The value as `T`.
    ///
    /// An enum is its variant's name; or a table of one entry, which is the variant's name
    /// and what is in it; or a table of what is in it and the variant's name under the key
    /// that the enum itself is called (`#[serde(rename = "control")]`).
    ///
    /// # Errors
    /// It is no `T`.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, TreeError> {
        T::deserialize(self)
    }
}

/// Reads `T` from JSON, by way of the tree.
///
/// # Errors
/// It is no JSON, or no `T`.
pub fn from_json<'de, T: Deserialize<'de>>(bytes: &[u8]) -> Result<T, TreeError> {
    T::deserialize(Tree::from_json(bytes)?)
}

#[cfg(test)]
mod tests;
