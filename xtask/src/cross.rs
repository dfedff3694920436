//! `cargo xtask build-agent TARGET [--smallest]`: the agent as one static program for
//! another processor, with a linker and a C compiler that come as ordinary packages.
//!
//! The standard library is taken from where it is: the toolchain's own, when it has
//! one for the target; else it is built with the agent, from the sources that Debian
//! has beside its `rustc-web`.

use crate::elf;
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

/// Flags for C and for Rust, and why.
type Flags = [&'static str; 2];
/// A program that ends at a panic needs no tables for unwinding.
const NO_TABLES: Flags =
    ["-fno-asynchronous-unwind-tables -fno-unwind-tables", "-C force-unwind-tables=no"];
/// What only `{:?}` prints is left out: nothing that a terminal says or stores is told so.
/// The standard library that comes ready-made has it.
const NO_DEBUG: Flags = ["", "-Z fmt-debug=none"];
/// For MIPS, where each call and each address of code that can lie anywhere takes two or
/// three instructions more. What is paid: the program always lies at the same address.
const FIXED: Flags = ["-fno-PIC", "-C relocation-model=static"];
/// What the agent has to know of that.
const FIXED_FEATURE: [&str; 2] = ["--features", "fixed"];
/// For ARM: its short instructions, which every ARMv7-A has. The compiler of C does not
/// take the same.
const THUMB: Flags = ["", "-C target-feature=+thumb-mode"];
/// For x86-64: libzstd's loops once, not once more for processors with BMI2.
const ONE_X86: Flags = ["-DDYNAMIC_BMI2=0", ""];
/// Where every byte counts: one copy of each of libzstd's inner loops in place of one per
/// variant (it decodes at five sevenths of the speed, and encodes the same bytes), and no
/// words at a panic, only the end of the process.
const TIGHT: Flags = ["-DZSTD_NO_INLINE=1", "-Z unstable-options -C panic=immediate-abort"];
/// For the standard library that comes ready-made: it takes the panic of no other kind.
const TIGHT_READY_MADE: Flags = ["-DZSTD_NO_INLINE=1", ""];
/// The parts of the standard library that are built. Left out is what would name the
/// functions of a panic, which a stripped program cannot do.
const LIBRARY_FEATURES: &str = "optimize_for_size";

/// What is in an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What `cargo build -p agent` has.
    Everything,
    /// What cannot be left out.
    Smallest,
}

impl Extent {
    /// The bytes that an agent may have: a goal, not a limit.
    fn goal(self) -> u64 {
        match self {
            Self::Everything => 3 << 20,
            Self::Smallest => (18 << 20) / 10,
        }
    }

    /// What cargo is told.
    pub(crate) fn features(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &[],
            Self::Smallest => &["--no-default-features", "--features", "cli"],
        }
    }

    /// What the program is called.
    fn name(self) -> &'static str {
        match self {
            Self::Everything => "refit-agent-everything",
            Self::Smallest => "refit-agent-smallest",
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
        [target] => (target, Extent::Everything),
        [target, smallest] if smallest == "--smallest" => (target, Extent::Smallest),
        _ => bail!("name one of: {}", TARGETS.join(", ")),
    };
    let program = built(root, target, extent)?;
    let size = std::fs::metadata(&program)?.len();
    println!("{}: {size} bytes, static; {}", program.display(), beside(size, extent.goal()));
    Ok(())
}

/// A size beside its goal.
fn beside(size: u64, goal: u64) -> String {
    match goal.checked_sub(size) {
        Some(spare) => format!("the goal of {goal} is reached with {spare} to spare"),
        None => {
            let over = size - goal;
            format!("the goal of {goal} is missed by {over}, {} %", (over * 100).div_ceil(goal))
        }
    }
}

/// Builds the agent for `target`; where it is.
///
/// # Errors
/// As [`command`].
pub(crate) fn agent(root: &Path, target: &str) -> Result<PathBuf> {
    built(root, target, Extent::Everything)
}

