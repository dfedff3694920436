//! Writing past the page cache where the medium allows it, and reading what the
//! medium itself holds.
//!
//! Two ways. *Direct* (`O_DIRECT`): nothing is copied and nothing is cached.
//! *Cached*, where a file system does not offer that: written through the page
//! cache, and dropped from it after the flush, so that a later read comes from the
//! medium. A file's last bytes, less than a block, always go the second way.

use super::files;
use super::mtd::abi;
use super::partition::{self, Unlocked};
use crate::aligned::{Aligned, is_aligned};
use crate::edges::Geometry;
use rustix::fs::{Advice, FallocateFlags, OFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The unit of direct writes to files: no file system asks for more.
const BLOCK: u32 = 4096;
/// Bytes of the buffer for callers whose own is not aligned.
const BOUNCE: usize = 64 << 10;

/// How long a file is. A partition is as long as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As long as configured, whatever is written: a slot.
    Fixed,
    /// As long as what was written: an image that is staged.
    #[cfg(feature = "components")]
    Written,
}

/// Whether a partition is told that all in it is given up, before it is written: what
/// levels the wear of its cells can do that better then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trim {
    /// It is not.
    #[default]
    Never,
    /// It is.
    Before,
}

/// A partition, or a file that stands for one.
#[derive(Debug)]
pub(crate) struct Medium {
    path: PathBuf,
    size: u64,
    extent: Extent,
    trim: Trim,
    open: Option<Open>,
    /// Where the kernel lists block devices and their locks.
    class: &'static Path,
}

#[derive(Debug)]
struct Open {
    cached: File,
    /// Past the page cache; `None` where that is not possible.
    direct: Option<File>,
    kind: Kind,
    bounce: Option<Box<BounceBuffer>>,
    /// Held from the first write to the flush, and no longer where either fails: what
    /// comes then may be a restart, or hours without a line, and neither comes past here.
    unlocked: Option<Unlocked>,
}

struct BounceBuffer(Aligned);

impl core::fmt::Debug for BounceBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BounceBuffer")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A partition with sectors of so many bytes.
    Device(u32),
    File,
}

impl Kind {
    fn block(self) -> u32 {
        match self {
            Self::Device(sector) => sector,
            Self::File => BLOCK,
        }
    }
}

impl Medium {
    pub(crate) fn new(path: &Path, size: u64, extent: Extent) -> Self {
        Self {
            path: path.into(),
            size,
            extent,
            trim: Trim::Never,
            open: None,
            class: partition::CLASS.as_ref(),
        }
    }

    pub(crate) fn with_trim(self, trim: Trim) -> Self {
        Self { trim, ..self }
    }

