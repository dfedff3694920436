//! The recorder as a file system that programs can use, by FUSE.
//!
//! Deliberately absent: a page cache. What a program writes arrives at once and in
//! its order, as it does with `O_DIRECT`; what a power cut makes of it is decided
//! later.

use super::record::{Recorder, Recording};
use super::tree::{Change, Ino, Node};
use anyhow::{Context, Result, ensure};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::FileType as Kind;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The system remembers nothing: every question is asked.
const NEVER: Duration = Duration::ZERO;
/// Where the system offers FUSE.
const DEVICE: &str = "/dev/fuse";

/// A recorder that is mounted. Unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    recorder: Arc<Mutex<Recorder>>,
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts an empty recorder at the folder `at`.
    ///
    /// # Errors
    /// The system has no FUSE, or does not let this user mount; the text says which.
    pub fn at(at: &Path) -> Result<Self> {
        ensure!(Path::new(DEVICE).exists(), "{DEVICE} is missing: load the kernel module `fuse`");
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("refit-cuts".into())];
        let session = fuser::spawn_mount(Storage(Arc::clone(&recorder)), at, &config);
        let session =
            session.with_context(|| format!("this user cannot mount with {DEVICE}; root can"))?;
        // Asked once, or the system takes it for another user's folder.
        std::fs::metadata(at).context("the mounted file system does not answer")?;
        Ok(Self { recorder, _session: session })
    }

    /// All that is there counts as durable; what is asked from now on is written down.
    pub fn begin(&self) {
        lock(&self.recorder).begin();
    }

    /// What was written down.
    pub fn recording(&self) -> Recording {
        lock(&self.recorder).recording()
    }
}

fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The recorder, as the system asks it.
struct Storage(Arc<Mutex<Recorder>>);

/// The system counts from 1.
fn ino(number: INodeNo) -> Ino {
    Ino(usize::try_from(number.0).unwrap_or(0).saturating_sub(1))
}

fn number(ino: Ino) -> INodeNo {
    INodeNo(u64::try_from(ino.0).unwrap_or(u64::MAX).saturating_add(1))
}

fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn offset(bytes: u64) -> Result<usize, Errno> {
    usize::try_from(bytes).map_err(|_| Errno::EFBIG)
}

impl Storage {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        lock(&self.0)
    }

    fn attributes(&self, ino: Ino) -> Result<FileAttr, Errno> {
        let recorder = self.recorder();
        let (kind, perm, size) = match recorder.tree().node(ino).ok_or(Errno::ENOENT)? {
            Node::File(bytes) => (FileType::RegularFile, 0o644, bytes.len()),
            Node::Folder(_) => (FileType::Directory, 0o755, 0),
            Node::Socket => (FileType::Socket, 0o755, 0),
        };
        let size = u64::try_from(size).map_err(|_| Errno::EFBIG)?;
        let time = SystemTime::UNIX_EPOCH;
        Ok(FileAttr {
            ino: number(ino),
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn named(&self, folder: INodeNo, name: &OsStr) -> Result<Ino, Errno> {
        self.recorder().tree().named(ino(folder), text(name)?).ok_or(Errno::ENOENT)
    }

    fn make(&self, folder: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        let made = self.recorder().make(ino(folder), text(name)?, node);
        self.attributes(made)
    }

    fn change(&self, change: Change) {
        self.recorder().change(change);
    }

    fn resize(&self, file: Ino, len: u64) -> Result<(), Errno> {
        let len = offset(len)?;
        let recorder = self.recorder();
        let now = recorder.tree().node(file);
        if matches!(now, Some(Node::File(bytes)) if bytes.len() == len) {
            return Ok(());
        }
        drop(recorder);
        self.change(Change::Length { file, len });
        Ok(())
    }

    /// A file never becomes shorter by this.
    fn reserve(&self, file: Ino, len: u64, mode: i32) -> Result<(), Errno> {
        if mode != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let now = self.attributes(file)?.size;
        self.resize(file, len.max(now))
    }

    fn read(&self, file: Ino, at: u64, len: u32) -> Result<Vec<u8>, Errno> {
        let (at, len) = (offset(at)?, offset(len.into())?);
        let recorder = self.recorder();
        let Some(Node::File(bytes)) = recorder.tree().node(file) else {
            return Err(Errno::EISDIR);
        };
        let rest = bytes.get(at..).unwrap_or_default();
        Ok(rest.get(..len.min(rest.len())).unwrap_or_default().to_vec())
    }

    fn rename(&self, folder: INodeNo, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
        let moved = self.named(folder, from)?;
        let set = vec![(text(from)?.into(), None), (text(to)?.into(), Some(moved))];
        self.change(Change::Names { folder: ino(folder), set });
        Ok(())
    }

    fn remove(&self, folder: INodeNo, name: &OsStr) -> Result<(), Errno> {
        self.named(folder, name)?;
        self.change(Change::Names { folder: ino(folder), set: vec![(text(name)?.into(), None)] });
        Ok(())
    }
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(found) => reply.entry(&NEVER, &found, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn done(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Storage {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.named(parent, name).and_then(|found| self.attributes(found)));
    }

    fn getattr(&self, _: &Request, file: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino(file)) {
            Ok(found) => reply.attr(&NEVER, &found),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        file: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |size| self.resize(ino(file), size));
        match resized.and_then(|()| self.attributes(ino(file))) {
            Ok(found) => reply.attr(&NEVER, &found),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let node = match Kind::from_raw_mode(mode) {
            Kind::RegularFile => Node::File(Vec::new()),
            Kind::Socket => Node::Socket,
            _ => return reply.error(Errno::EPERM),
        };
        entry(reply, self.make(parent, name, node));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.make(parent, name, Node::Folder(BTreeMap::new())));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if parent != newparent {
            return reply.error(Errno::EXDEV);
        }
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        done(reply, Self::rename(self, parent, name, newname));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let direct = FopenFlags::FOPEN_DIRECT_IO;
        match self.make(parent, name, Node::File(Vec::new())) {
            Ok(made) => reply.created(&NEVER, &made, Generation(0), FileHandle(0), direct),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match Self::read(self, ino(file), at, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (Ok(at), Ok(len)) = (offset(at), u32::try_from(bytes.len())) else {
            return reply.error(Errno::EFBIG);
        };
        self.change(Change::Write { file: ino(file), at, bytes: bytes.to_vec() });
        reply.written(len);
    }

    fn fsync(&self, _: &Request, file: INodeNo, _: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.recorder().flush(ino(file));
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, folder: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.recorder().flush(ino(folder));
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        at: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        done(reply, self.reserve(ino(file), at.saturating_add(length), mode));
    }
}
