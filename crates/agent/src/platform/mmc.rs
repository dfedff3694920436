//! The boot switch of an eMMC: which of its two boot partitions its host starts from. It is
//! one byte of the chip's own register (JESD84-B51, `PARTITION_CONFIG` of EXT_CSD), asked
//! and written through the kernel's `linux/include/uapi/linux/mmc/ioctl.h`.
//!
//! Deliberately absent: the write protection of boot partitions, which is the factory's.
#![expect(unsafe_code, reason = "rustix has no safe calls for eMMC")]

use rustix::ioctl::{self, Opcode, Updater, opcode};
use std::fs::File;
use std::io;
use std::path::Path;
use types::Slot;

/// `MMC_IOC_CMD`.
const MMC_IOC_CMD: Opcode = opcode::read_write::<Command>(179, 0);
/// `MMC_SEND_EXT_CSD`, and how the chip answers: `MMC_RSP_SPI_R1 | MMC_RSP_R1 |
/// MMC_CMD_ADTC`.
const SEND_EXT_CSD: (u32, u32) = (8, 1 << 7 | 0x15 | 1 << 5);
/// `MMC_SWITCH`, and how it answers: `MMC_RSP_SPI_R1B | MMC_RSP_R1B | MMC_CMD_AC`.
const SWITCH: (u32, u32) = (6, 1 << 10 | 1 << 7 | 0x1d);
/// `MMC_SWITCH_MODE_WRITE_BYTE`.
const WRITE_BYTE: u32 = 3;
/// `EXT_CSD_CMD_SET_NORMAL`.
const SET_NORMAL: u32 = 1;
/// Where `PARTITION_CONFIG` is in the register.
const PARTITION_CONFIG: u8 = 179;
/// Bytes of the register.
const REGISTER: usize = 512;
/// Milliseconds that the chip may take for a switch.
const PATIENCE: u32 = 1000;

/// `struct mmc_ioc_cmd`.
#[repr(C)]
#[derive(Debug, Default)]
struct Command {
    write_flag: i32,
    is_acmd: i32,
    opcode: u32,
    argument: u32,
    response: [u32; 4],
    flags: u32,
    block_size: u32,
    blocks: u32,
    sleep_at_least: u32,
    sleep_at_most: u32,
    data_timeout: u32,
    timeout: u32,
    padding: u32,
    data: u64,
}

/// The boot partition that the eMMC at `device` is started from: A is `boot0`, B `boot1`.
///
/// # Errors
/// It is no eMMC, or starts from something else.
pub(crate) fn chosen(device: &Path) -> io::Result<Slot> {
    let file = File::open(device)?;
    named(config(&file)?)
}

/// Has the eMMC at `device` started from the boot partition `copy`. It lasts when this
/// returns: the chip keeps the register itself.
///
/// # Errors
/// It is no eMMC, or did not take it.
pub(crate) fn choose(device: &Path, copy: Slot) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(device)?;
    let wanted = with(config(&file)?, copy);
    let (opcode, flags) = SWITCH;
    let argument = argument(wanted);
    let mut command =
        Command { write_flag: 1, opcode, argument, flags, timeout: PATIENCE, ..Command::default() };
    // SAFETY: MMC_IOC_CMD reads and fills one `mmc_ioc_cmd`; this command has no data.
    unsafe { ioctl::ioctl(&file, Updater::<MMC_IOC_CMD, Command>::new(&mut command)) }?;
    if config(&file)? == wanted {
        return Ok(());
    }
    Err(io::Error::other("the eMMC did not take its boot switch"))
}

/// The byte as it is.
fn config(file: &File) -> io::Result<u8> {
    let mut register = [0_u8; REGISTER];
    let (opcode, flags) = SEND_EXT_CSD;
    let mut command = Command {
        opcode,
        flags,
        block_size: u32::try_from(REGISTER).map_err(io::Error::other)?,
        blocks: 1,
        data: register.as_mut_ptr().expose_provenance() as u64,
        ..Command::default()
    };
    // SAFETY: MMC_IOC_CMD reads and fills one `mmc_ioc_cmd`, and writes the one block of
    // 512 bytes that it asks for to `data`, where there are as many.
    unsafe { ioctl::ioctl(file, Updater::<MMC_IOC_CMD, Command>::new(&mut command)) }?;
    register.get(usize::from(PARTITION_CONFIG)).copied().ok_or(io::ErrorKind::InvalidData.into())
}

/// The boot partition that is named in the byte: bits 5 to 3, `BOOT_PARTITION_ENABLE`.
fn named(config: u8) -> io::Result<Slot> {
    match config >> 3 & 7 {
        1 => Ok(Slot::A),
        2 => Ok(Slot::B),
        _ => Err(io::Error::other("the eMMC is started from neither boot partition")),
    }
}

/// The byte that names `copy`: whether the chip acknowledges a start (bit 6) stays, and
/// the user area is what is accessed (bits 2 to 0).
fn with(config: u8, copy: Slot) -> u8 {
    let number = match copy {
        Slot::A => 1,
        Slot::B => 2,
    };
    config & 1 << 6 | number << 3
}

/// The argument of the switch that writes `config`.
fn argument(config: u8) -> u32 {
    WRITE_BYTE << 24 | u32::from(PARTITION_CONFIG) << 16 | u32::from(config) << 8 | SET_NORMAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_its_header_says() {
        assert_eq!(size_of::<Command>(), 72);
        assert_eq!(std::mem::offset_of!(Command, flags), 32);
        assert_eq!(std::mem::offset_of!(Command, timeout), 56);
        assert_eq!(std::mem::offset_of!(Command, data), 64);
        assert_eq!(MMC_IOC_CMD & 0x00ff_ffff, 0x0048_b300 & 0x00ff_ffff);
        assert_eq!((SEND_EXT_CSD.1, SWITCH.1), (0xb5, 0x49d));
    }

    #[test]
    fn one_byte_names_a_boot_partition() {
        for (before, copy, after, sent) in [
            (0b0000_0000, Slot::A, 0b0000_1000, 0x03b3_0801),
            (0b0100_1000, Slot::B, 0b0101_0000, 0x03b3_5001),
            (0b0101_0010, Slot::A, 0b0100_1000, 0x03b3_4801),
            (0b0111_1001, Slot::B, 0b0101_0000, 0x03b3_5001),
        ] {
            assert_eq!(with(before, copy), after, "{before:#b}");
            assert_eq!(named(after).unwrap(), copy);
            assert_eq!(argument(after), sent);
        }
        for neither in [0, 0b0011_1000, 0b0100_0000] {
            assert!(named(neither).is_err(), "{neither:#b}");
        }
    }

    #[test]
    fn what_is_no_emmc_has_no_switch() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(chosen(file.path()).is_err());
        assert!(choose(file.path(), Slot::B).is_err());
        assert!(chosen(Path::new("/there/is/no/emmc")).is_err());
    }
}
