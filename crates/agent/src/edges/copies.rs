//! A bootloader in two copies.

use super::Flash;
use std::io;
use types::Slot;

/// A bootloader in two copies, of which the hardware starts one, and the other one when
/// the first does not start. As a medium it is the copy that did not start this boot.
pub trait Copies: Flash {
    /// The copy that started this boot.
    ///
    /// # Errors
    /// It cannot be found out.
    fn running(&self) -> io::Result<Slot>;

    /// The copy that the hardware starts first.
    ///
    /// # Errors
    /// It cannot be found out.
    fn chosen(&self) -> io::Result<Slot>;

    /// Start `copy` first from now on: one write, durable, old or new after a cut.
    ///
    /// # Errors
    /// The choice is as before.
    fn choose(&mut self, copy: Slot) -> io::Result<()>;
}
