//! How a machine comes from its power switch to a slot: firmware, bootloader, and the
//! script of ours that it runs.

use super::layout::Layout;
use super::memory;
use crate::process::{bound_to_us, said, system, through};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// U-Boot for QEMU's arm64 machine, as Debian ships it.
pub(super) const UBOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
/// UEFI for QEMU's PC, as Debian ships it.
const OVMF: &str = "/usr/share/ovmf/OVMF.fd";
/// Where Debian has GRUB.
const GRUB: &str = "/usr/lib/grub";

/// The same with a recovery in slot B, which is trusted behind the system.
const UBOOT_RECOVERY: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nBOOT_A_GOOD=1\n\
                              BOOT_B_GOOD=1\nrefit_generation=1\n";
/// What a board chooses at the top of U-Boot's script, and what one with a recovery does.
const UBOOT_ORDER: [&str; 2] = ["setenv refit_order \"A B\"", "setenv refit_order \"B A\""];
/// What U-Boot's script remembers in the factory: slot A is trusted.
const UBOOT_FACTORY: &str = "BOOT_ORDER=A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=0\nBOOT_A_GOOD=1\n\
                             BOOT_B_GOOD=0\nrefit_generation=1\n";
/// The same of GRUB's.
const GRUB_FACTORY: [&str; 7] =
    ["ORDER=A", "A_OK=1", "A_LEFT=3", "A_GOOD=1", "B_OK=0", "B_LEFT=0", "B_GOOD=0"];
/// What GRUB does before it reads its script: it speaks on the serial line.
const EARLY: &str = "serial --unit=0 --speed=115200\nterminfo -g 200x50 serial dumb\n\
                     terminal_input serial\nterminal_output serial\n";
/// What the script needs of GRUB, which is all in one file here.
const GRUB_MODULES: [&str; 17] = [
    "configfile",
    "echo",
    "ext2",
    "fat",
    "iorw",
    "linux",
    "loadenv",
    "memrw",
    "normal",
    "part_gpt",
    "read",
    "reboot",
    "search",
    "serial",
    "terminfo",
    "test",
    "true",
];
/// The file of the boot partition in which a simulated bootloader remembers what to start.
pub(super) const SIMULATED_MEMORY: &str = "boot.rec";
/// Bytes of a sector.
const SECTOR: usize = 512;
/// The sector at which GRUB's core begins, in the gap before the first partition.
const CORE_AT: u64 = 64;

/// A way from the power switch to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Chain {
    /// arm64, U-Boot.
    Uboot,
    /// x86-64, BIOS, GRUB.
    GrubBios,
    /// x86-64, UEFI, GRUB.
    GrubOvmf,
    /// MIPS, little-endian, with a bootloader that is simulated.
    Malta,
}

impl Chain {
    /// The emulator with this firmware.
    ///
    /// # Errors
    /// It is not installed.
    pub fn emulator(self) -> Result<Command> {
        let (program, package) = match self {
            Self::Uboot => ("qemu-system-aarch64", "qemu-system-arm"),
            Self::GrubBios | Self::GrubOvmf => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Malta => ("qemu-system-mipsel", "qemu-system-mips"),
        };
        let mut command = bound_to_us(Path::new(system(program, package)?.get_program()));
        match self {
            Self::Uboot => {
                command.args(["-M", "virt", "-cpu", "cortex-a57", "-bios", UBOOT]);
                command.args(["-device", "i6300esb"]);
            }
            Self::GrubBios | Self::GrubOvmf => {
                // The chipset's own watchdog may reset the machine.
                command.args(["-M", "q35", "-global", "ICH9-LPC.noreboot=false"]);
            }
            Self::Malta => {
                command.args(["-M", "malta"]);
            }
        }
        if self == Self::GrubOvmf {
            command.args(["-bios", OVMF]);
        }
        Ok(command)
    }

