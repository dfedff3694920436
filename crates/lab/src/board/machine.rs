//! The emulator: QEMU's `virt` machine for arm64, without acceleration.

use super::parts::Parts;
use crate::clock::until;
use crate::process::{Running, bound_to_us, system};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one machine may run until it switches itself off.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a machine is given besides its disk.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// A memory card.
    pub card: Option<PathBuf>,
    /// Whether it has a network, on which the host is 10.0.2.2.
    pub network: bool,
}

/// Everything that a machine said on its console.
#[derive(Debug, Clone)]
pub struct Transcript(String);

/// Switches a machine on and waits until it switches itself off.
///
/// # Errors
/// It cannot be started, or does not come to an end.
pub fn run(parts: &Parts, disk: &Path, devices: &Devices, log: &Path) -> Result<Transcript> {
    let qemu = system("qemu-system-aarch64", "qemu-system-arm")?;
    let mut command = bound_to_us(Path::new(qemu.get_program()));
    command.args(["-M", "virt", "-cpu", "cortex-a57", "-m", "512", "-nographic"]);
    command.args(["-rtc", "base=utc", "-monitor", "none", "-serial", "stdio", "-bios"]);
    command.arg(&parts.uboot);
    drive(&mut command, "disk", disk, "");
    if let Some(card) = &devices.card {
        drive(&mut command, "card", card, ",readonly=on");
    }
    match devices.network {
        true => {
            command.args(["-netdev", "user,id=net"]);
            command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        false => {
            command.args(["-nic", "none"]);
        }
    }
    command.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
    let mut machine = Running::of(&mut command, log)?;
    let status = until(PATIENCE, "the machine's end", || machine.ended())
        .with_context(|| format!("its console is in {}", log.display()))?;
    anyhow::ensure!(status.success(), "the emulator ended with {status}: see {}", log.display());
    let bytes = std::fs::read(log)?;
    Ok(Transcript(String::from_utf8_lossy(&bytes).replace('\r', "")))
}

fn drive(command: &mut std::process::Command, id: &str, file: &Path, options: &str) {
    let file = file.display().to_string().replace(',', ",,");
    command.arg("-drive").arg(format!("file={file},if=none,format=raw,id={id}{options}"));
    command.arg("-device").arg(format!("virtio-blk-pci,drive={id},romfile="));
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
