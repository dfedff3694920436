//! A real board in an emulator: a real U-Boot with the script that ships, a real
//! kernel, and the real agent, cross-built. Good and bad releases come on a memory
//! card; the bootloader has to get the terminal out of each.
//!
//! Deliberately absent: anything that plays the bootloader or the power. Resets are
//! the machine's own, by the kernel's panic or by the watchdog.

pub mod disk;
pub mod machine;
pub mod parts;
pub mod slot;

use crate::maker::{Details, Maker, Release};
use crate::process::Programs;
use anyhow::{Context, Result, bail, ensure};
use disk::Disk;
use machine::{Devices, Transcript};
use parts::Parts;
use slot::{Mode, SLOT_MIB};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use types::Outcome;

/// The version in the factory.
const OLD: &str = "1.0.0";
/// The version of the update.
const NEW: &str = "2.0.0";
/// Machines that run at once.
const MACHINES: usize = 2;
/// The script under test: the one that ships.
const SCRIPT: &str = "contrib/boot/uboot.cmd";

/// Lets good and bad releases loose on a board with U-Boot.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The agent, static, for arm64.
    #[arg(long)]
    agent: PathBuf,
    /// The folder with unpacked packages for arm64: kernel and BusyBox.
    #[arg(long)]
    parts: PathBuf,
    /// U-Boot for QEMU's arm64 machine.
    #[arg(long, default_value = "/usr/lib/u-boot/qemu_arm64/u-boot.bin")]
    uboot: PathBuf,
    /// Run this case only.
    #[arg(long)]
    case: Option<String>,
    /// Keep disks and consoles in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// One release and what has to come of it.
struct Case {
    name: &'static str,
    /// How the release on the card is.
    card: Card,
    /// The slots that the bootloader has to start, in order.
    starts: &'static str,
    /// How the update has to end.
    outcome: Outcome,
    /// The version that has to run in the end.
    version: &'static str,
}

/// What is on the memory card.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Card {
    /// A release with an image that behaves like this.
    Release(Mode),
    /// A release, signed, whose image is noise.
    Noise,
}

const CASES: [Case; 6] = [
    case("good", Card::Release(Mode::Good), "AB", Outcome::Ok, NEW),
    case("kernel panics", Card::Release(Mode::Panic), "ABBBA", Outcome::BootFailed, OLD),
    case("init exits", Card::Release(Mode::Exit), "ABBBA", Outcome::BootFailed, OLD),
    case("user space hangs", Card::Release(Mode::Hang), "ABBBA", Outcome::BootFailed, OLD),
    case("unhealthy", Card::Release(Mode::Unhealthy), "ABA", Outcome::Unhealthy, OLD),
    case("garbage image", Card::Noise, "ABBBA", Outcome::BootFailed, OLD),
];

const fn case(
    name: &'static str,
    card: Card,
    starts: &'static str,
    outcome: Outcome,
    version: &'static str,
) -> Case {
    Case { name, card, starts, outcome, version }
}

