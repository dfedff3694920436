//! A bootloader in two copies, with a real U-Boot twice: the one that the machine starts
//! chooses between two more, which are components of the terminal.
//!
//! The first one is Debian's, with an environment of ours in its flash that does what a ROM or a small first stage does: it starts the copy that a file names,
//! notes that it tried it, and takes the other one where the first is damaged or did not
//! come up before. A copy is Debian's again, as one that runs another command at its start,
//! packed as `bootm` wants it: with a sum. When it comes up it takes the note back.

use super::disk::{Disk, LOADER_MIB};
use super::machine::Transcript;
use crate::chance::noise;
use crate::process::{said, system, through};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the first one does, as it ships.
const SCRIPT: &str = "contrib/boot/uboot-first.env";
/// Bytes of one bank of the machine's flash, and of the environment in the second one.
const BANK: u64 = 64 << 20;
const ENVIRONMENT: &str = "0x40000";
/// The variable that a U-Boot runs at its start, and the one that copies run.
const COMMANDS: [&[u8]; 2] = [b"\0bootcmd\0", b"\0second\0\0"];
/// Where a copy runs.
const RUNS_AT: &str = "0x42000000";
/// Restarts the machine (PSCI `SYSTEM_RESET`, 0x84000009), and waits for that.
const RESETS: [u32; 5] = [0x5280_0120, 0x72b0_8000, 0xd400_0002, 0xd503_207f, 0x17ff_ffff];

/// The bootloader that a release brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loader {
    /// It comes up.
    Good,
    /// It is noise, signed.
    Garbage,
    /// It is whole, and restarts the machine before it does anything.
    Resets,
}

impl Loader {
    /// The copies that have to be started, and what is said about the new one.
    fn expected(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("AAB", ""),
            Self::Garbage => ("AABA", "first: copy B is damaged"),
            Self::Resets => ("AABA", "first: copy B did not come up"),
        }
    }

    /// Makes it in `file`; `firmware` is the machine's U-Boot, and `version` tells copies
    /// apart.
    pub(super) fn make(self, firmware: &Path, version: &str, file: &Path) -> Result<()> {
        let program = match self {
            Self::Good => copy_of(fs::read(firmware)?, version)?,
            Self::Resets => RESETS.iter().flat_map(|word| word.to_le_bytes()).collect(),
            Self::Garbage => return Ok(fs::write(file, noise(300_000))?),
        };
        let raw = file.with_extension("raw");
        fs::write(&raw, program)?;
        let mut mkimage = system("mkimage", "u-boot-tools")?;
        mkimage.args(["-A", "arm64", "-O", "linux", "-T", "kernel", "-C", "none"]);
        mkimage.args(["-a", RUNS_AT, "-e", RUNS_AT, "-n", version, "-d"]).arg(&raw);
        said(mkimage.arg(file)).map(drop)
    }

    /// Whether the machine started the copies that it had to, the switch names the one that
    /// runs, and both hold what they should: the old one A, the new one B.
    pub(super) fn judge(self, transcript: &Transcript, disk: &Disk, new: [&Path; 2]) -> Result<()> {
        let (copies, about) = self.expected();
        let started = started(transcript);
        ensure!(started == copies, "it started the copies {started}, not {copies}");
        ensure!(transcript.count(about) > 0, "nobody said: {about}");
        let named = disk.read_boot("loader")?;
        let runs = copies.chars().last().map(|copy| format!("{copy}\n")).unwrap_or_default();
        ensure!(named == runs.as_bytes(), "the switch names {:?}", String::from_utf8_lossy(&named));
        for (number, file) in (0..).zip(new) {
            let held = disk.loader(number)?;
            ensure!(held.starts_with(&fs::read(file)?), "copy {number} holds something else");
        }
        Ok(())
    }
}

/// The copies that were started, in order.
fn started(transcript: &Transcript) -> String {
    let lines = transcript.text().lines();
    let copies = lines.filter_map(|line| line.strip_prefix("first: copy "));
    // What is said more about a copy has more words.
    copies.map(str::trim).filter(|copy| copy.len() == 1).collect()
}

/// A U-Boot that runs another command.
fn copy_of(mut program: Vec<u8>, version: &str) -> Result<Vec<u8>> {
    let [usual, ours] = COMMANDS;
    let at = program.windows(usual.len()).position(|bytes| bytes == usual);
    let place = at.and_then(|at| program.get_mut(at..at + ours.len()));
    place.context("this U-Boot runs no `bootcmd`")?.copy_from_slice(ours);
    program.extend(format!("copy of {version}\n").bytes());
    ensure!(program.len() < (LOADER_MIB << 20) as usize, "this U-Boot is too large");
    Ok(program)
}

/// Makes the second bank of the machine's flash, with the script of the first U-Boot.
pub(super) fn flash(file: &Path) -> Result<()> {
    let environment = file.with_extension("env");
    let mut mkenvimage = system("mkenvimage", "u-boot-tools")?;
    mkenvimage.args(["-s", ENVIRONMENT, "-o"]).arg(&environment).arg("-");
    let script = fs::read(SCRIPT).with_context(|| format!("cannot read {SCRIPT}"))?;
    through(&mut mkenvimage, &script)?;
    let bank = File::create(file)?;
    bank.set_len(BANK)?;
    Ok(bank.write_all_at(&fs::read(&environment)?, 0)?)
}

/// The component in the agent's configuration.
pub(super) fn component() -> String {
    "[components.bootloader]\neffect = \"copies\"\na = \"PARTLABEL=loader-a\"\n\
     b = \"PARTLABEL=loader-b\"\nrunning = { from = \"file\", path = \"/boot/running\" }\n\
     switch = { file = \"/boot/loader\" }\n"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_runs_another_command() {
        let copy = copy_of(b"x\0bootcmd\0bootcmd=y\0".to_vec(), "1").unwrap();
        assert_eq!(copy, b"x\0second\0\0bootcmd=y\0copy of 1\n");
        assert!(copy_of(b"bootcmd=y".to_vec(), "1").is_err());
    }
}
