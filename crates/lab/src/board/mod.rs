//! A real board in an emulator: a real U-Boot with the script that ships, a real
//! kernel, and the real agent, cross-built. Good and bad releases come from a server, on
//! a memory card and by the terminal's page; the bootloader has to get the terminal out
//! of each, also when the power goes.
//!
//! Deliberately absent: anything that plays the bootloader or a reset. Resets are the
//! machine's own, by the kernel's panic or by the watchdog.

mod cases;
pub mod chain;
pub mod disk;
mod given;
pub mod layout;
mod loaders;
pub mod machine;
pub mod memory;
pub mod parts;
mod power;
mod simulated;
pub mod slot;
pub mod writes;

use crate::chance::noise;
use crate::maker::{Details, Maker, Release};
use crate::process::Programs;
use crate::terminal::HARDWARE;
use anyhow::{Context, Result, bail, ensure};
use cases::{CASES, Case, Content, GOOD, OLD, good};
use chain::Chain;
use disk::{Disk, Images};
use given::{Given, Operations};
use layout::Layout;
use loaders::Loader;
use machine::{Devices, Transcript};
use parts::Parts;
use slot::Mode;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use types::{Digest, Outcome};

/// The file with a release's bootloader.
const LOADER: &str = "loader.img";
/// What a recovery calls itself.
const RECOVERY: &str = "recovery-1";
/// Machines that run at once.
const MACHINES: usize = 2;

/// Lets good and bad releases loose on a board with a real bootloader.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How the board starts.
    #[arg(long, value_enum, default_value = "uboot")]
    chain: Chain,
    /// The agent, static, for the board's processor.
    #[arg(long)]
    agent: PathBuf,
    /// The folder with unpacked packages for that processor: kernel and BusyBox.
    #[arg(long)]
    parts: PathBuf,
    /// Run this case only.
    #[arg(long)]
    case: Option<String>,
    /// Try bootloaders in two copies instead.
    #[arg(long)]
    loaders: bool,
    /// Start the board after every power cut, not after a few.
    #[arg(long)]
    long: bool,
    /// What chance begins with, where the power goes.
    #[arg(long)]
    seed: Option<u64>,
    /// Keep disks and consoles in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// What all cases share.
