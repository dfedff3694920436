//! A terminal in a folder: two slots and a boot control as files, and the real agent
//! with a configuration of its own.

use crate::entry::Start;
use crate::image::digest_of_first;
use crate::process::{Programs, Running, bound_to_us};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use types::Slot;

/// The product that the lab's terminals are.
pub const PRODUCT: &str = "lab-r1";
/// Their hardware.
pub const HARDWARE: &str = "lab-r1-rev-a";
/// The one component that they have.
pub const COMPONENT: &str = "rootfs";

/// A terminal that was made.
#[derive(Debug, Clone)]
pub struct Terminal {
    name: String,
    folder: PathBuf,
    programs: Programs,
}

/// What a terminal is made of.
#[derive(Debug, Clone, Copy)]
pub struct Factory<'a> {
    /// The programs it runs.
    pub programs: &'a Programs,
    /// The maker's root of trust.
    pub root: &'a Path,
    /// The image in slot A.
    pub image: &'a Path,
    /// The version of that image.
    pub version: &'a str,
    /// Bytes of each slot.
    pub slot_size: u64,
    /// The operator's server, if it has one.
    pub server: Option<Server<'a>>,
    /// What differs from the usual.
    pub settings: &'a Settings,
}

/// The server of an operator.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// Its address.
    pub url: &'a str,
    /// Its authority's certificate.
    pub ca: &'a Path,
    /// The enrolment token.
    pub token: &'a str,
}

/// What can differ between terminals.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Brand or carrier variant.
    pub variant: Option<&'static str>,
    /// Region.
    pub region: &'static str,
    /// Bytes per second that a server must keep.
    pub least_rate: u32,
    /// Seconds over which that is measured.
    pub least_rate_seconds: u32,
    /// Bytes per second that are fetched at most; 0 for as fast as it goes.
    pub bandwidth: u32,
    /// KiB of payload that a cut may cost.
    pub checkpoint_kib: u32,
    /// Whether the slot is read back.
    pub read_back: ReadBack,
}

/// Whether the slot is read back before it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// It is.
    Full,
    /// It is not.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variant: None,
            region: "here",
            least_rate: 1024,
            least_rate_seconds: 60,
            bandwidth: 0,
            checkpoint_kib: 832,
            read_back: ReadBack::Full,
        }
    }
}

impl Terminal {
    /// Makes the terminal `name` in a folder of that name below `parent`.
    ///
    /// # Errors
    /// The storage is full, or the image larger than a slot.
    pub fn make(name: &str, parent: &Path, factory: &Factory<'_>) -> Result<Self> {
        let folder = parent.join(name);
        fs::create_dir_all(folder.join("run")).context("cannot make a terminal's folder")?;
        let terminal = Self { name: name.into(), folder, programs: factory.programs.clone() };
        let size = fs::metadata(factory.image)?.len();
        ensure!(size <= factory.slot_size, "the image is larger than the slot");
        fs::copy(factory.image, terminal.slot(Slot::A)).context("cannot fill slot A")?;
        for slot in Slot::BOTH {
            let file = File::options().create(true).append(true).open(terminal.slot(slot))?;
            file.set_len(factory.slot_size)?;
        }
        if let Some(server) = factory.server {
            fs::write(terminal.file("token"), server.token)?;
        }
        fs::write(terminal.running_slot(), "A")?;
        fs::write(terminal.boot_id(), "0".repeat(32))?;
        terminal.set_health(Start::Agent)?;
        fs::write(terminal.config(), terminal.config_text(factory)?)?;
        Ok(terminal)
    }

