//! What of the program itself is in memory.
//!
//! A terminal's update starts with code that is needed once: configuration, enrolment,
//! TLS handshakes, manifests. The kernel keeps it mapped in each process that used it
//! until memory is short. While an image is copied, nothing but the copying needs any.

use rustix::mm::{Advice, madvise};
use std::ffi::{c_int, c_void};

/// Gives the pages of this process that hold the program's code and constants back to
/// the system, which maps those again that are still used: from the page cache, or else
/// from the program's file. Nothing that was ever written is among them.
#[expect(unsafe_code, reason = "only C tells where the program is")]
pub fn give_program_back() {
    // SAFETY: `each_object` is what dl_iterate_phdr(3) calls, and ignores the pointer.
    unsafe { libc::dl_iterate_phdr(Some(each_object), std::ptr::null_mut()) };
}

/// One of the objects that the program consists of. Always 0: go on.
#[expect(unsafe_code, reason = "a callback of C")]
unsafe extern "C" fn each_object(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) passes a valid object, whose `dlpi_phdr` has
    // `dlpi_phnum` headers.
    let (base, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, count))
    };
    let (load, write) = (libc::PT_LOAD, libc::PF_W);
    for header in headers.iter().filter(|h| h.p_type == load && h.p_flags & write == 0) {
        let start = base.wrapping_add(header.p_vaddr) as usize;
        let end = start.wrapping_add(header.p_memsz as usize);
        let start = start & !(page_size() - 1);
        let len = end.saturating_sub(start);
        // SAFETY: a segment that is loaded and never writable is mapped from a file and
        // unchanged, so dropping its pages loses nothing: the next access maps them again
        // (madvise(2), MADV_DONTNEED). Text relocations, which would change it, are
        // refused by the linker.
        let dropped = unsafe { madvise(start as *mut c_void, len, Advice::LinuxDontNeed) };
        // What the system does not take back stays, which is no fault.
        let _ = dropped;
    }
    0
}

/// Bytes of a page, as the C library learned when the program began. A worker may not
/// look any more: before Linux 6.4 rustix reads that from a file, which Landlock keeps
/// from it.
#[expect(unsafe_code, reason = "only C knows without looking")]
fn page_size() -> usize {
    // SAFETY: sysconf(3) takes a number and gives one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::io::{Read, Seek, SeekFrom};

    /// A constant of the program that nothing else comes near.
    static CONSTANT: [u8; 1 << 20] = [7; 1 << 20];

    /// Whether the page in the middle of it is mapped (proc_pid_pagemap(5), bit 63).
    fn is_mapped() -> bool {
        let middle = CONSTANT.as_ptr() as u64 + (1 << 19);
        let mut pages = std::fs::File::open("/proc/self/pagemap").unwrap();
        let mut entry = [0; 8];
        pages.seek(SeekFrom::Start(middle / page_size() as u64 * 8)).unwrap();
        pages.read_exact(&mut entry).unwrap();
        u64::from_le_bytes(entry) >> 63 == 1
    }

    #[test]
    fn what_is_given_back_comes_again() {
        assert_eq!(black_box(&CONSTANT)[1 << 19], 7);
        assert!(is_mapped());
        give_program_back();
        assert!(!is_mapped());
        assert_eq!(black_box(&CONSTANT)[1 << 19], 7);
        assert!(is_mapped());
    }
}