struct Workshop {
    parts: Parts,
    folder: PathBuf,
    maker: Maker,
    root: Vec<u8>,
    operations: Operations,
    factory: PathBuf,
    recovery: PathBuf,
    /// The factory's bootloader, where there are two copies.
    loader: PathBuf,
    /// The good release: its image and its package, the same in all ways.
    good: [PathBuf; 2],
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
    let wanted = |case: &&Case| {
        let is_meant = args.loaders == case.loader.is_some();
        is_meant
            && case.is_for(args.chain)
            && args.case.as_ref().is_none_or(|name| name == case.name)
    };
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "there is no such case");
    let lost = each(&cases, |case| {
        let told = workshop.attempt(case);
        told.with_context(|| format!("{}: FAILED", case.name))
    });
    let (mut tried, mut lost) = (cases.len(), lost);
    for case in cases.iter().filter(|case| case.given == Given::Card) {
        if lost > 0 {
            break;
        }
        let (cut, lost_cuts) = power::cut(&workshop, case, args)?;
        (tried, lost) = (tried + cut, lost + lost_cuts);
    }
    let verdict = if lost == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {} passed; {lost} failed", tried - lost);
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does `work` with all `items`, some at a time, and tells how it went; how many failed.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<String> + Sync) -> usize {
    let (left, lost) = (Mutex::new(items.iter()), Mutex::new(0_usize));
    let next = || lock(&left).next();
    std::thread::scope(|scope| {
        for _ in 0..MACHINES {
            scope.spawn(|| {
                while let Some(item) = next() {
                    match work(item) {
                        Ok(told) => println!("tried: {told}"),
                        Err(error) => {
                            println!("tried: {error:#}");
                            *lock(&lost) += 1;
                        }
                    }
                }
            });
        }
    });
    *lock(&lost)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workshop {
    fn open(args: &Args, folder: &Path) -> Result<Self> {
        let parts = Parts::find(&args.parts, &args.agent, args.chain)?;
        let programs = Programs::find()?;
        let maker = Maker::new(&programs, &folder.join("keys"))?;
        let operations = Operations::start(&programs, &folder.join("server"), &maker.root())?;
        let root = fs::read(maker.root())?;
        let (factory, recovery) = (folder.join("factory.img"), folder.join("recovery.img"));
        let good = [folder.join("good.img"), folder.join("good.zip")];
        let (folder, loader) = (folder.into(), folder.join("loader.img"));
        if args.loaders {
            Loader::Good.make(Path::new(chain::UBOOT), OLD, &loader)?;
        }
        let workshop =
            Self { parts, folder, maker, root, operations, factory, recovery, loader, good };
        workshop.image(OLD, Mode::Good, &workshop.factory)?;
        workshop.image(RECOVERY, Mode::Good, &workshop.recovery)?;
        let [image, package] = &workshop.good;
        workshop.image(GOOD, Mode::Good, image)?;
        workshop.sign(GOOD, image, None, package)?;
        Ok(workshop)
    }

    fn image(&self, version: &str, mode: Mode, image: &Path) -> Result<()> {
        let files = [("etc/refit/root.json", self.root.as_slice())];
        slot::make(&self.parts, version, mode, &files, image)
    }

    /// What the factory writes into the slots of a board.
    fn images(&self, layout: Layout) -> Images {
        let recovery = layout.has_recovery().then(|| self.recovery.clone());
        let loader = (layout == Layout::Loaders).then(|| self.loader.clone());
        Images { system: self.factory.clone(), recovery, loader, layout }
    }

    /// The folder of a case.
    fn folder(&self, case: &Case) -> PathBuf {
        self.folder.join(case.folder())
    }

    /// One case from the factory to its end; what happened, for people.
    fn attempt(&self, case: &Case) -> Result<String> {
        let (folder, device) = (self.folder(case), case.device());
        fs::create_dir_all(&folder)?;
        let package = self.pack(case, &folder)?;
        let (path, data, chain) = (folder.join("disk.img"), folder.join("data"), self.parts.chain);
        let board = (chain, case.layout);
        given::factory(&data, &device, OLD, case.given, board, &self.operations)?;
        let disk = Disk::make(&path, &self.images(case.layout), chain, &data)?;
        let mut devices = case.given.devices(&folder, &package)?;
        if case.loader.is_some() {
            let flash = folder.join("flash.img");
            loaders::flash(&flash)?;
            devices.flash = Some(flash);
        }
        if case.given == Given::Server {
            self.operations.offer(&device, case.version, &package)?;
        } else if case.given == Given::Card {
            fs::copy(&path, power::before(&folder))?;
            devices.writes = Some(power::log(&folder));
        }
        let transcript = self.run(case, &disk, &devices, &package)?;
        let told = self.judge(case, &disk, &transcript).with_context(|| transcript.end())?;
        let devices = Devices { writes: None, ..devices };
        let more = match case.given {
            Given::Server if case.is_usual() && chain == Chain::Uboot => {
                self.lose_one_state(&disk, &devices, &folder)?;
                "; stays with either state file damaged"
            }
            Given::Server if case.layout == Layout::Recovery => {
                self.recovers(case, &disk, &devices)?;
                "; the recovery then installed another one by itself"
            }
            Given::Server if case.layout == Layout::Staged => {
                let trims =
                    transcript.count("guest: discards ") - transcript.count("guest: discards 0");
                ensure!(trims == 1, "its partition was given up in {trims} starts");
                "; the recovery had no network, and gave up what was in the partition first"
            }
            _ => "",
        };
        let (starts, digest) = (transcript.starts(), Digest::of(&fs::read(&package)?).to_string());
        let package = digest.get(..12).unwrap_or_default();
        Ok(format!("{}: package {package}, started {starts}{told}{more}", case.name))
    }

    /// Switches the board on, until it switches itself off.
    fn run(
        &self,
        case: &Case,
        disk: &Disk,
        devices: &Devices,
        package: &Path,
    ) -> Result<Transcript> {
        let console = self.folder(case).join("console");
        if self.parts.chain.is_simulated() {
            return simulated::run(&self.parts, disk, devices, &console);
        }
        let mut machine = machine::switch_on(&self.parts, disk.path(), devices, &console)?;
        if let (Given::Page, Some(network)) = (case.given, devices.network) {
            given::upload(&mut machine, network, package)?;
        }
        machine.end()
    }

    fn pack(&self, case: &Case, folder: &Path) -> Result<PathBuf> {
        let (image, package) = (folder.join("new.img"), folder.join("update.zip"));
        if case.is_usual() {
            let [good, signed] = &self.good;
            fs::hard_link(good, image)?;
            fs::hard_link(signed, &package)?;
            return Ok(package);
        }
        match case.content {
            Content::Image(mode) => self.image(case.version, mode, &image)?,
            Content::Noise => fs::write(&image, noise(8 << 20))?,
        }
        let bootloader = case.loader.map(|_| folder.join(LOADER));
        if let (Some(loader), Some(file)) = (case.loader, &bootloader) {
            loader.make(Path::new(chain::UBOOT), case.version, file)?;
        }
        self.sign(case.version, &image, bootloader, &package)?;
        Ok(package)
    }

    fn sign(
        &self,
        version: &str,
        image: &Path,
        bootloader: Option<PathBuf>,
        package: &Path,
    ) -> Result<()> {
        let details = Details { hardware: HARDWARE, bootloader, ..Details::default() };
        self.maker.pack(&Release { version, index: 2, image, details }, package)
    }

    /// Whether the terminal, its disk and the server say what they have to; what the
    /// server says, for people.
    fn judge(&self, case: &Case, disk: &Disk, transcript: &Transcript) -> Result<String> {
        let starts = transcript.starts();
        ensure!(starts == case.starts, "it started {starts}, not {}", case.starts);
        ended(transcript, case)?;
        let (number, kept) = match case.layout {
            Layout::Banks | Layout::Loaders => (0, &self.factory),
            Layout::Recovery | Layout::Staged => (1, &self.recovery),
        };
        ensure!(disk.slot(number)? == fs::read(kept)?, "slot {number} was touched");
        if let Some(loader) = case.loader {
            let new = self.folder(case).join(LOADER);
            loader.judge(transcript, disk, [&self.loader, &new])?;
        }
        if case.given != Given::Server {
            return Ok(String::new());
        }
        let attempt = self.operations.told(&case.device(), case.outcome, case.why)?;
        let outcome = case.outcome.code();
        Ok(format!("; the server was told {outcome} {}", attempt.detail).trim_end().to_owned())
    }

    /// The system is lost and the recovery runs: what the server offers next, it installs.
    fn recovers(&self, lost: &Case, disk: &Disk, devices: &Devices) -> Result<()> {
        let next = good(lost.name, Given::Server);
        let next = Case { layout: Layout::Recovery, version: "2.8.0", ..next };
        let (folder, device) = (self.folder(lost), lost.device());
        let package = self.pack(&next, &folder)?;
        self.operations.offer(&device, next.version, &package)?;
        let console = folder.join("console-recovery");
        let machine = machine::switch_on(&self.parts, disk.path(), devices, &console)?;
        let transcript = machine.end()?;
        let come = || -> Result<()> {
            let starts = transcript.starts();
            ensure!(starts == "BA", "the recovery was started and then {starts}, not BA");
            ended(&transcript, &next)?;
            ensure!(disk.slot(0)? == fs::read(folder.join("new.img"))?, "it is not the release");
            ensure!(disk.slot(1)? == fs::read(&self.recovery)?, "the recovery was touched");
            self.operations.told_of(&device, 2, Outcome::Ok, "").map(drop)
        };
        come().with_context(|| transcript.end())
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
            let console = folder.join(format!("console-{name}"));
            let machine = machine::switch_on(&self.parts, disk.path(), devices, &console)?;
            let transcript = machine.end()?;
            let told = transcript.count(&format!("refit: {name} is damaged"));
            ensure!(told == 1, "the bootloader did not notice: {}", transcript.end());
            let starts = transcript.starts();
            ensure!(starts == "B", "with {name} damaged it started {starts}");
            disk.write_boot(name, &whole)?;
        }
        Ok(())
    }
}

/// Whether the agent says that the update ended as it has to.
fn ended(transcript: &Transcript, case: &Case) -> Result<()> {
    let status = transcript.status()?;
    let outcome = status.pointer("/last/outcome").and_then(serde_json::Value::as_u64);
    ensure!(outcome == Some(case.outcome.code().into()), "the report says {status}");
    let version = status.pointer("/running/rootfs/version").and_then(|v| v.as_str());
    ensure!(version == case.runs(), "it runs {version:?}");
    Ok(())
}