    #[cfg(feature = "components")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Size and block. A file that is not there yet has the configured size.
    pub(crate) fn geometry(&self) -> io::Result<Geometry> {
        let file = match partition::locate(&self.path).and_then(File::open) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.may_create() => {
                return Ok(Geometry { size: self.size, block: BLOCK });
            }
            Err(e) => return Err(e),
        };
        let kind = kind_of(&file)?;
        let len = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        let size = match (kind, self.extent) {
            (Kind::Device(_), _) => len,
            (Kind::File, Extent::Fixed) => len.max(self.size),
            #[cfg(feature = "components")]
            (Kind::File, Extent::Written) => self.size,
        };
        Ok(Geometry { size, block: kind.block() })
    }

    /// Opens, creates and sizes the medium.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        let prepared = self.prepare_unlocked();
        // Until the first bytes come.
        self.lock();
        prepared
    }

    fn prepare_unlocked(&mut self) -> io::Result<()> {
        self.open = None;
        let (size, extent, trim) = (self.size, self.extent, self.trim);
        let open = self.unlocked()?;
        match (open.kind, extent) {
            (Kind::Device(_), _) if trim == Trim::Before => discard(&open.cached),
            (Kind::Device(_), _) => Ok(()),
            (Kind::File, Extent::Fixed) => reserve(&open.cached, size),
            #[cfg(feature = "components")]
            (Kind::File, Extent::Written) => open.cached.set_len(0),
        }
    }

    /// Writes `bytes` at `at`, which is a multiple of the block.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.write_unlocked(at, bytes);
        if written.is_err() {
            self.lock();
        }
        written
    }

    fn write_unlocked(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.unlocked()?;
        if open.direct.is_none() {
            return open.cached.write_all_at(bytes, at);
        }
        match open.write_direct(at, bytes) {
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                // It can be opened for direct writes and then refuses them.
                open.direct = None;
                open.cached.write_all_at(bytes, at)
            }
            done => done,
        }
    }

    /// Makes what was written durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let open = self.opened()?;
        let flushed = open.cached.sync_data();
        open.unlocked = None;
        flushed?;
        match open.direct {
            // It reads past the cache.
            Some(_) => Ok(()),
            None => open.forget_cache(),
        }
    }

    /// Reads from the medium itself.
    pub(crate) fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let open = self.opened()?;
        open.unlocked = None;
        if open.direct.is_some() {
            match open.read_direct(at, into) {
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                    open.direct = None;
                }
                done => return done,
            }
        }
        open.forget_cache()?;
        open.cached.read_exact_at(into, at)
    }

    /// A missing device node must not become a file.
    fn may_create(&self) -> bool {
        let is_device = partition::is_label(&self.path) || self.path.starts_with("/dev/");
        !is_device || self.path.starts_with("/dev/shm/")
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open_now()?,
        };
        Ok(self.open.insert(open))
    }

    /// The same, for writing.
    fn unlocked(&mut self) -> io::Result<&mut Open> {
        let missing = self.open.as_ref().is_some_and(|open| open.unlocked.is_none());
        let unlocked = if missing { Some(self.unlock()?) } else { None };
        let open = self.opened()?;
        open.unlocked = open.unlocked.take().or(unlocked);
        Ok(open)
    }

    fn unlock(&self) -> io::Result<Unlocked> {
        Unlocked::of_in(self.class, &partition::locate(&self.path)?)
    }

    fn lock(&mut self) {
        if let Some(open) = &mut self.open {
            open.unlocked = None;
        }
    }

    fn open_now(&self) -> io::Result<Open> {
        let path = partition::locate(&self.path)?;
        let is_new = self.may_create() && !path.try_exists()?;
        let unlocked = Unlocked::of_in(self.class, &path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let cached = options.clone().create(is_new).mode(0o600).open(&path)?;
        if is_new {
            files::sync_directory_of(&path)?;
        }
        let direct = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
        let direct = options.custom_flags(direct).open(&path).ok();
        let kind = kind_of(&cached)?;
        Ok(Open { cached, direct, kind, bounce: None, unlocked: Some(unlocked) })
    }
}

impl Open {
    /// Whole blocks past the cache; what is left of a file through it, what is left of
    /// a device padded with zeros.
    fn write_direct(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let block = usize::try_from(self.kind.block()).map_err(io::Error::other)?;
        let (whole, tail) = bytes.split_at(bytes.len() - bytes.len() % block);
        if is_aligned(whole) {
            self.direct()?.write_all_at(whole, at)?;
        } else {
            self.bounced(at, whole, 0)?;
        }
        let end = at + whole.len() as u64;
        match self.kind {
            _ if tail.is_empty() => Ok(()),
            Kind::File => self.cached.write_all_at(tail, end),
            Kind::Device(_) => self.bounced(end, tail, block - tail.len()),
        }
    }

