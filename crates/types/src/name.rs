//! Names and texts that come from outside, bounded and harmless.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// The longest name, in bytes: it must fit a persisted record of 512 bytes
/// together with its neighbours, a URL and a file name.
const NAME_LIMIT: usize = 64;

/// The longest free text in a report or a refusal, in bytes.
const TEXT_LIMIT: usize = 160;

/// A product, component, variant, region, tag, hardware string or source: 1 to
/// 64 of `A-Z a-z 0-9 . _ + : -`, not starting with a dot or a dash, so that it can
/// stand in a path, a URL or a command line without being taken for more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name: use 1 to 64 of A-Z a-z 0-9 . _ + : - and start with a letter or digit")]
pub struct NameError(String);

impl Name {
    /// The name for what is not known.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let allowed =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'+' | b':' | b'-');
    text.len() <= NAME_LIMIT
        && text.bytes().all(allowed)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        if is_name(&text) { Ok(Self(text)) } else { Err(NameError(Text::from(text.as_str()).0)) }
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        String::from(text).try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one terminal, unique in its fleet.
pub type DeviceId = Name;

/// A sentence for people, cut to 160 bytes at a character's end, control
/// characters replaced, so that a hostile text cannot fill a record or a screen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Text(String);

impl Text {
    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut out = String::new();
        for c in text.chars() {
            let c = if c.is_control() { ' ' } else { c };
            if out.len() + c.len_utf8() > TEXT_LIMIT {
                break;
            }
            out.push(c);
        }
        Self(out)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, good: bool) {
        assert_eq!(text.parse::<Name>().is_ok(), good, "{text:?}");
    }

    #[test]
    fn names_are_harmless_in_paths_and_urls() {
        for good in ["rootfs", "ACME-R7000", "a", "00:1a:2b", "v1.2_rc+1"] {
            check(good, true);
        }
        let long = "x".repeat(65);
        for bad in ["", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\0", "ä", "a%2f", &long] {
            check(bad, false);
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        let text = Text::from("ä".repeat(100).as_str());
        assert_eq!(text.as_str().len(), 160);
        assert_eq!(Text::from("a\nb\u{1b}[2J").as_str(), "a b [2J");
    }
}
