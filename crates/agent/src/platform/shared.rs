//! Memory that hands bytes from one process to another without a copy on the way.
//!
//! One side writes; the other side only ever copies out of it, and what was copied
//! cannot change any more. Its size is sealed, so that no writer can pull it away
//! from under the reader.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The reader's side.
#[derive(Debug)]
pub struct Shared {
    file: OwnedFd,
    mapping: Mapping,
}

impl Shared {
    /// Zeros of `len` bytes that nobody can make longer or shorter.
    ///
    /// # Errors
    /// The system has no memory or no descriptor left.
    pub fn create(len: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(c"refit-chunk", flags)?;
        rustix::fs::ftruncate(&file, u64::try_from(len).map_err(io::Error::other)?)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let mapping = Mapping::of(&file, len)?;
        Ok(Self { file, mapping })
    }

    /// Copies its first bytes; `into` is filled.
    ///
    /// # Errors
    /// `into` is longer than it.
    #[expect(unsafe_code, reason = "what another process writes to is no slice of ours")]
    pub fn copy(&self, into: &mut [u8]) -> io::Result<()> {
        if into.len() > self.mapping.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: the mapping has at least so many bytes for as long as it lives, its
        // size is sealed, and `into` is memory of this process alone. No reference to
        // the mapping is made here: a writer that goes on writing only changes which
        // bytes are copied.
        unsafe { self.mapping.start.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Ok(())
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The writer's side.
#[derive(Debug)]
pub struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    /// Maps the first `len` bytes of what the other side created.
    ///
    /// # Errors
    /// There are fewer bytes, or they cannot be mapped.
    #[expect(unsafe_code, reason = "a mapping is made by a system call")]
    pub fn of(file: &OwnedFd, len: usize) -> io::Result<Self> {
        let size = rustix::fs::fstat(file)?.st_size;
        if len == 0 || usize::try_from(size).ok().is_none_or(|size| size < len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the system's choice touches no
        // memory of this process.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, 0)?
        };
        Ok(Self { start: start.cast(), len })
    }

    /// Its bytes.
    #[expect(unsafe_code, reason = "the mapping is seen as a slice")]
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has `len` bytes until it is dropped, nothing else in this
        // process points into it, its size is sealed, and the other side only reads.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "a mapping is undone by a system call")]
    fn drop(&mut self) {
        // SAFETY: it is this mapping's own range, and no reference to it is left.
        let _ = unsafe { rustix::mm::munmap(self.start.cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_writes_the_other_copies() {
        let shared = Shared::create(10_000).unwrap();
        let file = shared.as_fd().try_clone_to_owned().unwrap();
        let mut mapping = Mapping::of(&file, 10_000).unwrap();
        mapping.bytes().fill(7);
        let mut copy = vec![0; 10_000];
        shared.copy(&mut copy).unwrap();
        assert!(copy.iter().all(|byte| *byte == 7));
        assert!(shared.copy(&mut vec![0; 10_001]).is_err());
        assert!(Mapping::of(&file, 10_001).is_err());
    }

    #[test]
    fn its_size_is_sealed() {
        let shared = Shared::create(10_000).unwrap();
        for len in [0, 9_999, 10_001] {
            assert!(rustix::fs::ftruncate(&shared, len).is_err(), "{len}");
        }
    }
}
