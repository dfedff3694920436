//! The files of a release: packages unpacked into a folder, as an image builder
//! leaves them.

use crate::process::{said, system};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What no terminal carries.
const DOCUMENTS: [&str; 7] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
];
/// Folders that are links below `/usr` in both releases.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// What happens to documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Documents {
    Removed,
    /// Many small gzip streams.
    Kept,
}

/// Unpacks `packages` into the new folder `tree`; every file is of the time `date`.
pub(super) fn unpack(
    packages: &[PathBuf],
    tree: &Path,
    documents: Documents,
    date: u64,
) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    for folder in MERGED {
        fs::create_dir_all(tree.join("usr").join(folder))?;
        symlink(format!("usr/{folder}"), tree.join(folder))?;
    }
    for package in packages {
        piped(
            system("dpkg-deb", "dpkg")?.arg("--fsys-tarfile").arg(package),
            system("tar", "tar")?.args(["-x", "--keep-directory-symlink", "-C"]).arg(tree),
        )
        .with_context(|| format!("cannot unpack {}", package.display()))?;
    }
    if documents == Documents::Removed {
        for folder in DOCUMENTS.map(|folder| tree.join(folder)).iter().filter(|f| f.exists()) {
            fs::remove_dir_all(folder)?;
        }
    }
    date_all(tree, date)
}

/// Takes what fits `pattern` out of one package into the new folder `tree`.
pub(super) fn take(package: &Path, patterns: &[&str], tree: &Path, date: u64) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    fs::create_dir_all(tree)?;
    piped(
        system("dpkg-deb", "dpkg")?.arg("--fsys-tarfile").arg(package),
        system("tar", "tar")?.args(["-x", "--wildcards", "-C"]).arg(tree).args(patterns),
    )
    .with_context(|| format!("cannot take {patterns:?} out of {}", package.display()))?;
    date_all(tree, date)
}

/// Packs every kernel module by itself, as the kernel's own build does.
pub(super) fn compress_modules(tree: &Path) -> Result<()> {
    let mut find = system("find", "findutils")?;
    let xz = ["xz", "--check=crc32", "--lzma2=dict=1MiB", "--threads=1"];
    find.arg(tree).args(["-name", "*.ko", "-exec"]).args(xz).args(["{}", "+"]);
    said(&mut find).map(drop)
}

/// Gives every file in `tree` the time `date`.
pub(super) fn date_all(tree: &Path, date: u64) -> Result<()> {
    let mut find = system("find", "findutils")?;
    let date = format!("@{date}");
    find.arg(tree).args(["-exec", "touch", "--no-dereference", "--date", &date, "{}", "+"]);
    said(&mut find).map(drop)
}

/// Runs two programs, the output of the first into the second.
pub(super) fn piped(first: &mut Command, second: &mut Command) -> Result<()> {
    let mut from = first.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let out = from.stdout.take().context("no pipe")?;
    let output = second.stdin(out).stderr(Stdio::piped()).output()?;
    let from = from.wait()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, text.trim());
    ensure!(from.success(), "{:?} ended with {from}", first.get_program());
    Ok(())
}
