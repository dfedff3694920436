//! A release for the board: a file system with a kernel and an initial RAM disk, in
//! which everything is.

use super::layout::SLOT_MIB;
use super::parts::Parts;
use crate::process::{said, system, through};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The terminal's first program.
const INIT: &str = include_str!("init.sh");

/// Its health check. In a release that hangs it stops the agent for good, and with it
/// whoever feeds the watchdog.
const CHECK: &str = "#!/bin/sh\n. /release\ncase $mode in\nunhealthy) exit 1 ;;\n\
                     hang) echo 'guest: hangs'; kill -STOP $PPID; sleep 600 ;;\nesac\n";

/// How a release behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It works.
    Good,
    /// Its kernel hangs before it does anything.
    HangEarly,
    /// Its kernel panics.
    Panic,
    /// Its first program ends.
    Exit,
    /// It starts and then does nothing.
    Hang,
    /// It runs, and its health check fails.
    Unhealthy,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::HangEarly => "hang-early",
            Self::Panic => "panic",
            Self::Exit => "exit",
            Self::Hang => "hang",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Makes the image of release `version` in `image`, with `files` besides.
///
/// # Errors
/// A program is missing or fails, or the storage is full.
pub fn make(
    parts: &Parts,
    version: &str,
    mode: Mode,
    files: &[(&str, &[u8])],
    image: &Path,
) -> Result<()> {
    let scratch = tempfile::tempdir_in(image.parent().unwrap_or(Path::new(".")))?;
    let (root, tree) = (scratch.path().join("root"), scratch.path().join("tree"));
    fill(parts, &root, version, mode, files)?;
    fs::create_dir(&tree)?;
    fs::write(tree.join("initrd"), archive(&root)?)?;
    let mut kernel = fs::read(&parts.kernel)?;
    if mode == Mode::HangEarly {
        hang(&mut kernel).context("this is no kernel for a PC")?;
    }
    fs::write(tree.join("Image"), kernel)?;
    let mut mkfs = system("mkfs.ext4", "e2fsprogs")?;
    // U-Boot reads what is not newer than this.
    mkfs.args(["-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal,^metadata_csum,^64bit"]);
    mkfs.args(["-E", "lazy_itable_init=0,nodiscard", "-d"]);
    said(mkfs.arg(&tree).arg(image).arg(format!("{SLOT_MIB}M")))?;
    Ok(())
}

/// Jumps to themselves at all places where a kernel for PCs is entered (Linux, x86 boot
/// protocol: the protected-mode code follows the sectors of setup).
fn hang(kernel: &mut [u8]) -> Option<()> {
    let setup = usize::from(*kernel.get(0x1f1)?);
    let start = (setup + 1) * 512;
    let (pairs, _) = kernel.get_mut(start..start + 4096)?.as_chunks_mut::<2>();
    pairs.fill([0xeb, 0xfe]);
    Some(())
}

fn fill(
    parts: &Parts,
    root: &Path,
    version: &str,
    mode: Mode,
    files: &[(&str, &[u8])],
) -> Result<()> {
    for folder in ["bin", "boot", "card", "data", "dev", "etc", "lib", "proc", "run", "sys"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let program = |from: &Path, to: &str| -> Result<()> {
        fs::copy(from, root.join(to)).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(fs::set_permissions(root.join(to), fs::Permissions::from_mode(0o755))?)
    };
    program(&parts.busybox, "bin/busybox")?;
    program(&parts.e2fsck, "bin/e2fsck")?;
    program(&parts.agent, "bin/refit-agent")?;
    let mut names = String::new();
    for module in &parts.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        fs::copy(module, root.join("lib").join(&*name))?;
        names.push_str(&format!("{name}\n"));
    }
    let users = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    let release = format!("version={version}\nmode={}\n", mode.word());
    let fixed = [("modules", &names), ("release", &release), ("etc/passwd", &users.to_owned())];
    for (name, text) in fixed {
        fs::write(root.join(name), text)?;
    }
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, bytes)?;
    }
    for (name, text) in [("init", INIT), ("bin/check", CHECK)] {
        fs::write(root.join(name), text)?;
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The tree as an initial RAM disk, compressed.
pub(crate) fn archive(root: &Path) -> Result<Vec<u8>> {
    let mut names = vec![".".to_owned()];
    list(root, root, &mut names)?;
    let mut cpio = system("cpio", "cpio")?;
    cpio.args(["--create", "--format", "newc", "--quiet"]).current_dir(root);
    let plain = through(&mut cpio, names.join("\n").as_bytes())?;
    through(Command::new("gzip").args(["-1", "-n"]), &plain)
}

fn list(root: &Path, folder: &Path, names: &mut Vec<String>) -> Result<()> {
    let mut inside: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    inside.sort_by_key(fs::DirEntry::file_name);
    for entry in inside {
        let path = entry.path();
        names.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
        if path.is_dir() {
            list(root, &path, names)?;
        }
    }
    Ok(())
}
