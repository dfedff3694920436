//! Components without a second bank.

use super::Flash;
use std::io;

/// A component that is staged beside what runs, then switched without a boot.
pub trait Live: Flash {
    /// Runs what is staged. Doing it again changes nothing.
    ///
    /// # Errors
    /// The old one runs.
    fn switch(&mut self) -> io::Result<()>;

    /// Runs what ran before a switch that was not kept; otherwise changes nothing.
    ///
    /// # Errors
    /// What runs is as before.
    fn switch_back(&mut self) -> io::Result<()>;

    /// Makes a switch permanent. Doing it again changes nothing.
    ///
    /// # Errors
    /// The switch can still be undone.
    fn keep(&mut self) -> io::Result<()>;
}

/// A component that has one place only: staged, then applied for good.
pub trait Direct: Flash {
    /// Applies what is staged. Doing it again gives the same.
    ///
    /// # Errors
    /// The component may be damaged until it is applied again.
    fn apply(&mut self) -> io::Result<()>;
}
