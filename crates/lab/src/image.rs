//! Real file-system images, made of this machine's own files without mounting
//! anything.

use crate::entry::{Entry, SIZE};
use crate::process::{said, system};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use types::Digest;

/// Where files are taken from.
const FROM: [&str; 3] = ["/usr/share", "/usr/lib", "/usr/bin"];
/// The largest file that is taken.
const FILE_MAX: u64 = 4 << 20;
/// Parts of an image, in percent, that hold files; the rest stays free, as on a
/// terminal.
const FILLED: u64 = 85;
/// One in so many files is another one in the next release.
const CHANGED: usize = 12;

/// Files of this machine to make images of.
#[derive(Debug)]
pub struct Files(Vec<(PathBuf, u64)>);

impl Files {
    /// Finds files of at least `wanted` bytes together, always the same on the same
    /// machine.
    ///
    /// # Errors
    /// The machine has not that many.
    pub fn find(wanted: u64) -> Result<Self> {
        let mut found = Vec::new();
        let mut total = 0;
        for root in FROM {
            let mut open = vec![PathBuf::from(root)];
            while let Some(at) = open.pop() {
                if total >= wanted {
                    return Ok(Self(found));
                }
                look(&at, &mut open, &mut found, &mut total);
            }
        }
        ensure!(total >= wanted, "this machine has only {total} bytes of files to make images of");
        Ok(Self(found))
    }

    /// The files of release `number`, at most `room` bytes: most are those of the
    /// release before.
    fn of_release(&self, number: usize, room: u64) -> Vec<&Path> {
        let mut left = room;
        let mut chosen = Vec::new();
        for (index, (path, size)) in self.0.iter().enumerate() {
            // Which generation of releases this file is in.
            let generation = index % CHANGED;
            let blocks = size.div_ceil(4096) * 4096;
            if generation != number % CHANGED && blocks <= left {
                left -= blocks;
                chosen.push(path.as_path());
            }
        }
        chosen
    }
}

fn look(at: &Path, open: &mut Vec<PathBuf>, found: &mut Vec<(PathBuf, u64)>, total: &mut u64) {
    // What cannot be read is left out: there is enough else.
    let Ok(kind) = at.symlink_metadata() else { return };
    if kind.is_dir() {
        let Ok(inside) = fs::read_dir(at) else { return };
        let mut inside: Vec<PathBuf> = inside.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        open.extend(inside);
    } else if kind.is_file() && (1..=FILE_MAX).contains(&kind.len()) && File::open(at).is_ok() {
        *total += kind.len();
        found.push((at.into(), kind.len()));
    }
}

/// Bytes that [`Files::find`] should be asked for, for images of `size` bytes.
pub fn files_for(size: u64) -> u64 {
    size * FILLED / 100 * (CHANGED as u64) / (CHANGED as u64 - 1)
}

/// Makes an ext4 image of `size` bytes of release `number` in `path`, with a boot
/// record in its last block.
///
/// # Errors
/// A program is missing or fails, or the storage is full.
pub fn make(files: &Files, number: usize, entry: &Entry, size: u64, path: &Path) -> Result<()> {
    let tree = tempfile::tempdir_in(path.parent().unwrap_or(Path::new(".")))?;
    fill(tree.path(), &files.of_release(number, size * FILLED / 100), entry)?;
    let room = size.saturating_sub(SIZE as u64);
    let mut mkfs = system("mkfs.ext4", "e2fsprogs")?;
    mkfs.args(["-q", "-F", "-b", "4096", "-m", "0", "-L", "refit", "-O", "^has_journal"]);
    mkfs.args(["-E", "lazy_itable_init=0,nodiscard", "-d"]);
    said(mkfs.arg(tree.path()).arg(path).arg(format!("{}k", room >> 10)))?;
    finish(path, size, entry)
}

