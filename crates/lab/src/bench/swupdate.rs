//! SWUpdate: streams the image into the slot.
//!
//! Its downloader does not verify the server's certificate; what it costs is without
//! that. When it closes a slot that is a partition, the kernel writes out what is left
//! of it, in SWUpdate's time; it does not do so for a file. Its post-update command
//! therefore makes the slot durable here, as a careful integrator's would.

use super::cost::{Cost, Meter, Watch};
use super::memory::Places;
use super::workshop::{VERSION, Workshop};
use crate::process::{bound_to_us, said, system};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

/// What it says when the slot is written; it ends up to a second later, because it
/// looks only so often.
const DONE: &str = "SWUPDATE successful";
/// Names of the files in its package, in the order that it needs.
const NAMES: [&str; 3] = ["sw-description", "sw-description.sig", "image.zst"];

/// Makes its package, unless it is there.
pub(super) fn prepare(workshop: &Workshop) -> Result<()> {
    workshop.make(&workshop.www("update.swu"), |swu| pack(workshop, swu))
}

/// Packs and signs.
fn pack(workshop: &Workshop, swu: &Path) -> Result<()> {
    let folder = workshop.empty("swu")?;
    let [description, signature, payload] = NAMES.map(|name| folder.join(name));
    let mut zstd = system("zstd", "zstd")?;
    zstd.args(["-q", "-T0", "--no-check"]).arg(format!("-{}", workshop.level));
    said(zstd.arg(workshop.image()).arg("-o").arg(&payload))?;
    fs::write(&description, describe(workshop, &payload)?)?;
    workshop.signer.sign(&description, &signature)?;
    let mut shell = Command::new("sh");
    let names = NAMES.join(" ");
    shell.args(["-c", &format!("printf '%s\\n' {names} | cpio -o -H crc --quiet > \"$0\"")]);
    said(shell.arg(swu).current_dir(&folder)).context("cannot make a .swu")?;
    fs::remove_dir_all(&folder).context("cannot clean up")
}

fn describe(workshop: &Workshop, payload: &Path) -> Result<String> {
    let digest = crate::image::digest_of_first(payload, fs::metadata(payload)?.len())?;
    let slot = slot(workshop);
    Ok(format!(
        "software =\n{{\n\tversion = \"{VERSION}\";\n\thardware-compatibility: [ \"1.0\" ];\n\
         \timages: (\n\t\t{{\n\t\t\tfilename = \"image.zst\";\n\t\t\ttype = \"raw\";\n\
         \t\t\tdevice = \"{}\";\n\t\t\tcompressed = \"zstd\";\n\
         \t\t\tinstalled-directly = true;\n\t\t\tsha256 = \"{digest}\";\n\t\t}}\n\t);\n}}\n",
        slot.display()
    ))
}

fn slot(workshop: &Workshop) -> PathBuf {
    workshop.folder.join("slot-swupdate")
}

/// Installs what is at `url`.
pub(super) fn install(workshop: &Workshop, url: &str, watch: Watch) -> Result<Cost> {
    let slot = slot(workshop);
    workshop.wipe(&slot)?;
    let temporary = workshop.empty("tmp-swupdate")?;
    let places = Places { records: workshop.empty("records-swupdate")?, temporary, slots: vec![] };
    let meter = Meter::start(watch, &places)?;
    let mut child = command(workshop, url, &places.temporary)?.spawn()?;
    meter.watch(child.id());
    let said = child.stdout.take().context("it has no output")?;
    let done = listen(said, &workshop.folder.join("swupdate.log"), &meter)?;
    let status = child.wait()?;
    let cost = meter.finish(done.unwrap_or_default())?;
    ensure!(status.success() && done.is_some(), "it ended with {status}; see swupdate.log");
    workshop.check(&slot)?;
    Ok(cost)
}

fn command(workshop: &Workshop, url: &str, temporary: &Path) -> Result<Command> {
    let program = system("swupdate", "swupdate")?;
    let mut command = bound_to_us(Path::new("stdbuf"));
    command.arg("-oL").arg(program.get_program()).args(["-l", "3", "-H", "lab:1.0", "-k"]);
    command.arg(&workshop.signer.certificate).args(["-d", &format!("-u {url}")]);
    command.args(["-p", &format!("sync --data {}", slot(workshop).display())]);
    command.env("TMPDIR", temporary).current_dir(temporary);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let errors = File::create(workshop.folder.join("swupdate.err"))?;
    command.stderr(errors);
    Ok(command)
}

/// Keeps what it says; how long it took until it said that it is done.
fn listen(said: ChildStdout, log: &Path, meter: &Meter) -> Result<Option<Duration>> {
    let mut log = File::create(log)?;
    let mut done = None;
    for line in BufReader::new(said).lines() {
        let line = line?;
        if line.contains(DONE) && done.is_none() {
            done = Some(meter.elapsed());
        }
        writeln!(log, "{line}")?;
    }
    Ok(done)
}
