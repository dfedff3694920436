//! Mounts that nobody else sees and that end with this process.

use crate::process::{said, system};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Becomes the same program, with `mark` as one more argument, in a mount namespace
/// of its own. Without root it asks for a user namespace too, in which it may mount.
///
/// # Errors
/// The system does not allow that. There is no other way to return.
pub fn set_apart(mark: &str) -> Result<()> {
    let program = std::env::current_exe().context("cannot find out which program this is")?;
    said(unshare()?.arg("true")).context("power cuts need root, or user namespaces, to mount")?;
    let mut apart = unshare()?;
    apart.arg(program).args(std::env::args_os().skip(1)).arg(mark);
    Err(apart.exec()).context("cannot become `unshare`")
}

fn unshare() -> Result<Command> {
    let mut unshare = system("unshare", "util-linux")?;
    unshare.args(["--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    unshare.arg("--");
    Ok(unshare)
}

/// A folder in memory. Unmounted when dropped.
#[derive(Debug)]
pub struct Memory(TempDir);

impl Memory {
    /// Mounts one.
    ///
    /// # Errors
    /// The system does not allow that.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("refit-cuts-").tempdir()?;
        let mut mount = system("mount", "mount")?;
        mount.args(["-t", "tmpfs", "-o", "mode=0755,size=1g", "refit-cuts"]).arg(dir.path());
        said(&mut mount).context("cannot mount a folder in memory")?;
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // What is still in use goes with the process.
        let _ = said(Command::new("umount").arg("--lazy").arg(self.0.path()));
    }
}