/// Makes an image for slots of `size` bytes of the user's own file `from`: padded,
/// with a boot record in its last block.
///
/// # Errors
/// The file cannot be read, or the storage is full.
pub fn adopt(from: &Path, entry: &Entry, size: u64, path: &Path) -> Result<()> {
    fs::copy(from, path).with_context(|| format!("cannot copy {}", from.display()))?;
    finish(path, size, entry)
}

/// Bytes of a slot for the user's own image in `from`.
///
/// # Errors
/// It cannot be read.
pub fn slot_size(from: &Path) -> Result<u64> {
    let len = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?.len();
    Ok((len + SIZE as u64).next_multiple_of(1 << 20))
}

fn finish(path: &Path, size: u64, entry: &Entry) -> Result<()> {
    File::options().write(true).open(path)?.set_len(size)?;
    entry.write(path)
}

/// Makes a damaged copy of the image in `from`: its record is whole, but what it
/// loads is not what the record says.
///
/// # Errors
/// The storage is full.
pub fn make_unbootable(from: &Path, path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt;
    fs::copy(from, path)?;
    let file = File::options().read(true).write(true).open(path)?;
    // Near the start: a user's image may be much smaller than its slot.
    let at = (file.metadata()?.len() / 8).min(1 << 20);
    let mut bytes = vec![0; 64 << 10];
    file.read_exact_at(&mut bytes, at)?;
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    Ok(file.write_all_at(&bytes, at)?)
}

/// Copies `files` below `tree`, with a note of the release.
fn fill(tree: &Path, files: &[&Path], entry: &Entry) -> Result<()> {
    for file in files {
        let to = tree.join(file.strip_prefix("/").unwrap_or(file));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    fs::create_dir_all(tree.join("etc"))?;
    let note = format!("NAME=\"Refit lab\"\nVERSION=\"{}\"\n", entry.version);
    fs::write(tree.join("etc/os-release"), note).context("cannot write the release's note")
}

/// SHA-256 of the first `size` bytes of the file in `path`.
///
/// # Errors
/// It cannot be read, or is shorter.
pub fn digest_of_first(path: &Path, size: u64) -> Result<Digest> {
    use std::io::Read;
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(file.metadata()?.len() >= size, "{} is shorter than {size} bytes", path.display());
    crate::entry::digest_of(&mut file.take(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Start;

    #[test]
    fn an_image_is_a_file_system_that_boots_until_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let size = 16 << 20;
        let files = Files::find(files_for(size)).unwrap();
        let entry = Entry { version: "1.0.0".into(), start: Start::Agent };
        let (old, new, bad) =
            (dir.path().join("old"), dir.path().join("new"), dir.path().join("bad"));
        make(&files, 1, &entry, size, &old).unwrap();
        make(&files, 2, &entry, size, &new).unwrap();
        make_unbootable(&new, &bad).unwrap();
        said(system("e2fsck", "e2fsprogs").unwrap().arg("-fn").arg(&old)).unwrap();
        assert_eq!(fs::metadata(&old).unwrap().len(), size);
        assert_eq!(Entry::read(&old).unwrap(), entry);
        assert!(Entry::read(&bad).is_err());
        let digest = |path: &Path| digest_of_first(path, size).unwrap();
        assert_ne!(digest(&old), digest(&new));
        assert_ne!(digest(&new), digest(&bad));
        assert!(digest_of_first(&old, size + 1).is_err());
    }

    #[test]
    fn a_file_of_the_user_becomes_an_image() {
        let dir = tempfile::tempdir().unwrap();
        let (from, path) = (dir.path().join("from"), dir.path().join("image"));
        fs::write(&from, vec![9; 3 << 20]).unwrap();
        let entry = Entry { version: "1.0.0".into(), start: Start::Hang };
        let size = slot_size(&from).unwrap();
        adopt(&from, &entry, size, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 4 << 20);
        assert_eq!(Entry::read(&path).unwrap(), entry);
    }
}
