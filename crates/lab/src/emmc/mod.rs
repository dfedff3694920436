//! An eMMC and NOR in an emulator: Debian's kernel for ARM on a machine that has both, and
//! the real agent, which updates a bootloader in the eMMC's two boot partitions, and then
//! releases in partitions of the NOR.
//!
//! The machine's own ROM does not look at the chip's boot switch, so the guest's script
//! plays it, and the guest is not restarted: what it says is the kernel's view of the
//! chip's register, and what both chips hold afterwards is looked at here. Deliberately
//! absent: cuts while a block of NOR is erased or written. The emulator does both at once.

use crate::chance::noise;
use crate::guest::{Guest, named};
use crate::maker::{Details, Maker, Release};
use crate::process::{Programs, bound_to_us, said, system, through};
use crate::terminal::{HARDWARE, PRODUCT};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use types::Digest;

/// The guest's first program, and its second part.
const SCRIPTS: [(&str, &str); 2] =
    [("init", include_str!("init.sh")), ("nor", include_str!("nor.sh"))];
/// Modules of the kernel, in the order in which they are loaded.
const MODULES: [&str; 7] =
    ["cqhci", "sdhci", "sdhci-pltfm", "sdhci-of-aspeed", "ofpart", "spi-nor", "spi-aspeed-smc"];
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
/// Bytes of the chip of NOR, and its partitions as the machine's description has them: the
/// environment with one copy in each half, and those of the bootloader and of the slots.
const NOR: usize = 64 << 20;
const NOR_ENVIRONMENT: usize = 0xe_0000;
const NOR_COPY: usize = 0x1_0000;
const NOR_LOADERS: [usize; 2] = [0, 0x10_0000];
const NOR_SLOTS: [usize; 2] = [0xa0_0000, 0x2a0_0000];
/// Bytes of one of its blocks.
const NOR_BLOCK: usize = 4096;
/// Bytes of an image and of a bootloader: multiples of nothing.
const SIZES: [usize; 2] = [(2 << 20) + 1001, 300_001];
/// Bytes of an image's chunk.
const CHUNK: u32 = 64 << 10;
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
    let guest = Guest { parts: &args.parts, folder: &folder };
    guest.make(&SCRIPTS, &MODULES)?;
    guest.program(&args.agent, "bin/refit-agent")?;
    let made = releases(&folder, &guest.root())?;
    let chip = folder.join("chip.img");
    factory(&chip, &folder)?;
    let nor = folder.join("nor.img");
    fs::write(&nor, nor_of_the_factory(&fs::read(folder.join("env"))?)?)?;
    let before = [fs::read(&chip)?, fs::read(&nor)?];
    let mut emulator =
        bound_to_us(Path::new(system("qemu-system-arm", "qemu-system-arm")?.get_program()));
    // Since version 9.1 of QEMU this machine has an eMMC with boot partitions.
    emulator.args(["-M", "ast2600-evb,boot-emmc=true", "-m", "1G", "-append"]);
    // What the flash controllers map does not fit into the kernel's own choice.
    emulator.arg("console=ttyS4,115200 panic=-1 oops=panic quiet vmalloc=640M");
    emulator.arg("-dtb").arg(guest.part(|file| named(file) == TREE)?).arg("-drive");
    emulator.arg(format!("file={},if=sd,index=2,format=raw", chip.display())).arg("-drive");
    emulator.arg(format!("file={},if=mtd,index=0,format=raw", nor.display()));
    let well = guest.run(&mut emulator)?;
    let [chip_before, nor_before] = &before;
    judge(chip_before, &fs::read(&chip)?, &made)?;
    judge_nor(nor_before, &fs::read(&nor)?, &made)?;
    fw_printenv_reads(&nor, &folder)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the chip holds both bootloaders, the newer one in the first boot partition, and
/// nothing else of them was touched.
fn judge(before: &[u8], after: &[u8], [second, first]: &[Made; 2]) -> Result<()> {
    let places = [("first boot partition", 0, first), ("second boot partition", BOOT, second)];
    for (name, start, made) in places {
        holds(name, (before, after), (start, &made.loader, BOOT))?;
    }
    Ok(())
}