    /// Writes a copy of `bytes`, and `padding` zeros after them.
    fn bounced(&mut self, mut at: u64, bytes: &[u8], padding: usize) -> io::Result<()> {
        for piece in bytes.chunks(BOUNCE) {
            let bounce = self.bounce();
            let (copy, rest) = bounce.split_at_mut_checked(piece.len()).ok_or_else(bug)?;
            copy.copy_from_slice(piece);
            let zeros = padding.min(rest.len());
            rest.get_mut(..zeros).ok_or_else(bug)?.fill(0);
            let len = piece.len() + zeros;
            let Self { direct, bounce, .. } = self;
            let all = bounce.as_ref().and_then(|b| b.0.bytes().get(..len)).ok_or_else(bug)?;
            direct.as_ref().ok_or_else(bug)?.write_all_at(all, at)?;
            at += len as u64;
        }
        Ok(())
    }

    fn read_direct(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let block = usize::try_from(self.kind.block()).map_err(io::Error::other)?;
        if at.is_multiple_of(block as u64) && into.len().is_multiple_of(block) && is_aligned(into) {
            return self.direct()?.read_exact_at(into, at);
        }
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += self.read_piece(at + done as u64, rest, block)?;
        }
        Ok(())
    }

    /// Reads the blocks around `at` and copies what is wanted of them.
    fn read_piece(&mut self, at: u64, into: &mut [u8], block: usize) -> io::Result<usize> {
        let before = usize::try_from(at % block as u64).map_err(io::Error::other)?;
        let want = (before + into.len()).next_multiple_of(block).min(BOUNCE);
        self.bounce();
        let Self { direct, bounce, .. } = self;
        let bounce = bounce.as_mut().map(|b| b.0.bytes_mut()).ok_or_else(bug)?;
        let buffer = bounce.get_mut(..want).ok_or_else(bug)?;
        let file = direct.as_ref().ok_or_else(bug)?;
        let got = files::read_up_to(file, buffer, at - before as u64)?;
        let useful = buffer.get(before..got).ok_or(io::ErrorKind::UnexpectedEof)?;
        let len = useful.len().min(into.len());
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (to, from) = (into.get_mut(..len), useful.get(..len));
        to.ok_or_else(bug)?.copy_from_slice(from.ok_or_else(bug)?);
        Ok(len)
    }

    fn direct(&self) -> io::Result<&File> {
        self.direct.as_ref().ok_or_else(bug)
    }

    fn bounce(&mut self) -> &mut [u8] {
        let new = || Box::new(BounceBuffer(Aligned::new(BOUNCE)));
        self.bounce.get_or_insert_with(new).0.bytes_mut()
    }

    /// Drops clean pages, so that the next read comes from the medium.
    fn forget_cache(&self) -> io::Result<()> {
        rustix::fs::fadvise(&self.cached, 0, None, Advice::DontNeed).map_err(io::Error::from)
    }
}

fn bug() -> io::Error {
    io::Error::other("a buffer of the wrong size")
}

/// Tells a partition that all in it is given up. One that cannot be told keeps what it has.
fn discard(device: &File) -> io::Result<()> {
    let len = rustix::fs::seek(device, rustix::fs::SeekFrom::End(0))?;
    match abi::discard(device, 0, len) {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        done => done,
    }
}

fn kind_of(file: &File) -> io::Result<Kind> {
    if file.metadata()?.file_type().is_block_device() {
        return Ok(Kind::Device(rustix::fs::ioctl_blksszget(file)?));
    }
    Ok(Kind::File)
}

