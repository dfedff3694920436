//! Types out of a tree. What can go wrong is found by functions that are no generics, so
//! that a type costs little more than its own fields.

use super::{Node, Tree, TreeError};
use alloc::format;
use alloc::string::String;
use alloc::vec::IntoIter;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

impl Tree {
    #[cold]
    fn not(&self, wanted: &str) -> TreeError {
        let found = match &self.node {
            Node::Null => "nothing",
            Node::Bool(_) => "a boolean",
            Node::Number(_) | Node::Negative(_) => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Table(_) => "a table",
            Node::Other(what) => what,
        };
        TreeError::other(wanted, found, self.at)
    }

    fn bool(&self) -> Result<bool, TreeError> {
        match self.node {
            Node::Bool(value) => Ok(value),
            _ => Err(self.not("a boolean")),
        }
    }

    fn number(&self) -> Result<u64, TreeError> {
        match self.node {
            Node::Number(value) => Ok(value),
            Node::Negative(value) => {
                let found = Unexpected::Signed(value);
                Err(TreeError::invalid_value(found, &"a number from 0 on").near(self.at))
            }
            _ => Err(self.not("a number")),
        }
    }

    fn signed(&self) -> Result<i64, TreeError> {
        match self.node {
            Node::Number(value) => i64::try_from(value).map_err(|_| self.not("a smaller number")),
            Node::Negative(value) => Ok(value),
            _ => Err(self.not("a number")),
        }
    }

    fn text(self) -> Result<String, TreeError> {
        match self.node {
            Node::Text(text) => Ok(text),
            _ => Err(self.not("a text")),
        }
    }

    fn str(&self) -> Result<&str, TreeError> {
        match &self.node {
            Node::Text(text) => Ok(text),
            _ => Err(self.not("a text")),
        }
    }

    fn list(self) -> Result<Items, TreeError> {
        match self.node {
            Node::List(items) => Ok(Items { items: items.into_iter(), index: 0 }),
            _ => Err(self.not("a list")),
        }
    }

    fn table(self) -> Result<Entries, TreeError> {
        match self.node {
            Node::Table(entries) => Ok(Entries { entries: entries.into_iter(), entry: None }),
            _ => Err(self.not("a table")),
        }
    }

    /// The variant of the enum `name`, and what is in it. A name in small letters is a key.
    fn variant(self, name: &str) -> Result<Variant, TreeError> {
        let at = self.at;
        let mut entries = match self.node {
            Node::Text(_) => return Ok(Variant { tag: self, inside: None }),
            Node::Table(entries) => entries,
            _ => return Err(self.not("a word or a table")),
        };
        if name.starts_with(|c: char| c.is_ascii_lowercase()) {
            let own = entries.iter().position(|(key, _)| key.str().is_ok_and(|key| key == name));
            let missing = || TreeError::custom(format!("missing field `{name}`")).near(at);
            let (_, tag) = entries.remove(own.ok_or_else(missing)?);
            return Ok(Variant { tag, inside: Some(Self { node: Node::Table(entries), at }) });
        }
        match (entries.pop(), entries.is_empty()) {
            (Some((tag, inside)), true) => Ok(Variant { tag, inside: Some(inside) }),
            _ => Err(TreeError::other("a table of one entry", "a table", at)),
        }
    }
}

/// What is read one after the other.
struct Items {
    items: IntoIter<Tree>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = TreeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TreeError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|e| e.item(self.index - 1))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// What is read name by name.
struct Entries {
    entries: IntoIter<(Tree, Tree)>,
    entry: Option<(Tree, Tree)>,
}

impl Entries {
    fn advance(&mut self) -> Option<Key<'_>> {
        self.entry = self.entries.next();
        self.entry.as_ref().map(|(key, _)| Key(key))
    }

    fn value(&mut self) -> Result<(Tree, Tree), TreeError> {
        self.entry.take().ok_or_else(|| TreeError::custom("a value was read before its name"))
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = TreeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TreeError> {
        let Some(key) = self.advance() else { return Ok(None) };
        let at = key.0.at;
        seed.deserialize(key).map(Some).map_err(|e| e.near(at))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TreeError> {
        let (key, value) = self.value()?;
        let at = value.at.or(key.at);
        seed.deserialize(value).map_err(|e| e.under(key.str().unwrap_or_default(), at))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The name of an entry or of a variant.
struct Key<'a>(&'a Tree);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = TreeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        visitor.visit_str(self.0.str()?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_enum(Variant { tag: self.0.clone(), inside: None })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant's name, and what is in it.
struct Variant {
    tag: Tree,
    inside: Option<Tree>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = TreeError;
    type Variant = Inside;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Inside), TreeError> {
        let at = self.tag.at;
        let tag = seed.deserialize(Key(&self.tag)).map_err(|e| e.near(at))?;
        Ok((tag, Inside { inside: self.inside, at }))
    }
}

/// What is in a variant.
struct Inside {
    inside: Option<Tree>,
    at: Option<u32>,
}

impl Inside {
    fn some(self) -> Result<Tree, TreeError> {
        let nothing = || TreeError::other("what this variant has in it", "a word", self.at);
        self.inside.ok_or_else(nothing)
    }

    fn none(self) -> Result<(), TreeError> {
        match self.inside {
            None => Ok(()),
            Some(Tree { node: Node::Null, .. }) => Ok(()),
            Some(Tree { node: Node::Table(entries), .. }) if entries.is_empty() => Ok(()),
            Some(inside) => Err(inside.not("nothing in this variant")),
        }
    }
}

impl<'de> VariantAccess<'de> for Inside {
    type Error = TreeError;

    fn unit_variant(self) -> Result<(), TreeError> {
        self.none()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, TreeError> {
        seed.deserialize(self.some()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TreeError> {
        self.some()?.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_map(self.some()?.table()?)
    }
}

/// One line for each kind of value that is asked for in the same way.
macro_rules! ask {
    ($($method:ident $ask:ident $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
            visitor.$visit(self.$ask()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tree {
    type Error = TreeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(value),
            Node::Number(value) => visitor.visit_u64(value),
            Node::Negative(value) => visitor.visit_i64(value),
            Node::Text(text) => visitor.visit_string(text),
            Node::List(_) => visitor.visit_seq(self.list()?),
            Node::Table(_) => visitor.visit_map(self.table()?),
            Node::Other(_) => Err(self.not("a value that documents have")),
        }
    }

    ask! {
        deserialize_bool bool visit_bool,
        deserialize_u8 number visit_u64, deserialize_u16 number visit_u64,
        deserialize_u32 number visit_u64, deserialize_u64 number visit_u64,
        deserialize_i8 signed visit_i64, deserialize_i16 signed visit_i64,
        deserialize_i32 signed visit_i64, deserialize_i64 signed visit_i64,
        deserialize_str text visit_string, deserialize_string text visit_string,
        deserialize_identifier text visit_string,
        deserialize_seq list visit_seq, deserialize_map table visit_map
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        let at = self.at;
        let items = self.list()?;
        let got = items.items.len();
        if got > len {
            return Err(TreeError::invalid_length(got, &"fewer values").near(at));
        }
        visitor.visit_seq(items)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_enum(self.variant(name)?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { f32 f64 char bytes byte_buf unit unit_struct }
}
