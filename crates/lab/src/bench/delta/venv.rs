//! The peers that are Python packages, in an environment of the project's own.

use super::cost::{Cost, FREE, Ran, measure};
use crate::process::{said, system};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages, of these releases: figures of others are other figures.
const PACKAGES: [&str; 2] = ["hdiffpatch==2.6.0", "detools==0.53.0"];

/// The environment.
pub(super) struct Venv(PathBuf);

impl Venv {
    /// Takes the one in `folder`, or makes it.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let own = Self(folder.to_path_buf());
        let stamp = folder.join("packages");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(own);
        }
        println!("installing {}", PACKAGES.join(" "));
        let made = said(system("python3", "python3")?.args(["-m", "venv", "--clear"]).arg(folder));
        made.context("cannot make an environment; Debian has it in python3-venv")?;
        said(own.program("pip").args(["install", "--quiet"]).args(PACKAGES))
            .context("cannot install the peers that are Python packages")?;
        fs::write(&stamp, wanted)?;
        Ok(own)
    }

    /// One of its programs.
    pub(super) fn program(&self, name: &str) -> Command {
        Command::new(self.0.join("bin").join(name))
    }

    /// What the interpreter costs before any work.
    pub(super) fn start(&self, folder: &Path) -> Result<Cost> {
        match measure(self.program("python").args(["-c", "import hdiffpatch"]), folder, FREE)? {
            Ran::Well(cost, _) => Ok(cost),
            Ran::Not(why) => bail!("the interpreter {why}"),
        }
    }

    /// The release of one of its packages.
    pub(super) fn version(package: &str) -> &'static str {
        PACKAGES.into_iter().find(|known| known.starts_with(package)).unwrap_or_default()
    }

    /// What is in it, for people.
    pub(super) fn describe() -> String {
        PACKAGES.join(", ")
    }
}
