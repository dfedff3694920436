//! Terminals about which a static plan says nothing.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};
use types::{DeviceId, Digest, Hasher};

/// The most terminals that a plan sets aside by name: 8 bytes of text each.
pub const ASIDE_LIMIT: usize = 16_384;
/// What stands for everybody.
const EVERYBODY: &str = "*";
/// Hex digits of one mark.
const DIGITS: usize = 8;

/// Terminals that must ask the server: 32 bits of a digest of each name, as one text
/// of hex digits in ascending order. A terminal that is listed by chance asks without
/// need; none is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Aside(Marks);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Marks {
    Some(Vec<u32>),
    Everybody,
}

impl Default for Marks {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Aside {
    /// These terminals; everybody, where they are too many.
    pub fn of<'d>(devices: impl IntoIterator<Item = &'d DeviceId>) -> Self {
        let mut marks: Vec<u32> = devices.into_iter().take(ASIDE_LIMIT + 1).map(mark).collect();
        if marks.len() > ASIDE_LIMIT {
            return Self(Marks::Everybody);
        }
        marks.sort_unstable();
        marks.dedup();
        Self(Marks::Some(marks))
    }

    /// Whether `device` is one of them.
    pub fn holds(&self, device: &DeviceId) -> bool {
        match &self.0 {
            Marks::Some(marks) => !marks.is_empty() && marks.binary_search(&mark(device)).is_ok(),
            Marks::Everybody => true,
        }
    }
}

/// The first 32 bits of the SHA-256 of the name behind a word.
fn mark(device: &DeviceId) -> u32 {
    let mut hasher = Hasher::default();
    hasher.update(b"refit aside v1\0");
    hasher.update(device.as_str().as_bytes());
    let Digest(digest) = hasher.finish();
    digest.iter().take(4).fold(0, |mark, byte| (mark << 8) | u32::from(*byte))
}

impl TryFrom<String> for Aside {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const FORM: &str = "terminals set aside are marks of 8 lower-case hex digits, ascending";
        if text == EVERYBODY {
            return Ok(Self(Marks::Everybody));
        }
        let (marks, rest) = text.as_bytes().as_chunks::<DIGITS>();
        if !rest.is_empty() || marks.len() > ASIDE_LIMIT {
            return Err(FORM);
        }
        let lower = |c: &u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let read = |mark: &[u8; DIGITS]| {
            let text = core::str::from_utf8(mark).ok().filter(|_| mark.iter().all(lower))?;
            u32::from_str_radix(text, 16).ok()
        };
        let marks: Vec<u32> = marks.iter().map(read).collect::<Option<_>>().ok_or(FORM)?;
        let ascending = marks.is_sorted_by(|a, b| a < b);
        if ascending { Ok(Self(Marks::Some(marks))) } else { Err(FORM) }
    }
}

impl From<Aside> for String {
    fn from(aside: Aside) -> Self {
        let Marks::Some(marks) = aside.0 else { return EVERYBODY.into() };
        let mut text = Self::with_capacity(marks.len() * DIGITS);
        for mark in marks {
            // Writing to a text in memory does not fail.
            let _ = write!(text, "{mark:08x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    fn devices(count: usize) -> Vec<DeviceId> {
        (0..count).map(|n| format!("cpe-{n}").parse().unwrap()).collect()
    }

    #[test]
    fn who_is_set_aside_is_found_after_the_wire_and_hardly_anybody_else() {
        let listed = devices(1000);
        let text = String::from(Aside::of(&listed));
        assert_eq!(text.len(), 8000);
        let read = Aside::try_from(text).unwrap();
        assert!(listed.iter().all(|device| read.holds(device)));
        let others = devices(11_000);
        assert!(others.iter().skip(1000).filter(|device| read.holds(device)).count() <= 2);
    }

    #[test]
    fn too_many_are_everybody() {
        let aside = Aside::of(&devices(ASIDE_LIMIT + 1));
        assert_eq!(String::from(aside.clone()), "*");
        assert!(aside.holds(&"anybody".parse().unwrap()));
        assert!(!Aside::default().holds(&"anybody".parse().unwrap()));
        assert!(!Aside::of(&devices(ASIDE_LIMIT)).holds(&"anybody".parse().unwrap()));
    }

    #[test]
    fn a_list_has_one_form() {
        for bad in ["0", "0000000G", "0000000A", "0000000200000001", "0000000100000001", "**"] {
            assert!(Aside::try_from(bad.to_string()).is_err(), "{bad}");
        }
        let long = "00000000".repeat(ASIDE_LIMIT + 1);
        assert!(Aside::try_from(long).is_err());
        for good in ["", "*", "00000001", "00000001fffffffe"] {
            assert_eq!(String::from(Aside::try_from(good.to_string()).unwrap()), good);
        }
    }
}
