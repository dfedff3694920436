//! Is the release that runs healthy?

use types::Text;

/// What the checks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All checks passed.
    Healthy,
    /// A person said that the release stays, whatever the checks say.
    Told,
    /// One failed until its deadline; which one, for people.
    Unhealthy(Text),
}

/// The device's health checks.
pub trait Health {
    /// Runs all checks, each until it passes or its deadline is over.
    fn check(&mut self) -> Verdict;

    /// The same for a release that is trusted already: nobody has to confirm it.
    fn check_trusted(&mut self) -> Verdict {
        self.check()
    }
}
