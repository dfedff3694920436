//! The emulator: QEMU, without acceleration.

use super::parts::Parts;
use super::writes::SECTOR;
use crate::clock::until;
use crate::process::Running;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long one machine may run until it switches itself off: several times as long as
/// the slowest case takes, and less than the stage has.
const PATIENCE: Duration = Duration::from_secs(400);

/// What a machine is given besides its disk.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// A memory card.
    pub card: Option<PathBuf>,
    /// Its network.
    pub network: Option<Network>,
    /// Where all that its disk is asked is written down.
    pub writes: Option<PathBuf>,
    /// The second bank of its flash.
    pub flash: Option<PathBuf>,
}

/// A network on which this host is 10.0.2.2, with nothing else in it.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// The port of this host behind which the terminal's page is.
    pub page: u16,
}

/// The terminal's page has this port.
pub const PAGE: u16 = 8080;

/// A machine that was switched on.
#[derive(Debug)]
pub struct Machine {
    emulator: Running,
    console: PathBuf,
}

/// Everything that a machine said on its console.
#[derive(Debug, Clone)]
pub struct Transcript(String);

/// Switches a machine on; what it says goes into `console`.
///
/// # Errors
/// It cannot be started.
pub fn switch_on(parts: &Parts, disk: &Path, devices: &Devices, console: &Path) -> Result<Machine> {
    switch_on_with(parts, disk, devices, &[], console)
}

/// The same, with `more` arguments for the emulator.
pub(super) fn switch_on_with(
    parts: &Parts,
    disk: &Path,
    devices: &Devices,
    more: &[PathBuf],
    console: &Path,
) -> Result<Machine> {
    let mut command = parts.chain.emulator()?;
    command.args(more);
    command.args(["-m", "512", "-nographic", "-rtc", "base=utc", "-monitor", "none"]);
    command.args(["-serial", "stdio", "-action", "watchdog=reset"]);
    match &devices.writes {
        Some(writes) => written_down(&mut command, disk, writes)?,
        None => drive(&mut command, "disk", disk, ""),
    }
    if let Some(card) = &devices.card {
        drive(&mut command, "card", card, ",readonly=on");
    }
    if let Some(flash) = &devices.flash {
        let file = quoted(flash);
        command.arg("-drive").arg(format!("file={file},if=pflash,unit=1,format=raw"));
    }
    match devices.network {
        Some(Network { page }) => {
            let page = format!("hostfwd=tcp:127.0.0.1:{page}-:{PAGE}");
            command.arg("-netdev").arg(format!("user,id=net,{page}"));
            command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        None => {
            command.args(["-nic", "none"]);
        }
    }
    let emulator = Running::of(&mut command, console)?;
    Ok(Machine { emulator, console: console.into() })
}

fn drive(command: &mut Command, id: &str, file: &Path, options: &str) {
    let file = quoted(file);
    command.arg("-drive").arg(format!("file={file},if=none,format=raw,id={id}{options}"));
    command.arg("-device").arg(format!("virtio-blk-pci,drive={id},romfile="));
}

/// A disk with a log of all writes and flushes.
fn written_down(command: &mut Command, disk: &Path, log: &Path) -> Result<()> {
    File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    for (name, file) in [("bytes", disk), ("log", log)] {
        // What is flushed matters for the log only.
        let options = format!("driver=file,cache.no-flush=on,node-name={name}");
        command.arg("-blockdev").arg(format!("{options},filename={}", quoted(file)));
    }
    let filter = "driver=blklogwrites,node-name=disk,file=bytes,log=log";
    command.arg("-blockdev").arg(format!("{filter},log-sector-size={SECTOR}"));
    command.args(["-device", "virtio-blk-pci,drive=disk,romfile="]);
    Ok(())
}

fn quoted(file: &Path) -> String {
    file.display().to_string().replace(',', ",,")
}

impl Machine {
    /// The machine that `emulator` is, which says everything into `console`.
    pub(crate) fn of(emulator: Running, console: &Path) -> Self {
        Self { emulator, console: console.into() }
    }

    /// Waits until it said all `parts`, one after the other.
    ///
    /// # Errors
    /// It ended before, or does not say it.
    pub fn wait_for(&mut self, parts: &[&str]) -> Result<()> {
        until(PATIENCE, &parts.join(", then "), || {
            let bytes = std::fs::read(&self.console)?;
            if are_in_order(&String::from_utf8_lossy(&bytes), parts) {
                return Ok(Some(()));
            }
            let ended = self.emulator.ended()?;
            anyhow::ensure!(ended.is_none(), "the machine ended before it said {parts:?}");
            Ok(None)
        })
    }

    /// Waits until it switches itself off.
    ///
    /// # Errors
    /// It does not come to an end, or to a bad one.
    pub fn end(mut self) -> Result<Transcript> {
        let console = self.console.display();
        let status = until(PATIENCE, "the machine's end", || self.emulator.ended())
            .with_context(|| format!("its console is in {console}"))?;
        anyhow::ensure!(status.success(), "the emulator ended with {status}: see {console}");
        let bytes = std::fs::read(&self.console)?;
        Ok(Transcript(String::from_utf8_lossy(&bytes).replace('\r', "")))
    }
}

fn are_in_order(said: &str, parts: &[&str]) -> bool {
    parts.iter().try_fold(said, |rest, part| Some(rest.split_once(part)?.1)).is_some()
}

impl Transcript {
    /// How often a line with `part` was said.
    pub fn count(&self, part: &str) -> usize {
        self.0.lines().filter(|line| line.contains(part)).count()
    }

    /// The slots that the bootloader started, in order.
    pub fn starts(&self) -> String {
        let started = |line: &str| line.split_once("refit: slot ")?.1.chars().next();
        let tried = |line: &&str| line.contains(", order ");
        self.0.lines().filter(tried).filter_map(started).collect()
    }

    /// What the agent last said of itself.
    ///
    /// # Errors
    /// It never did.
    pub fn status(&self) -> Result<serde_json::Value> {
        let said = self.0.lines().rev().find_map(|line| line.split_once("guest: status "));
        let (_, json) = said.context("the agent never told its status")?;
        serde_json::from_str(json).context("the agent's status is strange")
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The last lines, for a person.
    pub fn end(&self) -> String {
        let lines: Vec<&str> = self.0.lines().collect();
        let last = lines.len().saturating_sub(25);
        lines.get(last..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_has_an_order() {
        for (parts, want) in [
            (vec!["b", "c"], true),
            (vec!["c", "b"], false),
            (vec!["a", "a"], true),
            (vec![], true),
        ] {
            assert_eq!(are_in_order("a b a c", &parts), want, "{parts:?}");
        }
    }

    #[test]
    fn a_console_tells_what_was_started() {
        let said = "refit: slot B, order B A, left 3 2\nx\nrefit: slot B does not start\n\
                    refit: slot A, order B A, left 3 0\nguest: status {\"phase\":\"idle\"}\n";
        let transcript = Transcript(said.into());
        assert_eq!(transcript.starts(), "BA");
        assert_eq!(transcript.count("does not start"), 1);
        assert_eq!(transcript.status().unwrap()["phase"], "idle");
        assert!(Transcript(String::new()).status().is_err());
    }
}
