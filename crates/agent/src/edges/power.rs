//! Boots.

use engine::BootId;
use std::convert::Infallible;
use std::io;

/// The device's power.
pub trait Power {
    /// Names the boot that runs now.
    ///
    /// # Errors
    /// The system does not say.
    fn boot_id(&self) -> io::Result<BootId>;

    /// Restarts the device; does not return when that works.
    ///
    /// # Errors
    /// The device goes on running.
    fn restart(&mut self) -> io::Result<Infallible>;
}
