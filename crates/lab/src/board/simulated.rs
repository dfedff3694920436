//! A board whose bootloader is simulated: there is none for QEMU's MIPS machine that reads
//! a disk. The lab decides in its place, by what the agent's own boot control wrote, counts
//! a try, takes kernel and RAM disk out of the slot, and switches the machine on with them.
//! All else is real: kernel, agent, disk, network, restarts.

use super::chain::{Chain, SIMULATED_MEMORY};
use super::disk::Disk;
use super::machine::{self, Devices, Transcript};
use super::parts::Parts;
use crate::process::{said, system};
use agent::platform::boot::file::BootFile;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use types::Slot;

/// What the guest says before it switches itself off.
const OFF: &str = "guest: switches itself off";
/// More starts than any case needs.
const STARTS_MAX: usize = 8;

/// Starts the board until it switches itself off; what it says goes into `console`.
///
/// # Errors
/// It cannot be started, does not come to an end, or is started again and again.
pub(super) fn run(
    parts: &Parts,
    disk: &Disk,
    devices: &Devices,
    console: &Path,
) -> Result<Transcript> {
    let scratch = tempfile::tempdir()?;
    for _ in 0..STARTS_MAX {
        let slot = decide(disk, scratch.path())?;
        say(console, &format!("refit: slot {slot}, order of the lab"))?;
        let Ok([kernel, initrd]) = take_out(disk, slot, scratch.path()) else {
            say(console, &format!("refit: slot {slot} does not start"))?;
            continue;
        };
        let more = ["-kernel".into(), kernel, "-initrd".into(), initrd, "-append".into()];
        let line = format!("console=ttyS0 panic=1 oops=panic refit.slot={slot}").into();
        let start: Vec<PathBuf> = more.into_iter().chain([line, "-no-reboot".into()]).collect();
        let transcript =
            machine::switch_on_with(parts, disk.path(), devices, &start, console)?.end()?;
        if transcript.count(OFF) > 0 {
            return Ok(transcript);
        }
    }
    bail!("it was started {STARTS_MAX} times: see {}", console.display())
}

/// What the bootloader starts; a try of a slot on trial is counted down.
fn decide(disk: &Disk, scratch: &Path) -> Result<Slot> {
    let memory = scratch.join(SIMULATED_MEMORY);
    // In the factory there is none.
    if let Ok(bytes) = disk.read_boot(SIMULATED_MEMORY) {
        fs::write(&memory, bytes)?;
    }
    let slot = BootFile::new(&memory).decide().context("what to start is not remembered")?;
    if memory.exists() {
        disk.write_boot(SIMULATED_MEMORY, &fs::read(&memory)?)?;
    }
    Ok(slot)
}

/// Kernel and RAM disk of a slot.
fn take_out(disk: &Disk, slot: Slot, scratch: &Path) -> Result<[PathBuf; 2]> {
    let image = scratch.join("slot");
    fs::write(&image, disk.slot(if slot == Slot::A { 0 } else { 1 })?)?;
    let files = ["Image", "initrd"].map(|name| (name, scratch.join(name)));
    for (name, file) in &files {
        // It ends well also when it wrote nothing.
        let _ = fs::remove_file(file);
        let ask = format!("dump /{name} {}", file.display());
        said(system("debugfs", "e2fsprogs")?.args(["-R", &ask]).arg(&image))?;
        anyhow::ensure!(fs::metadata(file)?.len() > 0, "there is no {name}");
    }
    Ok(files.map(|(_, file)| file))
}

fn say(console: &Path, line: &str) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(console)?;
    Ok(writeln!(file, "{line}")?)
}

impl Chain {
    /// Whether the lab decides what is started.
    pub(super) fn is_simulated(self) -> bool {
        self == Self::Malta
    }
}
