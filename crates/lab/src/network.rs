//! The line as NetworkManager and ModemManager tell of it: both run for real, on a bus of
//! their own and in a network of their own, and an update waits until the line is free.
//!
//! The network is a pair of virtual cards, which NetworkManager takes for cards of
//! Ethernet; what is asked and answered is what a terminal with one would hear.
//! Deliberately absent: a modem. What `mmcli` says is heard where there is none.

use crate::boot::BootLoop;
use crate::chance::noise;
use crate::clock::until;
use crate::maker::{Details, Maker, Release};
use crate::operator::Operator;
use crate::process::{Programs, Running, bound_to_us, said, system};
use crate::terminal::{Factory, Server, Settings, Terminal};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Bytes of a slot.
const SIZE: usize = 1 << 20;
/// What NetworkManager is told: nothing is its business that is not named below.
const SETTINGS: &str = "[main]\nplugins=keyfile\ndns=none\nno-auto-default=*\n";
/// What is mounted in place of the machine's own. `/sys` that cannot be written is how
/// NetworkManager knows that no udev runs.
const MOUNTS: [&[&str]; 5] = [
    &["--make-rprivate", "/"],
    &["-t", "tmpfs", "tmpfs", "/run"],
    &["-t", "tmpfs", "tmpfs", "/etc/NetworkManager"],
    &["-t", "tmpfs", "tmpfs", "/var/lib/NetworkManager"],
    &["-t", "sysfs", "-o", "ro", "sysfs", "/sys"],
];
/// The card, its other end, and the connection over it.
const CARDS: [&[&str]; 3] = [
    &["link", "set", "lo", "up"],
    &["link", "add", "card", "type", "veth", "peer", "name", "far"],
    &["link", "set", "far", "up"],
];
const CONNECTION: &[&str] = &[
    "connection",
    "add",
    "type",
    "ethernet",
    "ifname",
    "card",
    "con-name",
    "line",
    "ipv4.method",
    "manual",
    "ipv4.addresses",
    "192.0.2.2/24",
    "ipv4.gateway",
    "192.0.2.1",
    "ipv6.method",
    "disabled",
    "connection.metered",
    "yes",
];

/// Asks NetworkManager and ModemManager about the line.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Everything is in a network, mounts and processes of its own already.
    #[arg(long, hide = true)]
    inside: bool,
}

/// `lab network`.
///
/// # Errors
/// A program is missing or fails, or something does not happen.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.inside {
        return tried();
    }
    let own = std::env::current_exe().context("cannot find out which program this is")?;
    let mut unshare = system("unshare", "util-linux")?;
    unshare.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    let status = unshare.arg(own).args(["network", "--inside"]).status();
    let status = status.context("cannot start `unshare`")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tried() -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    for mount in MOUNTS {
        said(system("mount", "mount")?.args(mount))?;
    }
    fs::create_dir_all("/run/dbus")?;
    fs::create_dir_all("/etc/NetworkManager/system-connections")?;
    fs::write("/etc/NetworkManager/NetworkManager.conf", SETTINGS)?;
    for card in CARDS {
        said(system("ip", "iproute2")?.args(card))?;
    }
    let bus = started("dbus-daemon", "dbus", &["--system", "--nofork", "--nopidfile"], folder)?;
    until(SOON, "the bus", || Ok(Path::new("/run/dbus/system_bus_socket").exists().then_some(())))?;
    let (operator, terminal) = terminal(folder)?;
    let power = BootLoop::start(terminal);
    operator.roll_out("all", "2.0.0", &[])?;
    // `nmcli` is there, and nobody answers it.
    waits(power.terminal(), "link-unknown")?;
    let manager = started("NetworkManager", "network-manager", &["--no-daemon"], folder)?;
    until(SOON, "NetworkManager", || Ok(nmcli(&["general"]).ok()))?;
    nmcli(CONNECTION)?;
    nmcli(&["connection", "up", "line"])?;
    waits(power.terminal(), "full-on-metered")?;
    nmcli(&["connection", "modify", "line", "connection.metered", "no"])?;
    nmcli(&["device", "reapply", "card"])?;
    runs(power.terminal(), "2.0.0")?;
    println!("tried: a line that costs is waited for, and a free one is used");
    drop(power);
    without_modem(folder)?;
    drop((manager, bus));
    Ok(ExitCode::SUCCESS)
}

