//! The stage `boot`: what a board needs that is not Debian's for this machine, and
//! the lab's boards on it.

use crate::cross::{self, Extent};
use crate::packages::{self, Need};
use crate::programs;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kind of board.
pub(crate) struct Board {
    /// What the lab calls the way from its switch to a slot.
    chain: &'static str,
    /// Its processor, as Debian calls it.
    debian: &'static str,
    /// The package that stands for its kernel.
    kernel: &'static str,
    /// The same, as Rust calls it.
    target: &'static str,
    /// What its emulation needs.
    needs: &'static [Need],
}

/// The package that stands for the kernel of PCs.
const PC_KERNEL: &str = "linux-image-amd64";
/// The same of ARMv7.
const ARM_KERNEL: &str = "linux-image-armmp";
/// Packages with the programs of a board's first minutes.
const PROGRAMS: [&str; 2] = ["busybox-static", "e2fsck-static"];

/// Agents that run by themselves, by the names of their emulators and of their kind.
const FOREIGN: [(&str, &str, Extent); 5] = [
    ("mips", "mips-unknown-linux-musl", Extent::Everything),
    ("mipsel", "mipsel-unknown-linux-musl", Extent::Everything),
    ("mipsel-smallest", "mipsel-unknown-linux-musl", Extent::Smallest),
    ("arm", "armv7-unknown-linux-musleabihf", Extent::Everything),
    ("aarch64", "aarch64-unknown-linux-musl", Extent::Everything),
];

/// arm64 with U-Boot: the board of every change.
pub(crate) const UBOOT: Board = Board {
    chain: "uboot",
    debian: "arm64",
    kernel: "linux-image-arm64",
    target: "aarch64-unknown-linux-musl",
    needs: &packages::BOARD,
};
/// A PC with BIOS and GRUB.
pub(crate) const GRUB_BIOS: Board = Board {
    chain: "grub-bios",
    debian: "amd64",
    kernel: PC_KERNEL,
    target: "x86_64-unknown-linux-musl",
    needs: &packages::BOARD_PC,
};
/// MIPS, with a bootloader that is simulated.
pub(crate) const MALTA: Board = Board {
    chain: "malta",
    debian: "mipsel",
    kernel: "linux-image-4kc-malta",
    target: "mipsel-unknown-linux-musl",
    needs: &packages::BOARD_MIPS,
};
/// A PC with UEFI and GRUB.
pub(crate) const GRUB_OVMF: Board = Board { chain: "grub-ovmf", ..GRUB_BIOS };

/// The command that runs boards of this kind.
///
/// # Errors
/// Something cannot be installed, fetched or built.
pub(crate) fn command(root: &Path, lab: &Path, board: &Board) -> Result<Command> {
    packages::ensure_installed(&packages::BOARDS)?;
    packages::ensure_installed(board.needs)?;
    let agent = cross::agent(root, board.target)?;
    let parts = parts(board.debian, board.kernel)?;
    let mut command = Command::new(lab);
    command.args(["board", "--chain", board.chain]).current_dir(root);
    command.arg("--agent").arg(agent).arg("--parts").arg(parts);
    Ok(command)
}

/// The command that installs into raw flash, on a kernel for PCs.
///
/// # Errors
/// Something cannot be installed or fetched.
pub(crate) fn flash(root: &Path, lab: &Path) -> Result<Command> {
    packages::ensure_installed(&packages::BOARDS)?;
    packages::ensure_installed(&packages::FLASH)?;
    let mut command = Command::new(lab);
    command.arg("flash").current_dir(root).arg("--parts").arg(parts("amd64", PC_KERNEL)?);
    Ok(command)
}

/// The command that updates bootloaders in an eMMC, on a kernel for ARMv7.
///
/// # Errors
/// Something cannot be installed, fetched or built.
pub(crate) fn emmc(root: &Path, lab: &Path) -> Result<Command> {
    packages::ensure_installed(&packages::BOARDS)?;
    packages::ensure_installed(&packages::EMMC)?;
    let agent = cross::agent(root, "armv7-unknown-linux-musleabihf")?;
    let mut command = Command::new(lab);
    command.arg("emmc").current_dir(root).arg("--agent").arg(agent);
    command.arg("--parts").arg(parts("armhf", ARM_KERNEL)?);
    Ok(command)
}

/// The command that runs agents for other processors.
///
/// # Errors
/// Something cannot be installed or built.
pub(crate) fn foreign(root: &Path, lab: &Path) -> Result<Command> {
    packages::ensure_installed(&packages::FOREIGN)?;
    let mut command = Command::new(lab);
    command.arg("foreign").current_dir(root);
    for (name, target, extent) in FOREIGN {
        let agent = cross::built(root, target, extent)?;
        command.arg(format!("{name}={}", agent.display()));
    }
    Ok(command)
}

/// The folder with Debian's kernel and programs for a processor, unpacked. The packages
/// are fetched beside those of this machine, which stays as it is.
fn parts(debian: &str, kernel: &str) -> Result<PathBuf> {
    let home = programs::directory()?.with_file_name("board");
    let parts = home.join(format!("{debian}-{}", PROGRAMS.join("-")));
    if parts.is_dir() {
        return Ok(parts);
    }
    println!("fetching a kernel, {} for {debian}", PROGRAMS.join(" and "));
    let apt = Apt::open(&home, debian)?;
    // It fails where one suite no longer has this processor. What is missing then is
    // missing below, by name.
    let updated = apt.get(&["update"]);
    let kernel = updated
        .err()
        .map_or_else(|| apt.depends(kernel), |error| apt.depends(kernel).context(error))?;
    apt.get(&[&["download", &kernel], &PROGRAMS[..]].concat())?;
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
    fn open(home: &Path, debian: &str) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(home.join(folder)).context("cannot make a folder for apt")?;
        }
        let at = |name: &str| home.join(name).display().to_string();
        let options = vec![
            format!("APT::Architecture={debian}"),
            format!("APT::Architectures={debian}"),
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
