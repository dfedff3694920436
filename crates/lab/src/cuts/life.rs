//! A terminal's life until it runs the new release: the bootloader's decision, the
//! agent, restarts, and an owner who gives the package when nothing goes on.
//!
//! Every boot and the end are checked; what breaks a rule is an error that says so.

use crate::terminal::Terminal;
use agent::edges::{Journal, Loaded, SlotFacts};
use agent::platform::boot::file::BootFile;
use agent::platform::journal::JournalFile;
use agent::platform::power::EXIT_RESTART;
use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, ExitStatus};
use types::{Digest, Outcome, Report, Slot};

/// The most boots that an update may take: one before, one into the new release, and
/// those that a cut costs.
const BOOTS: u32 = 6;
/// How long one command of the agent may take, in seconds.
const PATIENCE: i64 = 60;

/// The update that a terminal is to make.
#[derive(Debug)]
pub struct Update<'a> {
    /// The package.
    pub package: &'a Path,
    /// The image that it ran from the factory, in slot A.
    pub old: &'a [u8],
    /// The image that is in the package.
    pub new: &'a [u8],
    /// The version of that.
    pub version: &'a str,
}

/// What a life took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lived {
    /// Boots.
    pub boots: u32,
    /// How often the package had to be given.
    pub given: u32,
}

/// How a run of the agent ended.
enum End {
    Restart,
    Done,
}

/// Switches `terminal` on and lets it live until it runs the new release for good.
///
/// # Errors
/// It does not come to that, or a rule is broken on the way.
pub fn live(terminal: &Terminal, update: &Update<'_>) -> Result<Lived> {
    let control = BootFile::new(&terminal.boot_control());
    ensure_records(terminal, &control)?;
    let mut lived = Lived::default();
    while lived.boots < BOOTS {
        lived.boots += 1;
        let slot = control.decide().context("the bootloader cannot use its memory")?;
        ensure_bootable(terminal, update, slot)?;
        name_boot(terminal, slot, lived.boots)?;
        if let End::Done = boot(terminal, update, &mut lived)? {
            ensure_complete(terminal, update, &control)?;
            return Ok(lived);
        }
    }
    bail!("the new release does not run after {BOOTS} boots")
}

/// Journal and boot control are old or new, and never damaged.
fn ensure_records(terminal: &Terminal, control: &BootFile) -> Result<()> {
    let journal = JournalFile::new(&terminal.state().join("journal")).load()?;
    ensure!(journal != Loaded::Damaged, "the journal is damaged");
    let [a, b] = [control.slot(Slot::A)?, control.slot(Slot::B)?];
    ensure!([a, b].contains(&SlotFacts::Good), "the boot control is damaged");
    Ok(())
}

/// What the bootloader chose must be one release as a whole.
fn ensure_bootable(terminal: &Terminal, update: &Update<'_>, slot: Slot) -> Result<()> {
    let bytes = fs::read(terminal.slot(slot))?;
    let whole = bytes == update.old || bytes == update.new;
    ensure!(whole, "the bootloader picks slot {slot}, which holds no complete release");
    Ok(())
}

/// Writes what a bootloader tells the system: the slot, and which boot this is.
fn name_boot(terminal: &Terminal, slot: Slot, boots: u32) -> Result<()> {
    let Digest(name) = Digest::of(format!("{:?} {boots}", terminal.boot_id()).as_bytes());
    let id: String = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    fs::write(terminal.running_slot(), slot.to_string())?;
    fs::write(terminal.boot_id(), id)?;
    Ok(())
}

/// One boot: the agent takes up what is in progress; where nothing is, and the old
/// release runs, the owner gives the package.
fn boot(terminal: &Terminal, update: &Update<'_>, lived: &mut Lived) -> Result<End> {
    if let End::Restart = agent(terminal, &["run", "--once"])? {
        return Ok(End::Restart);
    }
    if runs(&status(terminal)?, update.version) {
        return Ok(End::Done);
    }
    lived.given += 1;
    let package = update.package.to_str().context("a package's path that is no text")?;
    agent(terminal, &["install", package])
}

/// Runs the agent to its end.
fn agent(terminal: &Terminal, arguments: &[&str]) -> Result<End> {
    let log = terminal.file("log");
    let out = File::options().create(true).append(true).open(&log)?;
    let mut command = terminal.agent_command(arguments);
    let child = command.stderr(out.try_clone()?).stdout(out).spawn();
    let status = ended(child.context("cannot start refit-agent")?)?;
    let [what, ..] = arguments else { bail!("the agent was told nothing") };
    match status.code() {
        Some(0) => Ok(End::Done),
        Some(code) if code == i32::from(EXIT_RESTART) => Ok(End::Restart),
        _ => {
            let log = fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(4).collect();
            bail!("`refit-agent {what}` ended with {status}: {}", last.join(" | "))
        }
    }
}

/// Waits for `child`, which is killed when it takes too long.
fn ended(mut child: Child) -> Result<ExitStatus> {
    let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&patience))? == 0 {
        child.kill()?;
        child.wait()?;
        bail!("the agent did not end within {PATIENCE} s");
    }
    Ok(child.wait()?)
}

/// What the agent says of the terminal.
fn status(terminal: &Terminal) -> Result<Value> {
    let output = terminal.agent(&["status", "--json"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the agent does not tell its status: {}", said.trim());
    serde_json::from_slice(&output.stdout).context("the agent's status is strange")
}

fn runs(status: &Value, version: &str) -> bool {
    let mut running = status.get("running").and_then(Value::as_object).into_iter().flatten();
    running.any(|(_, state)| state.get("version").and_then(Value::as_str) == Some(version))
}

/// The new release runs and is trusted, the old one was not touched, the journal is
/// at rest and the report is there.
fn ensure_complete(terminal: &Terminal, update: &Update<'_>, control: &BootFile) -> Result<()> {
    let running = fs::read_to_string(terminal.running_slot())?;
    let slot: Slot = running.trim().parse().ok().context("no slot runs")?;
    let new = fs::read(terminal.slot(slot))? == update.new;
    ensure!(new, "the slot that runs does not hold the new image");
    let old = fs::read(terminal.slot(slot.other()))? == update.old;
    ensure!(old, "the other slot does not hold the old image any more");
    let good = control.slot(slot)? == SlotFacts::Good && control.preferred()? == slot;
    ensure!(good, "the bootloader does not trust the new release");
    let status = status(terminal)?;
    let phase = status.get("phase").and_then(Value::as_str).unwrap_or_default();
    ensure!(phase == "idle", "the agent is not at rest but `{phase}`");
    let last = status.get("last").filter(|last| !last.is_null());
    let last = last.context("there is no report")?;
    let report: Report = serde_json::from_value(last.clone())?;
    let version = report.version.as_ref().map(|version| version.as_str());
    let ok = report.outcome == Outcome::Ok && version == Some(update.version);
    ensure!(ok, "the report says {last}");
    Ok(())
}
