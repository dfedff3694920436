//! Clocks that are set while their programs run: a library that is loaded before the
//! system's own adds to what the machine's clock says. Time that passes, and with it every
//! timer, stays as it is, as when an operator or a time server sets a real clock.

use crate::process::{said, system};
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What is loaded.
const SOURCE: &str = include_str!("settable_clock.c");

/// Seconds of an hour.
pub(super) const HOUR: i64 = 3600;

/// What clocks are made of.
#[derive(Debug)]
pub(super) struct Clocks {
    library: PathBuf,
    folder: TempDir,
}

/// A clock of one program, or of several.
#[derive(Debug)]
pub(super) struct Clock {
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Clocks {
    /// Builds the library, and sees that it works.
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("refit-clocks-").tempdir()?;
        // The database is another user.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
        std::fs::write(&source, SOURCE)?;
        let mut cc = system("cc", "build-essential")?;
        said(cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source))?;
        let clocks = Self { library, folder };
        let clock = clocks.clock("tried", 0)?;
        let year = |clock: &Clock| -> Result<i64> {
            let mut date = Command::new("date");
            Ok(said(date.arg("+%Y").envs(clock.environment()))?.trim().parse()?)
        };
        let before = year(&clock)?;
        clock.set_ahead(20 * 366 * 24 * HOUR)?;
        ensure!(year(&clock)? == before + 20, "clocks cannot be set for single programs here");
        Ok(clocks)
    }

    /// A clock that is so many seconds ahead.
    pub(super) fn clock(&self, name: &str, seconds: i64) -> Result<Clock> {
        let path = self.folder.path().join(name);
        let file = File::options().create(true).truncate(true).write(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let clock = Clock { file, path, library: self.library.clone() };
        clock.set_ahead(seconds)?;
        Ok(clock)
    }
}

impl Clock {
    /// Sets it, for programs that run and that come.
    pub(super) fn set_ahead(&self, seconds: i64) -> Result<()> {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).context("cannot set a clock")
    }

    /// In which environment programs go by it.
    pub(super) fn environment(&self) -> Vec<(String, OsString)> {
        let [library, path] = [&self.library, &self.path].map(|path| path.clone().into());
        vec![("LD_PRELOAD".into(), library), ("LAB_CLOCK".into(), path)]
    }
}
