//! RAUC: a service, a client and the message bus between them.
//!
//! Debian builds it without streaming: it downloads the whole bundle first.

use super::cost::{Cost, Meter, Watch};
use super::memory::Places;
use super::workshop::{VERSION, Workshop};
use crate::clock::until;
use crate::process::{Running, bound_to_us, said, system};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COMPATIBLE: &str = "refit-lab";
const START: Duration = Duration::from_secs(30);
/// Bytes of a block of the bundle's file system: mksquashfs's own choice.
const BLOCK: &str = "128K";

/// Makes its package, unless it is there.
pub(super) fn prepare(workshop: &Workshop) -> Result<()> {
    workshop.make(&workshop.www("update.raucb"), |bundle| pack(workshop, bundle))
}

/// Packs and signs.
fn pack(workshop: &Workshop, bundle: &Path) -> Result<()> {
    let content = workshop.empty("raucb")?;
    fs::copy(workshop.image(), content.join("rootfs.img"))?;
    let manifest = format!(
        "[update]\ncompatible={COMPATIBLE}\nversion={VERSION}\n\n[bundle]\nformat=plain\n\n\
         [image.rootfs]\nfilename=rootfs.img\n"
    );
    fs::write(content.join("manifest.raucm"), manifest)?;
    if bundle.exists() {
        fs::remove_file(bundle)?;
    }
    let signer = &workshop.signer;
    let level = workshop.level;
    let mut rauc = system("rauc", "rauc")?;
    rauc.arg(option("cert", &signer.certificate)).arg(option("key", &signer.key));
    rauc.arg(option("keyring", &signer.certificate)).arg("bundle");
    rauc.arg(format!("--mksquashfs-args=-comp zstd -Xcompression-level {level} -b {BLOCK}"));
    said(rauc.arg(&content).arg(bundle)).context("cannot make a bundle")?;
    fs::remove_dir_all(&content).context("cannot clean up")
}

fn option(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// Where it runs.
struct Place<'a> {
    workshop: &'a Workshop,
    folder: PathBuf,
    temporary: PathBuf,
    slot: PathBuf,
}

/// Installs what is at `url`, from a server that `ca` vouches for.
pub(super) fn install(workshop: &Workshop, url: &str, ca: &str, watch: Watch) -> Result<Cost> {
    let folder = workshop.empty("rauc")?;
    let temporary = workshop.empty("tmp-rauc")?;
    let slot = workshop.folder.join("slot-rauc");
    workshop.wipe(&slot)?;
    let place = Place { workshop, folder, temporary, slot };
    place.configure(ca)?;
    let places = Places {
        temporary: place.temporary.clone(),
        records: place.folder.join("records"),
        slots: vec![],
    };
    let mut meter = Meter::start(watch, &places)?;
    let mut bus = place.start_bus()?;
    let mut service = place.start_service()?;
    // What was asked until it answered is no part of it.
    meter.forget()?;
    let log = place.folder.join("client.log");
    let mut client = Running::of(&mut place.client(url)?, &log)?;
    for process in [&bus, &service, &client] {
        meter.watch(process.id());
    }
    let status = client.wait()?;
    let wall = meter.elapsed();
    service.kill()?;
    bus.kill()?;
    let cost = meter.finish(wall)?;
    ensure!(status.success(), "it ended with {status}; see {}", log.display());
    workshop.check(&place.slot)?;
    Ok(cost)
}

impl Place<'_> {
    fn socket(&self) -> PathBuf {
        self.folder.join("bus")
    }

    fn configure(&self, ca: &str) -> Result<()> {
        let records = self.folder.join("records");
        for folder in [&records, &self.folder.join("mounts"), &self.folder.join("certificates")] {
            fs::create_dir_all(folder)?;
        }
        fs::write(self.folder.join("certificates/ca-certificates.crt"), ca)?;
        let other = self.folder.join("slot-a");
        fs::write(&other, "")?;
        let folder = self.folder.display();
        fs::write(
            self.folder.join("system.conf"),
            format!(
                "[system]\ncompatible={COMPATIBLE}\nbootloader=noop\nmountprefix={folder}/mounts\n\
                 statusfile={folder}/records/status\nmax-bundle-download-size=8589934592\n\
                 bundle-formats=plain\n\n[keyring]\npath={}\n\n\
                 [slot.rootfs.0]\ndevice={}\ntype=raw\nbootname=A\n\n\
                 [slot.rootfs.1]\ndevice={}\ntype=raw\nbootname=B\n",
                self.workshop.signer.certificate.display(),
                other.display(),
                self.slot.display(),
            ),
        )?;
        let bus = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen>\
             <auth>EXTERNAL</auth><policy context=\"default\"><allow send_destination=\"*\"/>\
             <allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            self.socket().display()
        );
        fs::write(self.folder.join("bus.conf"), bus).context("cannot configure RAUC")
    }

    /// A bus of its own: nothing of this machine's is touched.
    fn start_bus(&self) -> Result<Running> {
        let program = system("dbus-daemon", "dbus")?;
        let mut command = bound_to_us(Path::new(program.get_program()));
        command.arg(option("config-file", &self.folder.join("bus.conf")));
        command.args(["--nofork", "--nopidfile"]);
        let mut bus = Running::of(&mut command, &self.folder.join("bus.log"))?;
        until(START, "the start of a bus", || match bus.ended()? {
            Some(status) => bail!("the bus ended with {status}"),
            None => Ok(self.socket().exists().then_some(())),
        })?;
        Ok(bus)
    }

    /// In a namespace of mounts in which the authority is the only one: there is no
    /// other way to tell it which to trust.
    fn start_service(&self) -> Result<Running> {
        let program = system("rauc", "rauc")?;
        let mut command = bound_to_us(Path::new("unshare"));
        let bind = "mount --bind \"$0\" /etc/ssl/certs && exec \"$@\"";
        command.args(["--mount", "sh", "-c", bind]).arg(self.folder.join("certificates"));
        command.arg(program.get_program()).arg("-c").arg(self.folder.join("system.conf"));
        command.args(["--override-boot-slot=A", "service"]);
        self.on_the_bus(&mut command);
        let log = self.folder.join("service.log");
        let mut service = Running::of(&mut command, &log)?;
        until(START, "the start of the service", || match service.ended()? {
            Some(status) => bail!("the service ended with {status}; see {}", log.display()),
            None => Ok(self.is_on_the_bus()?.then_some(())),
        })?;
        Ok(service)
    }

    fn is_on_the_bus(&self) -> Result<bool> {
        let mut ask = system("dbus-send", "dbus")?;
        ask.args(["--session", "--dest=org.freedesktop.DBus", "--print-reply=literal"]);
        ask.args(["/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner"]);
        self.on_the_bus(ask.arg("string:de.pengutronix.rauc"));
        Ok(said(&mut ask)?.contains("true"))
    }

    fn client(&self, url: &str) -> Result<Command> {
        let program = system("rauc", "rauc")?;
        let mut command = bound_to_us(Path::new(program.get_program()));
        self.on_the_bus(command.args(["install", url]));
        Ok(command)
    }

    fn on_the_bus(&self, command: &mut Command) {
        let bus = format!("unix:path={}", self.socket().display());
        command.env("DBUS_SESSION_BUS_ADDRESS", bus).env("DBUS_STARTER_BUS_TYPE", "session");
        command.env("TMPDIR", &self.temporary);
    }
}
