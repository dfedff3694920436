//! `cargo xtask build-agent TARGET [--smallest]`: the agent as one static program for
//! another processor, with a linker and a C compiler that come as ordinary packages.
//!
//! The standard library is taken from where it is: the toolchain's own, when it has
//! one for the target; else it is built with the agent, from the sources that Debian
//! has beside its `rustc-web`.

use crate::packages::{self, CROSS};
use crate::programs;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the agent is built for.
pub(crate) const TARGETS: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "armv7-unknown-linux-musleabihf",
    "mips-unknown-linux-musl",
    "mipsel-unknown-linux-musl",
];
/// The linker and C compiler for all of them, and what drives it.
const TOOLS: [&str; 2] = ["ziglang==0.14.1", "cargo-zigbuild==0.24.1"];
/// Debian's compiler, whose library sources can be built.
const DEBIANS: &str = "/usr/bin/rustc";
/// Those sources.
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// What is in an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What `cargo build -p agent` has.
    Usual,
    /// What cannot be left out.
    Smallest,
}

impl Extent {
    /// The bytes that an agent may have: a goal, not a limit.
    fn goal(self) -> u64 {
        match self {
            Self::Usual => 3 << 20,
            Self::Smallest => (18 << 20) / 10,
        }
    }
}

/// Builds the agent for the target that `arguments` name, and says where it is and how
/// large, beside the goal.
///
/// # Errors
/// An unknown target, or something cannot be installed or built.
pub(crate) fn command(root: &Path, arguments: &[String]) -> Result<()> {
    let (target, extent) = match arguments {
        [target] => (target, Extent::Usual),
        [target, smallest] if smallest == "--smallest" => (target, Extent::Smallest),
        _ => bail!("name one of: {}", TARGETS.join(", ")),
    };
    let program = built(root, target, extent)?;
    let (size, goal) = (std::fs::metadata(&program)?.len(), extent.goal());
    println!("{}: {size} bytes, static; the goal is {goal}", program.display());
    Ok(())
}

/// Builds the agent for `target`; where it is.
///
/// # Errors
/// As [`command`].
pub(crate) fn agent(root: &Path, target: &str) -> Result<PathBuf> {
    built(root, target, Extent::Usual)
}

fn built(root: &Path, target: &str, extent: Extent) -> Result<PathBuf> {
    ensure!(TARGETS.contains(&target), "name one of: {}", TARGETS.join(", "));
    packages::ensure_installed(&CROSS)?;
    let tools = tools()?;
    let folder = folder()?;
    let mut build = Command::new(tools.join("cargo-zigbuild"));
    build.args(["zigbuild", "--profile", "small", "--package", "agent", "--locked"]);
    build.args(["--target", target, "--target-dir"]).arg(&folder).current_dir(root);
    if extent == Extent::Smallest {
        build.args(["--no-default-features", "--features", "cli"]);
    }
    build.env("PATH", path_with(&tools)?);
    if !has_library(target) {
        packages::ensure_installed(&packages::LIBRARY)?;
        ensure!(Path::new(SOURCES).is_file(), "the package rust-web-src has no {SOURCES}");
        build.args(["-Z", "build-std=std,panic_abort"]);
        build.env("RUSTC", DEBIANS).env("RUSTC_BOOTSTRAP", "1");
        build.env("RUSTFLAGS", "-C link-self-contained=no");
    }
    let status = build.status().context("cannot start cargo-zigbuild")?;
    ensure!(status.success(), "the agent does not build for {target}");
    let program = folder.join(target).join("small/refit-agent");
    ensure!(program.is_file(), "there is no {}", program.display());
    Ok(program)
}

/// Where cross builds go.
fn folder() -> Result<PathBuf> {
    Ok(programs::directory()?.with_file_name("cross"))
}

/// Whether the toolchain in use has the standard library for `target`.
fn has_library(target: &str) -> bool {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    let Ok(output) = asked else { return false };
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    names.any(|name| name.starts_with("libstd-"))
}

/// The folder with the cross tools, in an environment of their own.
fn tools() -> Result<PathBuf> {
    let home = folder()?.join("tools");
    let bin = home.join("bin");
    if !bin.join("cargo-zigbuild").is_file() {
        println!("installing {}", TOOLS.join(" and "));
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        run(Command::new(bin.join("pip")).args(["install", "--quiet"]).args(TOOLS))?;
    }
    Ok(bin)
}

fn path_with(tools: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(tools.to_path_buf()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("a strange PATH")
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