    /// Modules of the kernel that machines of this kind need besides the usual ones.
    pub fn modules(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Uboot => (&[], &["i6300esb"]),
            Self::Malta => (&["virtio_ring", "virtio"], &[]),
            Self::GrubBios | Self::GrubOvmf => {
                let watchdog =
                    &["watchdog", "intel_pmc_bxt", "lpc_ich", "iTCO_vendor_support", "iTCO_wdt"];
                (&["virtio_ring", "virtio"], watchdog)
            }
        }
    }

    /// `[watchdog]` of the agent's configuration, where there is one.
    pub(super) fn watchdog(self) -> &'static str {
        if self == Self::Malta { "" } else { "[watchdog]\ntimeout_seconds = 15\n" }
    }

    /// `[boot]` of the agent's configuration.
    pub(super) fn boot_control(self) -> String {
        match self {
            Self::Uboot => format!(
                "[boot]\ncontrol = \"uboot\"\n[boot.environment]\nsize = {}\n\
                 form = \"state-files\"\ncopies = [{{ path = \"/boot/state0.env\" }}, \
                 {{ path = \"/boot/state1.env\" }}]\n",
                memory::SIZE
            ),
            Self::GrubBios | Self::GrubOvmf => {
                "[boot]\ncontrol = \"grub\"\npath = \"/boot/grub/grubenv\"\n".into()
            }
            Self::Malta => {
                format!("[boot]\ncontrol = \"file\"\npath = \"/boot/{SIMULATED_MEMORY}\"\n")
            }
        }
    }

    /// Puts the bootloader's script and what it remembers in the factory into the file
    /// system in `boot`; `folder` is scratch.
    pub(super) fn fill(self, boot: &Path, folder: &Path, layout: Layout) -> Result<()> {
        match self {
            Self::Uboot => fill_for_uboot(boot, folder, layout),
            Self::GrubBios => fill_for_grub(boot, folder),
            Self::Malta => Ok(()),
            Self::GrubOvmf => {
                fill_for_grub(boot, folder)?;
                let program = grub_core("x86_64-efi", folder)?;
                said(system("mmd", "mtools")?.arg("-i").arg(boot).args(["::EFI", "::EFI/BOOT"]))?;
                put(boot, &program, "EFI/BOOT/BOOTX64.EFI")
            }
        }
    }

    /// Puts what the firmware starts outside of all partitions onto `disk`.
    pub(super) fn install(self, disk: &Path, folder: &Path) -> Result<()> {
        if self != Self::GrubBios {
            return Ok(());
        }
        let mut first = fs::read(Path::new(GRUB).join("i386-pc/boot.img"))?;
        let mut core = fs::read(grub_core("i386-pc", folder)?)?;
        core.resize(core.len().next_multiple_of(SECTOR), 0);
        // Where the first sector finds the core's first one, and that one the rest.
        write_in(&mut first, 0x5c, &CORE_AT.to_le_bytes())?;
        let rest = u16::try_from(core.len() / SECTOR - 1).context("GRUB's core is too large")?;
        write_in(&mut core, 0x1f4, &(CORE_AT + 1).to_le_bytes())?;
        write_in(&mut core, 0x1fc, &rest.to_le_bytes())?;
        let disk = File::options().write(true).open(disk)?;
        // The partition table begins behind the code.
        disk.write_all_at(first.get(..440).context("GRUB's first sector is too short")?, 0)?;
        Ok(disk.write_all_at(&core, CORE_AT * SECTOR as u64)?)
    }
}

fn write_in(bytes: &mut [u8], at: usize, number: &[u8]) -> Result<()> {
    let place = bytes.get_mut(at..at + number.len()).context("GRUB's image is too short")?;
    place.copy_from_slice(number);
    Ok(())
}

fn fill_for_uboot(boot: &Path, folder: &Path, layout: Layout) -> Result<()> {
    let (compiled, state) = (folder.join("boot.scr"), folder.join("state.env"));
    let script = folder.join("uboot.cmd");
    let mut here = fs::read_to_string("contrib/boot/uboot.cmd").context("the script for U-Boot")?;
    let remembered = match layout {
        Layout::Banks | Layout::Loaders => UBOOT_FACTORY,
        Layout::Recovery | Layout::Staged => {
            let [usual, ours] = UBOOT_ORDER;
            anyhow::ensure!(here.contains(usual), "the script for U-Boot has no `{usual}`");
            here = here.replace(usual, ours);
            UBOOT_RECOVERY
        }
    };
    fs::write(&script, here)?;
    let mut mkimage = system("mkimage", "u-boot-tools")?;
    mkimage.args(["-A", "arm64", "-T", "script", "-C", "none", "-d"]).arg(&script);
    said(mkimage.arg(&compiled))?;
    put(boot, &compiled, "boot.scr")?;
    let mut mkenvimage = system("mkenvimage", "u-boot-tools")?;
    mkenvimage.arg("-s").arg(memory::SIZE.to_string()).arg("-o").arg(&state).arg("-");
    through(&mut mkenvimage, remembered.as_bytes())?;
    put(boot, &state, "state0.env")?;
    put(boot, &state, "state1.env")
}

fn fill_for_grub(boot: &Path, folder: &Path) -> Result<()> {
    let (script, state) = (folder.join("grub.cfg"), folder.join("grubenv"));
    let shipped = fs::read_to_string("contrib/boot/grub.cfg").context("the script for GRUB")?;
    // What is at the script's top for boards to choose: this one resets after half a minute.
    let mut here = shipped;
    for (usual, ours) in [("watchdog=\n", "watchdog=tco\n"), ("steps=0x64\n", "steps=0x19\n")] {
        anyhow::ensure!(here.contains(usual), "the script for GRUB has no `{usual}` to choose");
        here = here.replace(usual, ours);
    }
    fs::write(&script, here)?;
    let edit = || system("grub-editenv", "grub-common");
    said(edit()?.arg(&state).arg("create"))?;
    said(edit()?.arg(&state).arg("set").args(GRUB_FACTORY))?;
    said(system("mmd", "mtools")?.arg("-i").arg(boot).arg("::grub"))?;
    put(boot, &script, "grub/grub.cfg")?;
    put(boot, &state, "grub/grubenv")
}

/// GRUB with all its modules in one file.
fn grub_core(platform: &str, folder: &Path) -> Result<PathBuf> {
    let (early, core) = (folder.join("early.cfg"), folder.join(format!("core.{platform}")));
    fs::write(&early, EARLY)?;
    let mut mkimage = system("grub-mkimage", "grub-common")?;
    mkimage.arg("-O").arg(platform).arg("-c").arg(&early).arg("-o").arg(&core);
    mkimage.args(["-p", "(hd0,gpt1)/grub"]).args(GRUB_MODULES);
    mkimage.args((platform == "i386-pc").then_some("biosdisk"));
    said(&mut mkimage)?;
    Ok(core)
}

/// Puts a file into an image of FAT.
pub(super) fn put(image: &Path, file: &Path, name: &str) -> Result<()> {
    let mut copy = system("mcopy", "mtools")?;
    said(copy.arg("-i").arg(image).arg(file).arg(format!("::{name}")))?;
    Ok(())
}
