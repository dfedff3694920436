//! Reads JSON from strangers: duplicate keys, fractions and deep nesting are refused.
//!
//! Two readers that take different ones of two equal keys would see two
//! documents under one signature.

use crate::TrustError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use types::Tree;
use types::tree::Node;

/// The deepest nesting: TUF metadata needs 7, the rest is room for `custom`.
const DEPTH_LIMIT: u8 = 16;

/// Reads one JSON value of at most `limit` bytes; `kind` is its word in messages.
pub(crate) fn read(kind: &'static str, limit: u32, bytes: &[u8]) -> Result<Value, TrustError> {
    if u32::try_from(bytes.len()).map_or(true, |len| len > limit) {
        return Err(TrustError::TooLong { kind, limit });
    }
    let wrap = |cause| TrustError::NotJson { kind, cause };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: DEPTH_LIMIT }.deserialize(&mut reader).map_err(wrap)?;
    reader.end().map_err(wrap)?;
    Ok(value)
}

/// The same as the tree that types are read from.
pub(crate) fn tree(value: Value) -> Tree {
    Tree::from(match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Node::Number(number),
            (None, Some(number)) => Node::Negative(number),
            (None, None) => Node::Other("a fraction"),
        },
        Value::String(text) => Node::Text(text),
        Value::Array(items) => Node::List(items.into_iter().map(tree).collect()),
        Value::Object(map) => {
            let entry = |(key, value)| (Node::Text(key).into(), tree(value));
            Node::Table(map.into_iter().map(entry).collect())
        }
    })
}

/// A value that may still nest `depth` levels.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("key `{key}` appears twice")));
            }
            let value = map.next_value_seed(inner)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}