/// A program of the system that runs as long as the value lives.
fn started(program: &str, package: &str, words: &[&str], folder: &Path) -> Result<Running> {
    let file = system(program, package)?;
    let mut command = bound_to_us(Path::new(file.get_program()));
    Running::of(command.args(words), &folder.join(program))
}

fn nmcli(words: &[&str]) -> Result<String> {
    said(system("nmcli", "network-manager")?.env("LC_ALL", "C").args(words))
}

/// A server with a release, and a terminal of it that asks whoever knows the line.
fn terminal(folder: &Path) -> Result<(Operator, Terminal)> {
    let programs = Programs::find()?;
    let maker = Maker::new(&programs, &folder.join("keys"))?;
    let operator = Operator::start(&programs, &folder.join("server"), &maker.root())?;
    let image = |version: &str| -> Result<_> {
        let path = folder.join(version);
        fs::write(&path, noise(SIZE))?;
        let start = crate::entry::Start::Agent;
        crate::entry::Entry { version: version.into(), start }.write(&path)?;
        Ok(path)
    };
    let (old, new, package) = (image("1.0.0")?, image("2.0.0")?, folder.join("2.0.0.zip"));
    let details = Details { chunk_size: 64 << 10, level: 1, ..Details::default() };
    maker.pack(&Release { version: "2.0.0", index: 2, image: &new, details }, &package)?;
    operator.publish(&package)?;
    let tokens = operator.tokens(1)?;
    let (ca, token) = (operator.ca(), tokens.first().context("the server gave no token")?);
    let factory = Factory {
        programs: &programs,
        root: &maker.root(),
        image: &old,
        version: "1.0.0",
        slot_size: SIZE as u64,
        server: Some(Server { url: operator.address(), ca: &ca, token }),
        settings: &Settings::default(),
    };
    let terminal = Terminal::make("terminal", folder, &factory)?;
    let mut config = File::options().append(true).open(terminal.config())?;
    writeln!(config, "[senses]\nline = \"auto\"\nevery_seconds = 0")?;
    Ok((operator, terminal))
}

/// Waits until the update waits for `rule`.
fn waits(terminal: &Terminal, rule: &str) -> Result<()> {
    seen(terminal, rule, |status| status["why"] == rule)?;
    println!("tried: the update waits ({rule})");
    Ok(())
}

fn runs(terminal: &Terminal, version: &str) -> Result<()> {
    let status = seen(terminal, version, |status| {
        status["phase"] == "idle" && told(status, "/last/version") == version
    })?;
    ensure!(told(&status, "/last/outcome") == 0, "the update ended so: {status}");
    Ok(())
}

fn told<'a>(status: &'a Value, what: &str) -> &'a Value {
    status.pointer(what).unwrap_or(&Value::Null)
}

fn seen(terminal: &Terminal, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    let found = until(SOON, what, || {
        let said = terminal.agent(&["status", "--json"])?.stdout;
        last = serde_json::from_slice(&said).unwrap_or_default();
        Ok(wanted(&last).then(|| last.clone()))
    });
    found.with_context(|| format!("the terminal says {last}"))
}

/// What `mmcli` says without ModemManager, and without a modem: nothing that is taken for a
/// line.
fn without_modem(folder: &Path) -> Result<()> {
    let asked = || -> Result<bool> {
        let mut mmcli: Command = system("mmcli", "modemmanager")?;
        let output = mmcli.env("LC_ALL", "C").args(["-m", "any", "-K"]).output()?;
        Ok(output.status.success() || !output.stdout.is_empty())
    };
    ensure!(!asked()?, "`mmcli` knows of a modem that nobody told it of");
    let modems = started("ModemManager", "modemmanager", &["--test-no-auto-scan"], folder)?;
    let list = || Ok(said(system("mmcli", "modemmanager")?.env("LC_ALL", "C").arg("-L")).ok());
    let listed = until(SOON, "ModemManager", list)?;
    ensure!(listed.contains("No modems were found"), "`mmcli` says {listed}");
    ensure!(!asked()?, "`mmcli` knows of a modem that is not there");
    println!("tried: without a modem `mmcli` says nothing that is taken for a line");
    drop(modems);
    Ok(())
}
