//! What the kernel is asked of flash: numbers and structures of
//! `linux/include/uapi/mtd/mtd-abi.h`, `ubi-user.h` and, for block devices, `linux/fs.h`.
#![expect(unsafe_code, reason = "rustix has no safe calls for flash")]

use rustix::ioctl::{self, Getter, Opcode, Setter, opcode};
use std::ffi::c_void;
use std::fs::File;
use std::io;

const BLKDISCARD: Opcode = opcode::none(0x12, 119);
const MEMGETINFO: Opcode = opcode::read::<MtdInfo>(b'M', 1);
const MEMUNLOCK: Opcode = opcode::write::<Span32>(b'M', 6);
const MEMGETBADBLOCK: Opcode = opcode::write::<i64>(b'M', 11);
const MEMSETBADBLOCK: Opcode = opcode::write::<i64>(b'M', 12);
const ECCGETSTATS: Opcode = opcode::read::<EccStats>(b'M', 18);
const MEMERASE64: Opcode = opcode::write::<Span64>(b'M', 20);
const UBI_IOCVOLUP: Opcode = opcode::write::<i64>(b'O', 0);
/// By its number it takes an `int`; what it takes is the structure.
const UBI_IOCEBCH: Opcode = opcode::write::<i32>(b'O', 2);
const UBI_IOCEBUNMAP: Opcode = opcode::write::<i32>(b'O', 4);
const UBI_IOCSETVOLPROP: Opcode = opcode::write::<Property>(b'O', 6);
/// `UBI_VOL_PROP_DIRECT_WRITE`.
const DIRECT_WRITE: u8 = 1;

/// `MTD_NORFLASH`.
pub(super) const NOR: u8 = 3;
/// `MTD_DATAFLASH`.
pub(super) const DATAFLASH: u8 = 6;

/// `struct mtd_info_user`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MtdInfo {
    pub(super) kind: u8,
    pub(super) flags: u32,
    /// Modulo 4 GiB.
    size: u32,
    pub(super) block: u32,
    pub(super) page: u32,
    spare: u32,
    padding: u64,
}

/// `struct mtd_ecc_stats`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct EccStats {
    corrected: u32,
    failed: u32,
    bad: u32,
    tables: u32,
}

/// `struct erase_info_user`.
#[repr(C)]
struct Span32 {
    start: u32,
    length: u32,
}

/// `struct erase_info_user64`.
#[repr(C)]
struct Span64 {
    start: u64,
    length: u64,
}

/// `struct ubi_leb_change_req`, which is packed; its fields are aligned anyway.
#[repr(C)]
struct Change {
    block: i32,
    bytes: i32,
    /// 3, for kernels of before 2012.
    term: i8,
    padding: [u8; 7],
}

/// `struct ubi_set_vol_prop_req`.
#[repr(C)]
struct Property {
    property: u8,
    padding: [u8; 7],
    value: u64,
}

/// `BLOCK` of the call is what it answers.
struct Question<const OPCODE: Opcode, T>(T);

// SAFETY: the opcodes that it is used with read one `T` through the pointer, and answer
// with a number.
unsafe impl<const OPCODE: Opcode, T> ioctl::Ioctl for Question<OPCODE, T> {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(
        answer: ioctl::IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<i32> {
        Ok(answer)
    }
}

/// Tells a block device that `len` bytes from `at` on are given up.
pub(in super::super) fn discard(device: &File, at: u64, len: u64) -> io::Result<()> {
    // SAFETY: BLKDISCARD reads two numbers.
    Ok(unsafe { ioctl::ioctl(device, Setter::<BLKDISCARD, [u64; 2]>::new([at, len])) }?)
}

/// Kind and sizes of an MTD partition.
pub(super) fn info(file: &File) -> io::Result<MtdInfo> {
    // SAFETY: MEMGETINFO fills one `mtd_info_user`.
    Ok(unsafe { ioctl::ioctl(file, Getter::<MEMGETINFO, MtdInfo>::new()) }?)
}

/// Whether the block at `at` is bad. What cannot have bad blocks has none.
pub(super) fn is_bad(file: &File, at: u64) -> io::Result<bool> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    // SAFETY: MEMGETBADBLOCK reads one `loff_t`.
    match unsafe { ioctl::ioctl(file, Question::<MEMGETBADBLOCK, i64>(at)) } {
        Ok(bad) => Ok(bad > 0),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Marks the block at `at` as bad, for ever.
pub(super) fn set_bad(file: &File, at: u64) -> io::Result<()> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    // SAFETY: MEMSETBADBLOCK reads one `loff_t`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<MEMSETBADBLOCK, i64>::new(at)) }?)
}

/// How many blocks are known to be bad: it changes when one more is.
pub(super) fn bad_count(file: &File) -> io::Result<u32> {
    // SAFETY: ECCGETSTATS fills one `mtd_ecc_stats`.
    Ok(unsafe { ioctl::ioctl(file, Getter::<ECCGETSTATS, EccStats>::new()) }?.bad)
}

/// Erases `length` bytes from `start`, whole blocks.
pub(super) fn erase(file: &File, start: u64, length: u64) -> io::Result<()> {
    let span = Span64 { start, length };
    // SAFETY: MEMERASE64 reads one `erase_info_user64`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<MEMERASE64, Span64>::new(span)) }?)
}

/// Takes the write protection off, where the chip has one.
pub(super) fn unlock(file: &File, start: u64, length: u32) -> io::Result<()> {
    let span = Span32 { start: u32::try_from(start).map_err(io::Error::other)?, length };
    // SAFETY: MEMUNLOCK reads one `erase_info_user`.
    match unsafe { ioctl::ioctl(file, Setter::<MEMUNLOCK, Span32>::new(span)) } {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Begins an update of a whole volume with so many bytes; with none, that empties it.
pub(super) fn begin_update(file: &File, bytes: i64) -> io::Result<()> {
    // SAFETY: UBI_IOCVOLUP reads one `__s64`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<UBI_IOCVOLUP, i64>::new(bytes)) }?)
}

/// Begins the atomic change of a block; so many bytes have to be written next.
pub(super) fn begin_change(file: &File, block: i32, bytes: i32) -> io::Result<()> {
    let change = Change { block, bytes, term: 3, padding: [0; 7] };
    // SAFETY: UBI_IOCEBCH reads one `ubi_leb_change_req`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<UBI_IOCEBCH, Change>::new(change)) }?)
}

/// Empties a block of a volume.
pub(super) fn unmap(file: &File, block: i32) -> io::Result<()> {
    // SAFETY: UBI_IOCEBUNMAP reads one `__s32`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<UBI_IOCEBUNMAP, i32>::new(block)) }?)
}

/// Lets a volume be written page by page.
pub(super) fn write_directly(file: &File) -> io::Result<()> {
    let property = Property { property: DIRECT_WRITE, padding: [0; 7], value: 1 };
    // SAFETY: UBI_IOCSETVOLPROP reads one `ubi_set_vol_prop_req`.
    Ok(unsafe { ioctl::ioctl(file, Setter::<UBI_IOCSETVOLPROP, Property>::new(property)) }?)
}
