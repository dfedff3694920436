//! Builds the project's programs and hands over to `lab`, which runs them.

use crate::packages::{self, BUILD, BUS, CORPUS, DELTA_PEERS, FLEET_PEERS, IMAGES, PEERS, STORES};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// `cargo demo`: the real server and real terminals.
///
/// # Errors
/// Something needed cannot be installed or built, or `lab` cannot be started.
pub(crate) fn demo(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&BUILD)?;
    packages::ensure_installed(&IMAGES)?;
    if arguments.iter().any(|argument| argument.ends_with("postgres")) {
        packages::ensure_installed(&STORES)?;
    }
    println!("building the server, the agent and the tools");
    cargo(root, &["build", "--workspace", "--bins"])?;
    hand_over(&directory()?.join("lab"), "demo", arguments)
}

/// `cargo xtask corpus`: pairs of images to measure deltas on.
///
/// # Errors
/// As [`demo`].
pub(crate) fn corpus(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&BUILD)?;
    packages::ensure_installed(&CORPUS)?;
    cargo(root, &["build", "--quiet", "--package", "lab"])?;
    hand_over(&directory()?.join("lab"), "corpus", &with_folders(root, arguments, &CORPUS_FOLDER))
}

/// `cargo xtask bench`: always on optimised programs.
///
/// # Errors
/// As [`demo`].
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&BUILD)?;
    match arguments.first().map(String::as_str) {
        Some("delta") => bench_delta(root, arguments),
        Some("fleet") => bench_fleet(root, arguments),
        _ => bench_install(root, arguments),
    }
}

fn bench_delta(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&CORPUS)?;
    packages::ensure_installed(&DELTA_PEERS)?;
    println!("building the tool and the bench, optimised");
    cargo(root, &["build", "--quiet", "--release", "--package", "lab", "--package", "tool"])?;
    let folders = [CORPUS_FOLDER, [("--scratch", "target/bench-delta")]].concat();
    let arguments = with_folders(root, arguments, &folders);
    hand_over(&release_directory()?.join("lab"), "bench", &arguments)
}

fn bench_fleet(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&STORES)?;
    packages::ensure_installed(&FLEET_PEERS)?;
    println!("building the server, the tool and the bench, optimised");
    let all = ["--package", "lab", "--package", "tool", "--package", "server"];
    cargo(root, &[&["build", "--quiet", "--release"][..], &all].concat())?;
    let arguments = with_folders(root, arguments, &[("--folder", "target/bench-fleet")]);
    hand_over(&release_directory()?.join("lab"), "bench", &arguments)
}

fn bench_install(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    packages::ensure_installed(&IMAGES)?;
    packages::ensure_installed(&PEERS)?;
    packages::ensure_installed(&BUS)?;
    println!("building the agent and the bench, optimised");
    // The agent by itself, with the features and the profile that it has on a device.
    let others = ["--package", "lab", "--package", "tool", "--package", "server"];
    cargo(root, &[&["build", "--quiet", "--release"][..], &others].concat())?;
    cargo(root, &["build", "--quiet", "--profile", "small", "--package", "agent"])?;
    take_small_agent().context("cannot take the agent's small build")?;
    hand_over(&release_directory()?.join("lab"), "bench", arguments)
}

/// Where the corpus is when nobody says: the same place wherever the command is typed.
const CORPUS_FOLDER: [(&str, &str); 1] = [("--folder", "target/corpus")];

fn with_folders(root: &Path, arguments: &[String], folders: &[(&str, &str)]) -> Vec<String> {
    let mut all = arguments.to_vec();
    for (flag, place) in folders {
        if !arguments.iter().any(|argument| argument.starts_with(flag)) {
            all.extend([(*flag).to_owned(), root.join(place).display().to_string()]);
        }
    }
    all
}

/// Where Cargo puts the programs of the development profile: where this one is.
///
/// # Errors
/// The system does not say where this program is.
pub(crate) fn directory() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where xtask is")?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_path_buf())
}

/// The lab finds its programs beside itself.
fn take_small_agent() -> Result<()> {
    let release = release_directory()?;
    let agent = "refit-agent";
    std::fs::copy(release.with_file_name("small").join(agent), release.join(agent))?;
    Ok(())
}

fn release_directory() -> Result<PathBuf> {
    Ok(directory()?.parent().unwrap_or(Path::new("..")).join("release"))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    let status = command.args(arguments).arg("--locked").current_dir(root).status();
    ensure!(status.context("cannot start cargo")?.success(), "the programs do not build");
    Ok(())
}

/// Runs `lab` on this terminal; an interrupt reaches it too, and it cleans up.
fn hand_over(lab: &Path, verb: &str, arguments: &[String]) -> Result<ExitCode> {
    let status = Command::new(lab).arg(verb).args(arguments).status();
    let status = status.with_context(|| format!("cannot start {}", lab.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
