//! Named partitions: their bytes into a file that says what it holds, and back.
//!
//! The file begins with one line of JSON: whose bytes follow, how many, and their
//! SHA-256. Nothing is written back before all of it was read and matched. Of raw flash,
//! what its good blocks hold is kept, without the blank bytes at its end.

use super::mtd::{self, Access, Stream};
use super::{files, partition};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use types::{DeviceId, Digest, Hasher, Name, tree};

/// The longest first line, in bytes.
const HEAD_MAX: u64 = 1024;
/// Bytes that are copied at once.
const PIECE: usize = 128 << 10;
/// The version of the form.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The form's version.
    refit_backup: u32,
    /// Of which terminal.
    pub device: DeviceId,
    /// Which partition.
    pub partition: Name,
    /// Bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Digest,
}

/// Writes the bytes of the partition at `place` to `to`, which is replaced when all of
/// it is durable.
///
/// # Errors
/// One of both cannot be used, or the partition changed meanwhile. A device or pipe is
/// none to be replaced.
pub fn backup(device: &DeviceId, name: &Name, place: &Path, to: &Path) -> io::Result<Head> {
    if to.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("a backup goes to a file, and that is none"));
    }
    let place = &partition::locate(place)?;
    let (size, sha256) = digest(bytes_of(place)?, &mut io::sink())?;
    let (device, partition) = (device.clone(), name.clone());
    let head = Head { refit_backup: FORMAT, device, partition, size, sha256 };
    let mut beside = to.to_path_buf().into_os_string();
    beside.push(".new");
    let beside = Path::new(&beside);
    let written = write(&head, place, beside);
    if let Err(e) = written.and_then(|()| std::fs::rename(beside, to)) {
        drop(std::fs::remove_file(beside));
        return Err(e);
    }
    files::sync_directory_of(to)?;
    Ok(head)
}

fn write(head: &Head, place: &Path, beside: &Path) -> io::Result<()> {
    let mut out = File::create(beside)?;
    let mut line = serde_json::to_vec(head).map_err(io::Error::other)?;
    line.push(b'\n');
    out.write_all(&line)?;
    if digest(bytes_of(place)?, &mut out)? != (head.size, head.sha256) {
        return Err(io::Error::other("the partition changed while it was read"));
    }
    out.sync_all()
}

/// What a partition holds.
fn bytes_of(place: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match mtd::open(place, Access::Read)? {
        Some(blocks) => Box::new(Stream::reading(blocks)?),
        None => Box::new(File::open(place)?),
    })
}

/// Writes a backup of `name` back to `place`, and reads it again.
///
/// # Errors
/// It is no sound backup of this partition and terminal, it does not fit, or the
/// partition cannot be written; before the first byte is written, or while that goes on.
pub fn restore(device: &DeviceId, name: &Name, place: &Path, from: &Path) -> io::Result<Head> {
    let (head, mut bytes) = open(from)?;
    if head.partition != *name || head.device != *device {
        let whose = format!("it is of `{}` of {}", head.partition, head.device);
        return Err(io::Error::other(whose));
    }
    let at = bytes.stream_position()?;
    if digest(&mut bytes, &mut io::sink())? != (head.size, head.sha256) {
        return Err(io::Error::other("it is damaged: its digest is another one"));
    }
    bytes.seek(SeekFrom::Start(at))?;
    let place = partition::locate(place)?;
    let found = match mtd::open(&place, Access::Write)? {
        Some(blocks) => {
            let mut to = Stream::writing(blocks, head.size)?;
            copy(&head, &mut bytes, &mut to)?;
            digest(to.written()?, &mut io::sink())?
        }
        None => restore_plain(&head, &mut bytes, &place)?,
    };
    if found != (head.size, head.sha256) {
        return Err(io::Error::other("the partition does not hold what was written to it"));
    }
    Ok(head)
}

/// Each time all of it is matched: the file may be on a card that is pulled.
fn copy(head: &Head, bytes: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    if digest(bytes, to)? != (head.size, head.sha256) {
        return Err(io::Error::other("it changed while it was read; restore it again"));
    }
    Ok(())
}

/// Writes a partition that is no flash; what it holds then.
fn restore_plain(head: &Head, bytes: &mut impl Read, place: &Path) -> io::Result<(u64, Digest)> {
    let mut to = File::options().read(true).write(true).open(place)?;
    if to.seek(SeekFrom::End(0))? != head.size {
        return Err(io::Error::other("the partition has another size"));
    }
    to.rewind()?;
    copy(head, bytes, &mut to)?;
    to.sync_all()?;
    rustix::fs::fadvise(&to, 0, None, rustix::fs::Advice::DontNeed)?;
    to.rewind()?;
    digest(&mut to, &mut io::sink())
}

/// The first line, and the bytes behind it.
fn open(from: &Path) -> io::Result<(Head, BufReader<File>)> {
    let mut bytes = BufReader::new(File::open(from)?);
    let mut line = Vec::new();
    (&mut bytes).take(HEAD_MAX).read_until(b'\n', &mut line)?;
    let head: Head = tree::from_json(&line).map_err(|_| io::Error::other("it is no backup"))?;
    if head.refit_backup != FORMAT {
        return Err(io::Error::other("it is a backup of another form"));
    }
    Ok((head, bytes))
}

/// Copies everything; how many bytes there were, and their digest.
fn digest(mut from: impl Read, to: &mut impl Write) -> io::Result<(u64, Digest)> {
    let (mut piece, mut hasher, mut size) = (vec![0; PIECE], Hasher::default(), 0);
    loop {
        let len = match from.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(bytes) = piece.get(..len).filter(|bytes| !bytes.is_empty()) else {
            return Ok((size, hasher.finish()));
        };
        hasher.update(bytes);
        to.write_all(bytes)?;
        size += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_partition_comes_back_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(path("part"), &bytes).unwrap();
        let (device, part) = (name("router-7"), name("calibration"));
        let head = backup(&device, &part, &path("part"), &path("file")).unwrap();
        assert_eq!((head.size, head.sha256), (300_000, Digest::of(&bytes)));
        assert!(!path("file.new").exists());
        assert!(backup(&device, &part, &path("part"), Path::new("/dev/null")).is_err());
        std::fs::write(path("part"), vec![0; 300_000]).unwrap();
        let again = |device: &str, part: &str, file: &str| {
            restore(&name(device), &name(part), &path("part"), &path(file))
        };
        let zeros = || std::fs::read(path("part")).unwrap().iter().all(|byte| *byte == 0);
        let good = std::fs::read(path("file")).unwrap();
        for damage in [0, 20, good.len() - 1, good.len() / 2] {
            let mut bad = good.clone();
            bad[damage] ^= 1;
            std::fs::write(path("bad"), bad).unwrap();
            assert!(again("router-7", "calibration", "bad").is_err(), "byte {damage}");
        }
        std::fs::write(path("bad"), &good[..good.len() - 1]).unwrap();
        assert!(again("router-7", "calibration", "bad").is_err());
        assert!(again("router-8", "calibration", "file").is_err());
        assert!(again("router-7", "serial", "file").is_err());
        assert!(zeros(), "nothing was written");
        assert_eq!(again("router-7", "calibration", "file").unwrap(), head);
        assert!(std::fs::read(path("part")).unwrap() == bytes);
        std::fs::write(path("part"), b"small").unwrap();
        assert!(again("router-7", "calibration", "file").is_err());
        assert_eq!(std::fs::read(path("part")).unwrap(), b"small");
    }
}
