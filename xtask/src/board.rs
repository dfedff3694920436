//! The stage `boot`: what a board needs that is not Debian's for this machine, and
//! the lab's boards on it.

use crate::cross;
use crate::packages::{self, BOARD};
use crate::programs;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The board's processor, as Debian and as Rust call it.
const DEBIAN: &str = "arm64";
const TARGET: &str = "aarch64-unknown-linux-musl";

/// The command that runs the boards.
///
/// # Errors
/// Something cannot be installed, fetched or built.
pub(crate) fn command(root: &Path, lab: &Path) -> Result<Command> {
    packages::ensure_installed(&BOARD)?;
    let agent = cross::agent(root, TARGET)?;
    let parts = parts()?;
    let mut command = Command::new(lab);
    command.arg("board").current_dir(root);
    command.arg("--agent").arg(agent).arg("--parts").arg(parts);
    Ok(command)
}

/// The folder with Debian's kernel and BusyBox for the board, unpacked. The packages
/// are fetched beside those of this machine, which stays as it is.
fn parts() -> Result<PathBuf> {
    let home = programs::directory()?.with_file_name("board");
    let parts = home.join(DEBIAN);
    if parts.is_dir() {
        return Ok(parts);
    }
    println!("fetching a kernel and BusyBox for {DEBIAN}");
    let apt = Apt::open(&home)?;
    apt.get(&["update"])?;
    let kernel = apt.depends(&format!("linux-image-{DEBIAN}"))?;
    apt.get(&["download", &kernel, "busybox-static"])?;
    let fresh = home.join("fresh");
    for file in std::fs::read_dir(&home)?.collect::<Result<Vec<_>, _>>()? {
        if file.path().extension().is_some_and(|end| end == "deb") {
            cross::run(Command::new("dpkg").arg("-x").arg(file.path()).arg(&fresh))?;
            std::fs::remove_file(file.path())?;
        }
    }
    std::fs::rename(&fresh, &parts).context("cannot keep the packages")?;
    Ok(parts)
}

/// apt for another processor, with lists of its own.
struct Apt {
    home: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn open(home: &Path) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(home.join(folder)).context("cannot make a folder for apt")?;
        }
        let at = |name: &str| home.join(name).display().to_string();
        let options = vec![
            format!("APT::Architecture={DEBIAN}"),
            format!("APT::Architectures={DEBIAN}"),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "Dir::State::status=/dev/null".into(),
            "APT::Sandbox::User=".into(),
            "quiet=2".into(),
        ];
        Ok(Self { home: home.into(), options })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.home);
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        command
    }

    fn get(&self, words: &[&str]) -> Result<()> {
        cross::run(self.command("apt-get").args(words))
    }

    /// What a package that is only a name stands for.
    fn depends(&self, package: &str) -> Result<String> {
        let output = self.command("apt-cache").args(["depends", package]).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = said.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        ensure!(output.status.success(), "apt does not know {package}");
        Ok(name.with_context(|| format!("{package} depends on nothing"))?.trim().to_owned())
    }
}
