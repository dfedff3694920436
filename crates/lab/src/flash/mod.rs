//! Raw flash in an emulator: a kernel with simulated NAND, the real agent, and the tools
//! that others write flash with.
//!
//! The guest tries `cases.sh` and says how each went. Deliberately absent: torn pages and
//! NOR chips (`mtdram` is written byte by byte as they are, and needs no erasure). `nandsim`
//! has neither, so a cut is the agent's sudden end here, and UBI's new
//! start from what is on the flash; pages and erasures are judged by the agent's own
//! tests, on a simulated chip.

use crate::chance::noise;
use crate::guest::Guest;
use crate::maker::{Details, Maker, Release};
use crate::process::{Programs, bound_to_us, said, system, through};
use crate::terminal::{HARDWARE, PRODUCT};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use types::Digest;

/// The guest's first program, and what it tries.
const SCRIPTS: [(&str, &str); 2] =
    [("init", include_str!("init.sh")), ("cases", include_str!("cases.sh"))];
/// Modules of the kernel, in the order in which they are loaded.
const MODULES: [&str; 7] = ["bch", "mtd", "nandcore", "nand", "nandsim", "mtdram", "ubi"];
/// The tools of others, and their packages.
const TOOLS: [(&str, &str); 9] = [
    ("flash_erase", "mtd-utils"),
    ("nanddump", "mtd-utils"),
    ("nandwrite", "mtd-utils"),
    ("ubiattach", "mtd-utils"),
    ("ubidetach", "mtd-utils"),
    ("ubiformat", "mtd-utils"),
    ("ubimkvol", "mtd-utils"),
    ("ubiupdatevol", "mtd-utils"),
    ("fw_setenv", "libubootenv-tool"),
];
/// Bytes of the old image: no multiple of anything.
const OLD_SIZE: usize = (5 << 20) + 1001;

/// Installs into raw flash, in an emulator.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder with unpacked packages for a PC: kernel and BusyBox.
    #[arg(long)]
    parts: PathBuf,
    /// Keep everything in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// `lab flash`.
///
/// # Errors
/// A part or a program is missing, or the guest does not come to its end.
pub fn run(args: &Args) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().into());
    let guest = Guest { parts: &args.parts, folder: &folder };
    fill(&guest)?;
    let mut emulator =
        bound_to_us(Path::new(system("qemu-system-x86_64", "qemu-system-x86")?.get_program()));
    emulator.args(["-M", "pc", "-m", "768", "-nic", "none", "-append"]);
    emulator.arg("console=ttyS0 panic=-1 oops=panic quiet");
    let well = guest.run(&mut emulator)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the guest's file system.
fn fill(guest: &Guest<'_>) -> Result<()> {
    guest.make(&SCRIPTS, &MODULES)?;
    let (root, programs) = (guest.root(), Programs::find()?);
    program(&programs.agent(), &root, "bin")?;
    for (tool, package) in TOOLS {
        program(Path::new(system(tool, package)?.get_program()), &root, "tools")?;
    }
    fs::hard_link(root.join("tools/fw_setenv"), root.join("tools/fw_printenv"))?;
    let copy = |at: u32| format!("/dev/mtd0 {at:#x} 0x4000 0x20000 2\n");
    fs::write(root.join("etc/fw_env.config"), copy(0) + &copy(0x40000))?;
    fs::write(root.join("defaults"), "made_by=fw_setenv\n")?;
    releases(&programs, guest.folder, &root)
}

/// Two releases, as images and packages.
fn releases(programs: &Programs, folder: &Path, root: &Path) -> Result<()> {
    let maker = Maker::new(programs, &folder.join("keys"))?;
    let old = noise(OLD_SIZE);
    // The same with something in between that was not there, and some of it gone.
    let (first, rest) = old.split_at(1_500_000);
    let new = [first, &noise(70_000), rest.get(200_000..).unwrap_or_default()].concat();
    let mut facts = format!("product={PRODUCT}\nhardware={HARDWARE}\n");
    for (name, version, index, bytes) in [("old", "1.0.0", 1, &old), ("new", "2.0.0", 2, &new)] {
        let image = root.join(format!("{name}.img"));
        fs::write(&image, bytes)?;
        facts += &format!("{name}_size={}\n{name}_sha={}\n", bytes.len(), Digest::of(bytes));
        let details = Details { chunk_size: 64 << 10, ..Details::default() };
        let release = Release { version, index, image: &image, details };
        maker.pack(&release, &folder.join(format!("{name}.zip")))?;
    }
    let (full, delta) = (root.join("full.zip"), root.join("delta.zip"));
    fs::copy(folder.join("new.zip"), &full)?;
    let mut add = programs.refit();
    add.arg("add-delta").arg("--from").arg(folder.join("old.zip")).arg("-o").arg(&delta);
    said(add.args(["--max-heap", "8 MiB"]).arg(&full))?;
    fs::copy(maker.root(), root.join("root.json"))?;
    fs::write(root.join("facts"), facts)?;
    Ok(())
}

/// Copies a program of this machine and the libraries that it needs into `root`.
fn program(from: &Path, root: &Path, folder: &str) -> Result<()> {
    let name = from.file_name().context("a program without a name")?;
    fs::copy(from, root.join(folder).join(name))?;
    let needs = through(Command::new("ldd").arg(from), b"")?;
    for word in String::from_utf8_lossy(&needs).split_whitespace() {
        if let Some(inside) = word.strip_prefix('/') {
            let to = root.join(inside);
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::copy(word, to).with_context(|| format!("cannot copy {word}"))?;
        }
    }
    Ok(())
}