/// Builds the agent for `target` to this extent; where it is.
///
/// # Errors
/// As [`command`].
pub(crate) fn built(root: &Path, target: &str, extent: Extent) -> Result<PathBuf> {
    ensure!(TARGETS.contains(&target), "name one of: {}", TARGETS.join(", "));
    packages::ensure_installed(&CROSS)?;
    let tools = tools()?;
    let folder = folder()?;
    let mut build = Command::new(tools.join("cargo-zigbuild"));
    build.args(["zigbuild", "--profile", "small", "--package", "agent", "--locked"]);
    build.args(["--target", target, "--target-dir"]).arg(&folder).current_dir(root);
    build.args(extent.features()).env("PATH", path_with(&tools)?);
    if target.starts_with("mips") {
        build.args(FIXED_FEATURE);
    }
    let ready_made = has_library(target);
    let [c, mut rust] = flags(target, extent, ready_made);
    build.env(format!("CFLAGS_{}", target.replace('-', "_")), c);
    if !ready_made {
        packages::ensure_installed(&packages::LIBRARY)?;
        ensure!(Path::new(SOURCES).is_file(), "the package rust-web-src has no {SOURCES}");
        build.args(["-Z", "build-std=std,panic_abort"]);
        build.arg(format!("-Zbuild-std-features={LIBRARY_FEATURES}"));
        build.env("RUSTC", DEBIANS).env("RUSTC_BOOTSTRAP", "1");
        rust.push_str(" -C link-self-contained=no");
    }
    build.env("RUSTFLAGS", rust).env("CARGO_INCREMENTAL", "0");
    let status = build.status().context("cannot start cargo-zigbuild")?;
    ensure!(status.success(), "the agent does not build for {target}");
    let made = folder.join(target).join("small/refit-agent");
    ensure!(made.is_file(), "there is no {}", made.display());
    // Cargo's own is left as it is: it would be built anew.
    let program = made.with_file_name(extent.name());
    std::fs::copy(&made, &program).context("cannot keep the program")?;
    elf::trim(&program)?;
    Ok(program)
}

/// What the compilers of C and of Rust are told.
fn flags(target: &str, extent: Extent, ready_made: bool) -> [String; 2] {
    let mips = target.starts_with("mips");
    let mut all = vec![NO_TABLES];
    all.extend((!ready_made).then_some(NO_DEBUG));
    all.extend(mips.then_some(FIXED));
    all.extend(target.starts_with("armv7").then_some(THUMB));
    all.extend(target.starts_with("x86_64").then_some(ONE_X86));
    let tight = if ready_made { TIGHT_READY_MADE } else { TIGHT };
    all.extend((mips || extent == Extent::Smallest).then_some(tight));
    let joined = |of: fn(&Flags) -> &'static str| -> String {
        let words: Vec<&str> = all.iter().map(of).filter(|words| !words.is_empty()).collect();
        words.join(" ")
    };
    [joined(|[c, _]| c), joined(|[_, rust]| rust)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mips_and_the_smallest_are_tight() {
        let rust = |target, extent| {
            let [c, rust] = flags(target, extent, false);
            assert!(c.starts_with("-fno-asynchronous"), "{c}");
            assert!(rust.contains("fmt-debug=none"), "{rust}");
            (rust.contains("immediate-abort"), rust.contains("relocation-model"))
        };
        assert_eq!(rust("mipsel-unknown-linux-musl", Extent::Everything), (true, true));
        assert_eq!(rust("aarch64-unknown-linux-musl", Extent::Everything), (false, false));
        assert_eq!(rust("aarch64-unknown-linux-musl", Extent::Smallest), (true, false));
        let [_, ready_made] = flags("x86_64-unknown-linux-musl", Extent::Smallest, true);
        assert_eq!(ready_made, "-C force-unwind-tables=no");
    }

    #[test]
    fn a_size_stands_beside_its_goal() {
        let check = |size, want: &str| assert_eq!(beside(size, 1000), want);
        check(990, "the goal of 1000 is reached with 10 to spare");
        check(1000, "the goal of 1000 is reached with 0 to spare");
        check(1001, "the goal of 1000 is missed by 1, 1 %");
    }
}
