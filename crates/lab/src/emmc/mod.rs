//! An eMMC in an emulator: Debian's kernel for ARM on a machine that has one, and the real
//! agent, which updates a bootloader in its two boot partitions.
//!
//! The machine's own ROM does not look at the chip's boot switch, so the guest's script
//! plays it, and the guest is not restarted: what it says is the kernel's view of the
//! chip's register, and what the disk holds afterwards is looked at here.

use crate::board::machine::Machine;
use crate::board::slot::{archive, through};
use crate::flash::{find, named, noise};
use crate::maker::{Details, Maker, Release};
use crate::process::{Programs, Running, bound_to_us, system};
use crate::terminal::{HARDWARE, PRODUCT};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use types::Digest;

/// The guest's first program.
const INIT: &str = include_str!("init.sh");
/// Modules of the kernel, in the order in which they are loaded.
const MODULES: [&str; 4] = ["cqhci", "sdhci", "sdhci-pltfm", "sdhci-of-aspeed"];
/// The machine's description for its kernel.
const TREE: &str = "aspeed-ast2600-evb.dtb";
/// Bytes of the chip: the emulator takes powers of two.
const CHIP: u64 = 64 << 20;
/// Bytes of one boot partition, which the emulator keeps in front of all else.
const BOOT: usize = 1 << 20;
/// The partitions of the rest.
const TABLE: &str = "label: gpt\nstart=1M, size=1M, name=env\nsize=12M, name=system-a\n\
                     size=12M, name=system-b\n";
/// Bytes of one copy of the environment, and what the factory writes there.
const ENVIRONMENT: &str = "0x4000";
const FACTORY: &str = "BOOT_ORDER=A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=0\nBOOT_A_GOOD=1\n\
                       BOOT_B_GOOD=0\n";
/// Bytes of an image and of a bootloader: multiples of nothing.
const SIZES: [usize; 2] = [(2 << 20) + 1001, 300_001];
/// The releases.
const VERSIONS: [u8; 2] = [2, 3];

/// Updates bootloaders in an eMMC, in an emulator.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The agent, static, for ARMv7.
    #[arg(long)]
    agent: PathBuf,
    /// The folder with unpacked packages for ARMv7: kernel and BusyBox.
    #[arg(long)]
    parts: PathBuf,
    /// Keep everything in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// `lab emmc`.
///
/// # Errors
/// A part or a program is missing, or the guest does not come to its end.
pub fn run(args: &Args) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().into());
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    fill(args, &root)?;
    let loaders = releases(&folder, &root)?;
    let (initrd, console) = (folder.join("initrd"), folder.join("console"));
    fs::write(&initrd, archive(&root)?)?;
    let chip = folder.join("chip.img");
    factory(&chip, &folder)?;
    let before = fs::read(&chip)?;
    let mut emulator =
        bound_to_us(Path::new(system("qemu-system-arm", "qemu-system-arm")?.get_program()));
    // Since version 9.1 of QEMU this machine has an eMMC with boot partitions.
    emulator.args(["-M", "ast2600-evb,boot-emmc=true", "-m", "1G", "-nographic"]);
    emulator.args(["-monitor", "none", "-serial", "stdio", "-no-reboot", "-append"]);
    emulator.arg("console=ttyS4,115200 panic=-1 oops=panic quiet");
    emulator.arg("-kernel").arg(find(&args.parts, |file| named(file).starts_with("vmlinuz-"))?);
    emulator.arg("-dtb").arg(find(&args.parts, |file| named(file) == TREE)?);
    emulator.arg("-initrd").arg(&initrd).arg("-drive");
    emulator.arg(format!("file={},if=sd,index=2,format=raw", chip.display()));
    let transcript = Machine::of(Running::of(&mut emulator, &console)?, &console).end()?;
    let ended = transcript.count("guest: the end") == 1;
    ensure!(ended, "the guest did not come to its end:\n{}", transcript.end());
    println!("{}", transcript.text());
    judge(&before, &fs::read(&chip)?, &loaders)?;
    let well = transcript.count("test result: ok. ") == 1;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the chip holds both bootloaders, the newer one in the first boot partition, and