/// Makes sure that a file has `size` bytes, or those it has already where it is
/// larger, and room for all of them.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    let len = file.metadata()?.len();
    let size = size.max(len);
    if size == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) if len < size => file.set_len(size),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
    }

    /// Writes `len` bytes in chunks of `chunk` and reads them back at odd places.
    fn check(extent: Extent, len: usize, chunk: usize, direct: bool) {
        let dir = tempfile::tempdir().unwrap();
        let mut medium = Medium::new(&dir.path().join("medium"), 1 << 20, extent);
        medium.prepare().unwrap();
        if !direct {
            medium.opened().unwrap().direct = None;
        }
        let image = pattern(len);
        for (index, piece) in image.chunks(chunk).enumerate() {
            medium.write((index * chunk) as u64, piece).unwrap();
        }
        medium.flush().unwrap();
        for (at, n) in [(0, len), (1, len - 1), (4095, 2), (len - 1, 1), (len / 2, 70_000)] {
            let n = n.min(len - at);
            let mut back = vec![0xee; n];
            medium.read_back(at as u64, &mut back).unwrap();
            assert!(back == image[at..at + n], "{len} by {chunk}: {n} bytes at {at}");
        }
        let end = if extent == Extent::Fixed { 1 << 20 } else { len as u64 };
        assert_eq!(std::fs::metadata(medium.path()).unwrap().len(), end);
        assert!(medium.read_back(end, &mut [0]).is_err());
    }

    #[test]
    fn what_was_written_is_read_back() {
        for direct in [true, false] {
            for extent in [Extent::Fixed, Extent::Written] {
                check(extent, 300_001, 64 << 10, direct);
                check(extent, 1 << 20, 256 << 10, direct);
                check(extent, 5000, 4096, direct);
            }
        }
    }

    /// Whatever ends a piece of work leaves the medium locked.
    #[test]
    fn it_is_unlocked_only_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let class: &'static Path = Box::leak(dir.path().join("class").into_boxed_path());
        let switch = class.join("mmcblk0boot1/force_ro");
        std::fs::create_dir_all(switch.parent().unwrap()).unwrap();
        std::fs::write(&switch, "1\n").unwrap();
        let lock = || std::fs::read_to_string(&switch).unwrap().trim().to_owned();
        let mut medium = Medium::new(&dir.path().join("mmcblk0boot1"), 1 << 20, Extent::Fixed);
        medium.class = class;
        medium.prepare().unwrap();
        assert_eq!(lock(), "1", "nothing may come for hours");
        medium.write(0, &pattern(4096)).unwrap();
        assert_eq!(lock(), "0");
        medium.flush().unwrap();
        assert_eq!(lock(), "1");
        medium.write(4096, &pattern(4096)).unwrap();
        medium.read_back(0, &mut [0; 16]).unwrap();
        assert_eq!(lock(), "1");
        medium.write(4096, &pattern(4096)).unwrap();
        assert_eq!(lock(), "0");
        assert!(medium.write(1 << 63, &pattern(4096)).is_err());
        assert_eq!(lock(), "1", "a write that fails is the last one");
        medium.write(4096, &pattern(4096)).unwrap();
        drop(medium);
        assert_eq!(lock(), "1");
    }

    #[test]
    fn a_larger_file_keeps_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, pattern(50_000)).unwrap();
        let mut medium = Medium::new(&path, 10_000, Extent::Fixed);
        assert_eq!(medium.geometry().unwrap().size, 50_000);
        medium.prepare().unwrap();
        medium.write(0, &pattern(4096)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 50_000);
        assert_eq!(medium.geometry().unwrap(), Geometry { size: 50_000, block: 4096 });
    }

    #[test]
    fn a_file_that_is_there_needs_no_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::File::create(&path).unwrap().set_len(100_000).unwrap();
        let mut medium = Medium::new(&path, 0, Extent::Fixed);
        medium.prepare().unwrap();
        medium.write(0, &pattern(4096)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
    }

    #[test]
    fn a_missing_device_does_not_become_a_file() {
        for path in ["/dev/there-is-no-such-disk", "PARTLABEL=there is no such label"] {
            let mut medium = Medium::new(Path::new(path), 1 << 20, Extent::Fixed);
            assert_eq!(medium.geometry().unwrap_err().kind(), io::ErrorKind::NotFound);
            assert_eq!(medium.prepare().unwrap_err().kind(), io::ErrorKind::NotFound);
            assert!(!Path::new(path).exists());
        }
    }
}
