//! `cargo xtask fuzz`: libFuzzer looks for bytes that break what reads them.
//!
//! The stable compiler counts branches, too, when LLVM is told so. Programs of the fuzzer
//! and what they work on are in a folder of their own: everything in them counts. What
//! breaks a target is written into `fuzz/corpus`, where the tests try it from then on.

use crate::packages::{self, BUILD};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// What LLVM is told: libFuzzer's counters, their places, and what is compared.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Seconds for each target when nobody says.
const SECONDS: u32 = 60;
/// Bounds for one input: seconds, and MiB of the whole program.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// Fuzzes the targets that are named, or all.
///
/// # Errors
/// Something does not build, or a name is no target's.
pub(crate) fn command(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let (names, seconds) = read(arguments)?;
    packages::ensure_installed(&BUILD)?;
    let folder = root.join("target/fuzz");
    let all = seeds(root, &folder)?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("`{unknown}` is no target: {}", all.join(", "));
    }
    let chosen = if names.is_empty() { &all } else { &names };
    build(root, &folder, chosen)?;
    let mut broken = Vec::new();
    for name in chosen {
        println!("{name}: {seconds} s");
        if !run(root, &folder, name, seconds)? {
            broken.push(name.as_str());
        }
    }
    if broken.is_empty() {
        println!("fuzz: {} targets, {seconds} s each: none broke", chosen.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("fuzz: broke: {}; the bytes are in fuzz/corpus", broken.join(", "));
    Ok(ExitCode::FAILURE)
}

fn read(arguments: &[String]) -> Result<(Vec<String>, u32)> {
    let (mut names, mut seconds) = (Vec::new(), SECONDS);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let value = words.next().and_then(|value| value.parse().ok());
                seconds = value.filter(|value| *value > 0).context("--seconds needs a number")?;
            }
            flag if flag.starts_with('-') => bail!("`{flag}` is not known here"),
            name => names.push(name.to_owned()),
        }
    }
    Ok((names, seconds))
}

/// Writes what every target begins with; the names of all.
fn seeds(root: &Path, folder: &Path) -> Result<Vec<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--package", "fuzz", "--bin", "fuzz-seeds", "--locked", "--"]);
    let said = cargo.arg(folder.join("seeds")).current_dir(root).stderr(Stdio::inherit()).output();
    let said = said.context("cannot start cargo")?;
    ensure!(said.status.success(), "there is nothing to begin with");
    Ok(String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect())
}

/// Builds the programs of these targets.
fn build(root: &Path, folder: &Path, names: &[String]) -> Result<()> {
    println!("building {} with counters", names.join(", "));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "fuzz", "--features", "libfuzzer", "--locked"]);
    for name in names {
        cargo.arg("--bin").arg(format!("fuzz-{name}"));
    }
    // With a target named, what only builds is not counted.
    cargo.arg("--target").arg(host()?).arg("--target-dir").arg(folder).env("RUSTFLAGS", FLAGS);
    let status = cargo.current_dir(root).status().context("cannot start cargo")?;
    ensure!(status.success(), "the targets do not build");
    Ok(())
}

/// Whether the target held.
fn run(root: &Path, folder: &Path, name: &str, seconds: u32) -> Result<bool> {
    let (grown, kept) = (folder.join("corpus").join(name), root.join("fuzz/corpus").join(name));
    std::fs::create_dir_all(&grown)?;
    std::fs::create_dir_all(&kept)?;
    let mut fuzzer = Command::new(programs(folder)?.join(format!("fuzz-{name}")));
    // What it finds worth keeping goes to the first folder.
    fuzzer.args([&grown, &kept, &folder.join("seeds").join(name)]);
    fuzzer.arg(format!("-artifact_prefix={}/", kept.display()));
    fuzzer
        .arg(format!("-max_total_time={seconds}"))
        .args(LIMITS)
        .args(["-print_final_stats=1", "-verbosity=0"]);
    Ok(fuzzer.status().with_context(|| format!("cannot start fuzz-{name}"))?.success())
}

fn programs(folder: &Path) -> Result<std::path::PathBuf> {
    Ok(folder.join(host()?).join("debug"))
}

/// What this machine is, in the compiler's words.
fn host() -> Result<String> {
    let said = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what this machine is")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], want: Option<(&[&str], u32)>) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let got = read(&words).ok();
        let want = want.map(|(names, seconds)| {
            (names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), seconds)
        });
        assert_eq!(got, want, "{words:?}");
    }

    #[test]
    fn targets_and_time_are_read() {
        check(&[], Some((&[], 60)));
        check(&["patch", "--seconds", "5", "image"], Some((&["patch", "image"], 5)));
        check(&["--seconds", "0"], None);
        check(&["--seconds"], None);
        check(&["--minutes", "5"], None);
    }
}
