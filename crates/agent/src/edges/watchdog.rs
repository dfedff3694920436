//! The timer that resets the terminal when nobody feeds it.

use std::io;

/// A watchdog that runs.
pub trait Watchdog {
    /// Puts the reset off by the watchdog's whole time.
    ///
    /// # Errors
    /// It cannot be told.
    fn feed(&mut self) -> io::Result<()>;

    /// Stops it, where it lets itself be stopped.
    ///
    /// # Errors
    /// It goes on.
    fn stop(&mut self) -> io::Result<()>;
}