    fn config_text(&self, factory: &Factory<'_>) -> Result<String> {
        let settings = factory.settings;
        let quoted = |path: PathBuf| format!("{:?}", path.display().to_string());
        let variant = settings.variant.map(|v| format!("variant = {v:?}\n")).unwrap_or_default();
        let size = fs::metadata(factory.image)?.len();
        let digest = digest_of_first(factory.image, size)?;
        let mut text = format!(
            "device = {:?}\nproduct = {PRODUCT:?}\nhardware = {HARDWARE:?}\n{variant}\
             region = {:?}\nstate_dir = {}\nruntime_dir = {}\nroot = {}\n",
            self.name,
            settings.region,
            quoted(self.state()),
            quoted(self.file("run")),
            quoted(factory.root.into()),
        );
        if let Some(server) = factory.server {
            text += &format!(
                "[server]\nurl = {:?}\nca = {}\ntoken_file = {}\npoll_seconds = 1\n",
                server.url,
                quoted(server.ca.into()),
                quoted(self.file("token")),
            );
        }
        text += &format!(
            "[network]\nbandwidth = {}\nleast_rate = {}\nleast_rate_seconds = {}\n\
             read_seconds = 10\n[install]\nread_back = {}\ncheckpoint_kib = {}\n",
            settings.bandwidth,
            settings.least_rate,
            settings.least_rate_seconds,
            settings.read_back == ReadBack::Full,
            settings.checkpoint_kib,
        );
        text += &format!(
            "[boot]\ncontrol = \"file\"\npath = {}\nrunning_file = {}\n\
             [components.{COMPONENT}]\neffect = \"slot\"\na = {}\nb = {}\n\
             [installed.{COMPONENT}]\nversion = {:?}\nsha256 = \"{digest}\"\nslot = \"A\"\n\
             [power]\nboot_id_file = {}\n\
             [[health.checks]]\ncommand = [\"/usr/bin/test\", \"-e\", {}]\nwithin_seconds = 2\n",
            quoted(self.boot_control()),
            quoted(self.running_slot()),
            quoted(self.slot(Slot::A)),
            quoted(self.slot(Slot::B)),
            factory.version,
            quoted(self.boot_id()),
            quoted(self.file("healthy")),
        );
        Ok(text)
    }

    /// Its name in the fleet.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file `name` in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file that is `slot`.
    pub fn slot(&self, slot: Slot) -> PathBuf {
        self.file(match slot {
            Slot::A => "slot-a",
            Slot::B => "slot-b",
        })
    }

    /// The bootloader's memory.
    pub fn boot_control(&self) -> PathBuf {
        self.file("boot")
    }

    /// Where the bootloader says which slot runs.
    pub fn running_slot(&self) -> PathBuf {
        self.file("running")
    }

    /// Where the bootloader names the boot.
    pub fn boot_id(&self) -> PathBuf {
        self.file("boot-id")
    }

    /// The agent's configuration.
    pub fn config(&self) -> PathBuf {
        self.file("agent.toml")
    }

    /// Where the agent keeps what survives.
    pub fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// Makes the health checks pass, or fail, from now on, as `start` says.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn set_health(&self, start: Start) -> Result<()> {
        let file = self.file("healthy");
        let changed = match start {
            Start::Agent => fs::write(file, ""),
            _ if file.exists() => fs::remove_file(file),
            _ => Ok(()),
        };
        changed.context("cannot write a terminal's health")
    }

    /// The same terminal after its folder was copied below `parent`.
    ///
    /// # Errors
    /// There is no such copy.
    pub fn moved(&self, parent: &Path) -> Result<Self> {
        let moved = Self { folder: parent.join(&self.name), ..self.clone() };
        let text = fs::read_to_string(moved.config()).context("cannot read a configuration")?;
        let (from, to) = (self.folder.to_string_lossy(), moved.folder.to_string_lossy());
        fs::write(moved.config(), text.replace(&*from, &to))?;
        Ok(moved)
    }

    /// Adds a line to the terminal's own story.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn note(&self, line: &str) -> Result<()> {
        let file = File::options().create(true).append(true).open(self.file("log"));
        writeln!(file.context("cannot write a terminal's log")?, "{line}")?;
        Ok(())
    }

    /// Starts the agent's loop; what it says goes to the terminal's log.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_agent(&self) -> Result<Running> {
        let config = self.config();
        let arguments = [OsStr::new("run"), OsStr::new("--config"), config.as_os_str()];
        Running::start(&self.programs.agent(), &arguments, &self.file("log"))
    }

    /// Runs one command of the agent to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn agent(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.agent_command(arguments).output();
        output.context("cannot start refit-agent")
    }

    /// One command of the agent, to be started in a special way.
    pub fn agent_command(&self, arguments: &[&str]) -> Command {
        let mut command = bound_to_us(&self.programs.agent());
        command.args(arguments).arg("--config").arg(self.config()).stdin(Stdio::null());
        command
    }
}
