//! The agent's own program as a live component.
//!
//! Whoever starts the agent starts what `current` points to, starts it again at status
//! [`EXIT_ANEW`], and starts what `previous` points to when `current` does not stay up,
//! saying so by [`FELL_BACK`]. `contrib/init/refit-agent.sh` is that in one page.

use crate::edges::{OwnProgram, Runs};
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use types::Name;

/// The exit status by which the agent asks whoever started it to start it again.
pub const EXIT_ANEW: u8 = 101;

/// The variable that is set for an agent that runs because its successor did not stay up.
pub const FELL_BACK: &str = "REFIT_FELL_BACK";

/// The agent's own program.
#[derive(Debug)]
pub struct OwnFile {
    component: Name,
    current: PathBuf,
    /// What did not stay up.
    refused: Option<Identity>,
}

/// What no other file has, nor the same one after it was written again: device, inode,
/// and when that changed.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.dev(), facts.ino(), facts.ctime(), facts.ctime_nsec()))
}

impl OwnFile {
    /// It is `component`, a live one in `directory`.
    pub fn new(component: Name, directory: &Path) -> Self {
        let current = directory.join("current");
        let fell_back = std::env::var_os(FELL_BACK).is_some();
        let refused = identity(&current).filter(|_| fell_back);
        Self { component, current, refused }
    }
}

impl OwnProgram for OwnFile {
    fn component(&self) -> &Name {
        &self.component
    }

    fn runs(&self) -> io::Result<Runs> {
        // A program whose file was replaced since is another one.
        let own = std::fs::read_link("/proc/self/exe")?;
        if std::fs::canonicalize(&self.current)? == own {
            return Ok(Runs::Current);
        }
        let refused = self.refused.is_some() && self.refused == identity(&self.current);
        Ok(if refused { Runs::FellBack } else { Runs::Before })
    }

    fn start_anew(&mut self) -> io::Result<Infallible> {
        std::process::exit(EXIT_ANEW.into());
    }
}
