//! Raw flash in an emulator: a kernel with simulated NAND, the real agent, and the tools
//! that others write flash with.
//!
//! The guest tries `cases.sh` and says how each went. Deliberately absent: torn pages and
//! NOR chips (`mtdram` is written byte by byte as they are, and needs no erasure). `nandsim`
//! has neither, so a cut is the agent's sudden end here, and UBI's new
//! start from what is on the flash; pages and erasures are judged by the agent's own
//! tests, on a simulated chip.

use crate::board::machine::Machine;
use crate::board::parts::list;
use crate::board::slot::{archive, through};
use crate::maker::{Details, Maker, Release};
use crate::process::{Programs, Running, bound_to_us, said, system};
use crate::terminal::{HARDWARE, PRODUCT};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
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
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    fill(args, &folder, &root)?;
    let (initrd, console) = (folder.join("initrd"), folder.join("console"));
    fs::write(&initrd, archive(&root)?)?;
    let kernel = find(&args.parts, |file| named(file).starts_with("vmlinuz-"))?;
    let mut emulator =
        bound_to_us(Path::new(system("qemu-system-x86_64", "qemu-system-x86")?.get_program()));
    emulator.args(["-M", "pc", "-m", "768", "-nographic", "-monitor", "none", "-nic", "none"]);
    emulator.args(["-serial", "stdio", "-no-reboot", "-append"]);
    emulator.arg("console=ttyS0 panic=-1 oops=panic quiet");
    emulator.arg("-kernel").arg(kernel).arg("-initrd").arg(&initrd);
    let transcript = Machine::of(Running::of(&mut emulator, &console)?, &console).end()?;
    let ended = transcript.count("guest: the end") == 1;
    ensure!(ended, "the guest did not come to its end:\n{}", transcript.end());
    println!("{}", transcript.text());
    let well = transcript.count("test result: ok. ") == 1;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the guest's file system.
fn fill(args: &Args, folder: &Path, root: &Path) -> Result<()> {
    for place in ["bin", "dev", "etc", "lib", "proc", "run", "sys", "tools"] {
        fs::create_dir_all(root.join(place))?;
    }
    for (name, text) in SCRIPTS {
        fs::write(root.join(name), text)?;
    }
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    fs::copy(find(&args.parts, |file| file.ends_with("bin/busybox"))?, root.join("bin/busybox"))?;
    for module in MODULES {
        let name = format!("{module}.ko");
        fs::copy(find(&args.parts, |file| named(file) == name)?, root.join("lib").join(&name))?;
    }
    let programs = Programs::find()?;
    program(&programs.agent(), root, "bin")?;
    for (tool, package) in TOOLS {
        program(Path::new(system(tool, package)?.get_program()), root, "tools")?;
    }
    fs::hard_link(root.join("tools/fw_setenv"), root.join("tools/fw_printenv"))?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    let copy = |at: u32| format!("/dev/mtd0 {at:#x} 0x4000 0x20000 2\n");
    fs::write(root.join("etc/fw_env.config"), copy(0) + &copy(0x40000))?;
    fs::write(root.join("defaults"), "made_by=fw_setenv\n")?;
    releases(&programs, folder, root)
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

/// Bytes that do not compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32 ^ u32::try_from(len).unwrap_or(0);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(&mut next).take(len.div_ceil(4)).flatten().collect();
    bytes.truncate(len);
    bytes
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

/// The first file below `folder` that is `wanted`.
pub(crate) fn find(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    let found = files.into_iter().find(|file| wanted(file));
    found.with_context(|| format!("a part is missing in {}", folder.display()))
}

pub(crate) fn named(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
