//! Which devices somebody means: a filter in the syntax of RSQL and FIQL.
//!
//! ```text
//! region==south;hardware=in=(r1,r2);(version.rootfs<2.10,tag==pilot);attribute.olt==olt-7*
//! ```
//! `;` or `and` binds closer than `,` or `or`. A device has any number of values of a
//! key: `==` and `=in=` hold when one of them fits, `!=` and `=out=` when none does, so
//! that they hold for a device without the key too. `*` stands for any characters;
//! `key==*` asks whether there is a value at all. `<`, `<=`, `>`, `>=` (`=lt=`, `=le=`,
//! `=gt=`, `=ge=`) compare by [`rank`], in which 2.10 comes behind 2.9.
//!
//! Deliberately absent: SQL. A store compiles [`Filter::node`] for itself.

mod groups;
mod parse;
mod rank;

pub use groups::GroupError;
pub use parse::{Fault, FilterError};
pub use rank::rank;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use types::Name;

/// The longest filter, in bytes.
pub const LENGTH_LIMIT: usize = 4096;
/// How deep parentheses may nest: a parser and a database recurse into them.
pub const DEPTH_LIMIT: usize = 16;
/// The most values of one filter: each becomes a parameter of a statement.
pub const VALUES_LIMIT: usize = 256;
/// The most `*` of one value.
pub const STARS_LIMIT: usize = 8;

/// A filter that was understood. Two filters are equal when their texts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    text: String,
    node: Node,
}

/// A part of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Every one must hold.
    All(Vec<Node>),
    /// One must hold.
    Any(Vec<Node>),
    /// One question.
    Test(Key, Ask),
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `device`: its name.
    Device,
    /// `product`
    Product,
    /// `hardware`
    Hardware,
    /// `variant`
    Variant,
    /// `region`: where it is used, as it says itself.
    Region,
    /// `home`: the region that it was sold for.
    Home,
    /// `abroad`: `yes`, where it is used outside of its home.
    Abroad,
    /// `channel`
    Channel,
    /// `tag`
    Tag,
    /// `group`: the static groups it is in; a dynamic one is put in beside its name
    /// ([`Filter::with_groups`]).
    Group,
    /// `version` of any component, or `version.COMPONENT`.
    Version(Option<Name>),
    /// `attribute.NAME`
    Attribute(Name),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// One of the device's values fits one of these.
    In(Vec<Pattern>),
    /// None of the device's values fits any of these.
    NotIn(Vec<Pattern>),
    /// One of the device's values stands so to this one, by [`rank`].
    Ranks(Relation, String),
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// A value, perhaps with stars: the texts between them, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<String>);

/// What filters ask about.
pub trait Words {
    /// Whether `test` holds for one of the values of `key`.
    fn any(&self, key: &Key, test: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl Filter {
    /// What it consists of.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds for a device.
    pub fn matches(&self, device: &dyn Words) -> bool {
        self.node.holds(device)
    }
}

impl Node {
    fn holds(&self, device: &dyn Words) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(device)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(device)),
            Self::Test(key, ask) => ask.holds(key, device),
        }
    }
}

impl Ask {
    fn holds(&self, key: &Key, device: &dyn Words) -> bool {
        let fits = |patterns: &[Pattern]| {
            device.any(key, &mut |value| patterns.iter().any(|pattern| pattern.fits(value)))
        };
        match self {
            Self::In(patterns) => fits(patterns),
            Self::NotIn(patterns) => !fits(patterns),
            Self::Ranks(relation, bound) => {
                let bound = rank(bound);
                device.any(key, &mut |value| relation.holds(&rank(value), &bound))
            }
        }
    }
}

impl Relation {
    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, value: &[u8], bound: &[u8]) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::Greater => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}

impl Pattern {
    /// Whether the whole of `value` fits.
    pub fn fits(&self, value: &str) -> bool {
        let [first, between @ .., last] = &self.0[..] else {
            return self.0.first().is_some_and(|only| only == value);
        };
        let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
        for piece in between {
            let Some((_, behind)) = rest.split_once(piece.as_str()) else { return false };
            rest = behind;
        }
        rest.ends_with(last.as_str())
    }
}

impl Key {
    const PLAIN: [(&'static str, Self); 11] = [
        ("device", Self::Device),
        ("product", Self::Product),
        ("hardware", Self::Hardware),
        ("variant", Self::Variant),
        ("region", Self::Region),
        ("home", Self::Home),
        ("abroad", Self::Abroad),
        ("channel", Self::Channel),
        ("tag", Self::Tag),
        ("group", Self::Group),
        ("version", Self::Version(None)),
    ];

    /// The key of this text, if it is one.
    fn of(text: &str) -> Option<Self> {
        if let Some((_, key)) = Self::PLAIN.iter().find(|(word, _)| *word == text) {
            return Some(key.clone());
        }
        match text.split_once('.')? {
            ("version", component) => Some(Self::Version(Some(component.parse().ok()?))),
            ("attribute", name) => Some(Self::Attribute(name.parse().ok()?)),
            _ => None,
        }
    }

    /// The key's kind, and the name behind its dot.
    pub fn parts(&self) -> (&'static str, Option<&Name>) {
        match self {
            Self::Attribute(name) => ("attribute", Some(name)),
            Self::Version(component) => ("version", component.as_ref()),
            plain => {
                let word = Self::PLAIN.iter().find(|(_, key)| key == plain);
                (word.map_or("", |(word, _)| word), None)
            }
        }
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self { text: text.into(), node: parse::parse(text)? })
    }
}

impl TryFrom<String> for Filter {
    type Error = FilterError;
    fn try_from(text: String) -> Result<Self, FilterError> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.text
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