/// nothing else of them was touched.
fn judge(before: &[u8], after: &[u8], loaders: &[Vec<u8>; 2]) -> Result<()> {
    let [second, first] = loaders;
    for (name, start, loader) in [("first", 0, first), ("second", BOOT, second)] {
        let end = start + loader.len();
        ensure!(part(after, start..end)? == *loader, "the {name} boot partition is another");
        let rest = end.next_multiple_of(4096)..start + BOOT;
        let same = part(before, rest.clone())? == part(after, rest)?;
        ensure!(same, "the {name} boot partition was written behind its bootloader");
    }
    Ok(())
}

fn part(bytes: &[u8], range: Range<usize>) -> Result<&[u8]> {
    bytes.get(range).context("the chip is too small")
}

/// Makes the guest's file system.
fn fill(args: &Args, root: &Path) -> Result<()> {
    for place in ["bin", "dev", "etc", "lib", "proc", "run", "sys"] {
        fs::create_dir_all(root.join(place))?;
    }
    let busybox = find(&args.parts, |file| file.ends_with("bin/busybox"))?;
    for (from, to) in [(&busybox, "bin/busybox"), (&args.agent, "bin/refit-agent")] {
        fs::copy(from, root.join(to)).with_context(|| format!("cannot copy {}", from.display()))?;
        fs::set_permissions(root.join(to), fs::Permissions::from_mode(0o755))?;
    }
    fs::write(root.join("init"), INIT)?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    for module in MODULES {
        let name = format!("{module}.ko");
        fs::copy(find(&args.parts, |file| named(file) == name)?, root.join("lib").join(&name))?;
    }
    let users = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    Ok(fs::write(root.join("etc/passwd"), users)?)
}

/// Two releases as packages, each with a bootloader; their bootloaders.
fn releases(folder: &Path, root: &Path) -> Result<[Vec<u8>; 2]> {
    let maker = Maker::new(&Programs::find()?, &folder.join("keys"))?;
    let mut facts = format!("product={PRODUCT}\nhardware={HARDWARE}\n");
    let [image_size, loader_size] = SIZES;
    let mut loaders = [Vec::new(), Vec::new()];
    for (version, kept) in VERSIONS.iter().zip(&mut loaders) {
        let size = loader_size + usize::from(*version);
        let (image, loader) = (folder.join("image"), noise(size));
        fs::write(&image, noise(image_size + size))?;
        let file = root.join(format!("loader-{version}.img"));
        fs::write(&file, &loader)?;
        let sum = Digest::of(&loader);
        facts += &format!("loader{version}_size={size}\nloader{version}_sha={sum}\n");
        let details = Details { bootloader: Some(file), ..Details::default() };
        let (number, index) = (format!("{version}.0.0"), u64::from(*version));
        let release = Release { version: &number, index, image: &image, details };
        maker.pack(&release, &root.join(format!("update-{version}.zip")))?;
        *kept = loader;
    }
    fs::copy(maker.root(), root.join("root.json"))?;
    fs::write(root.join("facts"), facts)?;
    Ok(loaders)
}

/// The chip as the factory leaves it: nothing in its boot partitions, and behind them what
/// the kernel sees as the disk.
fn factory(chip: &Path, folder: &Path) -> Result<()> {
    let disk = folder.join("disk.img");
    let front = 2 * BOOT as u64;
    File::create(&disk)?.set_len(CHIP - front)?;
    through(system("sfdisk", "fdisk")?.arg("-q").arg(&disk), TABLE.as_bytes())?;
    let environment = folder.join("env");
    let mut mkenvimage = system("mkenvimage", "u-boot-tools")?;
    mkenvimage.args(["-r", "-s", ENVIRONMENT, "-o"]).arg(&environment).arg("-");
    through(&mut mkenvimage, FACTORY.as_bytes())?;
    let file = File::create(chip)?;
    file.set_len(CHIP)?;
    file.write_all_at(&fs::read(&disk)?, front)?;
    Ok(file.write_all_at(&fs::read(&environment)?, front + (1 << 20))?)
}
