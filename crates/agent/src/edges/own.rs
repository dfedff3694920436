//! The agent's own program, where it is a component that switches without a boot.

use std::convert::Infallible;
use std::io;
use types::Name;

/// Which of its images this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// The one that is switched to.
    Current,
    /// Another one, because the switch was made while it ran.
    Before,
    /// Another one, because the current one did not stay up.
    FellBack,
}

/// The agent's own program.
pub trait OwnProgram {
    /// The component that it is.
    fn component(&self) -> &Name;

    /// Which of its images this process runs.
    ///
    /// # Errors
    /// It cannot be found out.
    fn runs(&self) -> io::Result<Runs>;

    /// Ends this process, so that whoever started it starts the current image.
    ///
    /// # Errors
    /// It goes on running.
    fn start_anew(&mut self) -> io::Result<Infallible>;
}
