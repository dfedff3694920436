//! Programs of a package's maker that run around an update.

use package::Phase;
use types::{Seconds, Text};

/// One program that is to run. What it runs is proven: a command line that the maker
/// signed, and either a program of the running release or bytes that match their
/// signed digest.
#[derive(Debug, Clone, Copy)]
pub struct HookCall<'a> {
    /// When it runs.
    pub phase: Phase,
    /// Program and arguments, as `execve` takes them.
    pub command: &'a [String],
    /// The program's bytes, where the package brought it.
    pub program: Option<&'a [u8]>,
    /// After so long it is ended with all that it started.
    pub limit: Seconds,
    /// What it is told, by name.
    pub variables: &'a [(&'static str, String)],
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookEnd {
    /// Why it does not count as passed.
    pub fault: Option<Text>,
    /// The first of what it said, for people.
    pub said: String,
}

/// Runs hooks, kept from everything that they do not need.
pub trait Hooks {
    /// Why this terminal runs no hooks, if it does not.
    fn obstacle(&self) -> Option<Text>;

    /// Runs one until it ends or is ended.
    fn run(&mut self, call: &HookCall<'_>) -> HookEnd;
}