/// The same of NOR, where the first release is in slot B and the second one in slot A.
fn judge_nor(before: &[u8], after: &[u8], [second, first]: &[Made; 2]) -> Result<()> {
    let ([a, b], [slot_a, slot_b]) = (NOR_LOADERS, NOR_SLOTS);
    for (name, start, bytes, end) in [
        ("partition u-boot", a, &first.loader, NOR_ENVIRONMENT),
        ("partition kernel", b, &second.loader, slot_a),
        ("slot A", slot_a, &first.image, slot_b),
        ("slot B", slot_b, &second.image, NOR),
    ] {
        holds(name, (before, after), (start, bytes, end - start))?;
    }
    Ok(())
}

/// Whether `bytes` are at `start`, and the rest of `room` from there is as it was, but for
/// the block in which they end.
fn holds(
    name: &str,
    (before, after): (&[u8], &[u8]),
    (start, bytes, room): (usize, &[u8], usize),
) -> Result<()> {
    let end = start + bytes.len();
    ensure!(part(after, start..end)? == bytes, "the {name} holds something else");
    let rest = end.next_multiple_of(NOR_BLOCK)..start + room;
    let same = part(before, rest.clone())? == part(after, rest)?;
    ensure!(same, "the {name} was written behind what it is to hold");
    Ok(())
}

/// Whether the tool of others reads from the NOR's environment what the agent says last:
/// slot A is on trial.
fn fw_printenv_reads(nor: &Path, folder: &Path) -> Result<()> {
    let config = folder.join("fw_env.config");
    let copy = |at: usize| format!("{} {at:#x} {ENVIRONMENT}\n", nor.display());
    fs::write(&config, copy(NOR_ENVIRONMENT) + &copy(NOR_ENVIRONMENT + NOR_COPY))?;
    let mut tool = system("fw_printenv", "libubootenv-tool")?;
    let printed = said(tool.arg("-c").arg(&config))?;
    for line in ["BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_A_GOOD=0", "BOOT_B_GOOD=1"] {
        ensure!(printed.lines().any(|said| said == line), "fw_printenv says: {printed}");
    }
    Ok(())
}

/// NOR as the factory leaves it: an environment whose first copy counts, and noise where
/// nothing was written yet.
fn nor_of_the_factory(environment: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = noise(NOR);
    for (at, flag) in [(0, 1), (NOR_COPY, 0)] {
        let start = NOR_ENVIRONMENT + at;
        let place = bytes.get_mut(start..start + environment.len()).context("a small chip")?;
        place.copy_from_slice(environment);
        *place.get_mut(4).context("a small environment")? = flag;
    }
    Ok(bytes)
}

fn part(bytes: &[u8], range: Range<usize>) -> Result<&[u8]> {
    bytes.get(range).context("the chip is too small")
}

/// What a release brings.
#[derive(Default)]
struct Made {
    image: Vec<u8>,
    loader: Vec<u8>,
}

/// Two releases as packages, each with a bootloader, and what is in them.
fn releases(folder: &Path, root: &Path) -> Result<[Made; 2]> {
    let maker = Maker::new(&Programs::find()?, &folder.join("keys"))?;
    let mut facts = format!("product={PRODUCT}\nhardware={HARDWARE}\n");
    let [image_size, loader_size] = SIZES;
    let mut made = [Made::default(), Made::default()];
    for (version, kept) in VERSIONS.iter().zip(&mut made) {
        let size = loader_size + usize::from(*version);
        let (image, loader) = (noise(image_size + size), noise(size));
        fs::write(folder.join("image"), &image)?;
        let file = root.join(format!("loader-{version}.img"));
        fs::write(&file, &loader)?;
        for (name, bytes) in [("image", &image), ("loader", &loader)] {
            let (len, sum) = (bytes.len(), Digest::of(bytes));
            facts += &format!("{name}{version}_size={len}\n{name}{version}_sha={sum}\n");
        }
        let details = Details { bootloader: Some(file), chunk_size: CHUNK, ..Details::default() };
        let (number, index) = (format!("{version}.0.0"), u64::from(*version));
        let release = Release { version: &number, index, image: &folder.join("image"), details };
        maker.pack(&release, &root.join(format!("update-{version}.zip")))?;
        *kept = Made { image, loader };
    }
    fs::copy(maker.root(), root.join("root.json"))?;
    fs::write(root.join("facts"), facts)?;
    Ok(made)
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