/// What all cases share.
struct Workshop {
    parts: Parts,
    folder: PathBuf,
    maker: Maker,
    files: Vec<(&'static str, Vec<u8>)>,
    factory: PathBuf,
}

/// `lab board`.
///
/// # Errors
/// A part or a program is missing, or a case cannot be prepared.
pub fn run(args: &Args) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().into());
    fs::create_dir_all(&folder)?;
    let workshop = Workshop::open(args, &folder)?;
    let wanted = |case: &&Case| args.case.as_ref().is_none_or(|name| name == case.name);
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "there is no such case");
    let (left, lost) = (Mutex::new(cases.iter()), Mutex::new(0_usize));
    std::thread::scope(|scope| {
        for _ in 0..MACHINES {
            scope.spawn(|| {
                while let Some(case) = lock(&left).next() {
                    if let Err(error) = workshop.attempt(case) {
                        println!("tried: {}: FAILED: {error:#}", case.name);
                        *lock(&lost) += 1;
                    }
                }
            });
        }
    });
    let lost = *lock(&lost);
    let verdict = if lost == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {} passed; {lost} failed", cases.len() - lost);
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workshop {
    fn open(args: &Args, folder: &Path) -> Result<Self> {
        let parts = Parts::find(&args.parts, &args.agent, &args.uboot)?;
        let maker = Maker::new(&Programs::find()?, &folder.join("keys"))?;
        let root = fs::read(maker.root())?;
        let files =
            vec![("etc/refit/agent.toml", config().into_bytes()), ("etc/refit/root.json", root)];
        let factory = folder.join("factory.img");
        let workshop = Self { parts, folder: folder.into(), maker, files, factory };
        workshop.image(OLD, Mode::Good, &workshop.factory)?;
        Ok(workshop)
    }

    fn image(&self, version: &str, mode: Mode, image: &Path) -> Result<()> {
        let files: Vec<(&str, &[u8])> =
            self.files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        slot::make(&self.parts, version, mode, &files, image)
    }

    fn attempt(&self, case: &Case) -> Result<()> {
        let folder = self.folder.join(case.name.replace(' ', "-"));
        fs::create_dir_all(&folder)?;
        let (image, package) = (folder.join("new.img"), folder.join("update.zip"));
        match case.card {
            Card::Release(mode) => self.image(NEW, mode, &image)?,
            Card::Noise => fs::write(&image, noise(8 << 20))?,
        }
        let details = Details { hardware: HARDWARE, ..Details::default() };
        let release = Release { version: NEW, index: 2, image: &image, details };
        self.maker.pack(&release, &package)?;
        let card = folder.join("card.img");
        disk::card(&card, &package)?;
        let disk = Disk::make(&folder.join("disk.img"), &self.factory, Path::new(SCRIPT))?;
        let devices = Devices { card: Some(card), network: false };
        let transcript = self.switch_on(&disk, &devices, &folder.join("console"))?;
        self.judge(case, &disk, &transcript).with_context(|| transcript.end())?;
        let mut more = "";
        if case.outcome == Outcome::Ok {
            self.lose_one_state(&disk, &devices, &folder)?;
            more = "; stays with either state file damaged";
        }
        println!("tried: {}: started {}{more}", case.name, transcript.starts());
        Ok(())
    }

    fn switch_on(&self, disk: &Disk, devices: &Devices, log: &Path) -> Result<Transcript> {
        machine::run(&self.parts, disk.path(), devices, log)
    }

    fn judge(&self, case: &Case, disk: &Disk, transcript: &Transcript) -> Result<()> {
        let starts = transcript.starts();
        ensure!(starts == case.starts, "it started {starts}, not {}", case.starts);
        let status = transcript.status()?;
        let outcome = status.pointer("/last/outcome").and_then(serde_json::Value::as_u64);
        ensure!(outcome == Some(case.outcome.code().into()), "the report says {status}");
        let version = status.pointer("/running/rootfs/version").and_then(|v| v.as_str());
        ensure!(version == Some(case.version), "it runs {version:?}");
        let old = fs::read(&self.factory)?;
        ensure!(disk.slot(0)? == old, "slot A was touched");
        Ok(())
    }

    /// B is trusted, and one of the two state files rots: it goes on with B.
    fn lose_one_state(&self, disk: &Disk, devices: &Devices, folder: &Path) -> Result<()> {
        for name in ["state0.env", "state1.env"] {
            let whole = disk.read_boot(name)?;
            let mut damaged = whole.clone();
            match damaged.get_mut(30) {
                Some(byte) => *byte ^= 0x10,
                None => bail!("{name} is empty"),
            }
            disk.write_boot(name, &damaged)?;
            let log = folder.join(format!("console-{name}"));
            let transcript = self.switch_on(disk, devices, &log)?;
            let told = transcript.count(&format!("refit: {name} is damaged"));
            ensure!(told == 1, "the bootloader did not notice: {}", transcript.end());
            let starts = transcript.starts();
            ensure!(starts == "B", "with {name} damaged it started {starts}");
            disk.write_boot(name, &whole)?;
        }
        Ok(())
    }
}

/// The hardware that the board says it is.
const HARDWARE: &str = crate::terminal::HARDWARE;

/// The agent's configuration on the board.
fn config() -> String {
    let product = crate::terminal::PRODUCT;
    let size = SLOT_MIB << 20;
    format!(
        "device = \"board\"\nproduct = {product:?}\nhardware = {HARDWARE:?}\n\
         state_dir = \"/data/refit\"\nruntime_dir = \"/run/refit\"\nroot = \"/etc/refit/root.json\"\n\
         [boot]\ncontrol = \"uboot\"\n\
         [boot.environment]\nsize = {}\nform = \"state-files\"\n\
         copies = [{{ path = \"/boot/state0.env\" }}, {{ path = \"/boot/state1.env\" }}]\n\
         [components.rootfs]\neffect = \"slot\"\na = \"/dev/vda2\"\nb = \"/dev/vda3\"\n\
         size = {size}\n\
         [installed.rootfs]\nversion = \"{OLD}\"\nslot = \"A\"\nsha256 = \"{}\"\n\
         [[health.checks]]\ncommand = [\"/bin/check\"]\n\
         within_seconds = 5\n[watchdog]\ntimeout_seconds = 15\n",
        disk::STATE_SIZE,
        "0".repeat(64),
    )
}

/// Bytes that are no file system.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).take(len / 4).flatten().collect()
}
