//! Why a tree is not what was asked for, and where in it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// Why a tree is not what was asked for.
#[derive(Debug)]
pub struct TreeError(Box<Fault>);

#[derive(Debug)]
struct Fault {
    text: String,
    /// The way to the value, as `components.rootfs.size`; empty at the root.
    path: String,
    at: Option<u32>,
}

impl TreeError {
    /// Bytes of the text before the value, where they were counted.
    pub fn at(&self) -> Option<u32> {
        self.0.at
    }

    /// The value at `at` is not `wanted`.
    #[cold]
    pub(super) fn other(wanted: &str, found: &str, at: Option<u32>) -> Self {
        let text = format!("invalid type: {found}, expected {wanted}");
        Self(Box::new(Fault { text, path: String::new(), at }))
    }

    /// The same for who looked into the entry `key` for it.
    #[cold]
    #[inline(never)]
    pub(super) fn under(mut self, key: &str, at: Option<u32>) -> Self {
        let path = &mut self.0.path;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        *path = format!("{key}{dot}{path}");
        self.near(at)
    }

    /// The same for who looked into number `index` of a list.
    #[cold]
    #[inline(never)]
    pub(super) fn item(self, index: usize) -> Self {
        self.under(&format!("[{index}]"), None)
    }

    /// The same, where `at` is the nearest that is known.
    #[cold]
    pub(super) fn near(mut self, at: Option<u32>) -> Self {
        self.0.at = self.0.at.or(at);
        self
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { text, path, .. } = &*self.0;
        if !path.is_empty() {
            write!(f, "`{path}`: ")?;
        }
        f.write_str(text)
    }
}

impl core::error::Error for TreeError {}

impl serde::de::Error for TreeError {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(Box::new(Fault { text: text.to_string(), path: String::new(), at: None }))
    }
}
