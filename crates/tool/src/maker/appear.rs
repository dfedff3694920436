//! Files that appear whole or not at all.

use anyhow::{Context, ensure};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Whether what is made goes to the program's own output: bytes then, and nothing else.
fn is_output(output: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].map(Path::new).contains(&output)
}

/// Says something about what went to `output`: to where errors go if that is the program's
/// own output.
pub(crate) fn say(output: &Path, text: &str) {
    if is_output(output) {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
}

/// Lets `fill` write a file beside `output`, flushes it, and lets it appear at once:
/// nobody ever sees half of it. A link stays one: what it leads to is replaced. A device
/// or pipe stays one, too, and is written once everything is complete; so is the program's
/// own output, whatever that leads to.
///
/// # Errors
/// The folder cannot be written, or `fill` failed; nothing is left behind then. A
/// device has no room for it, which is said before it is written.
pub(crate) fn appear<T>(
    output: &Path,
    fill: impl FnOnce(&mut File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let cannot = || format!("cannot write {}", output.display());
    if is_output(output) {
        let mut whole = tempfile::tempfile().with_context(cannot)?;
        let filled = fill(&mut whole).with_context(cannot)?;
        pass(whole).with_context(cannot)?;
        return Ok(filled);
    }
    let (place, special) = place(output).with_context(cannot)?;
    if special {
        let mut whole = tempfile::tempfile().with_context(cannot)?;
        let filled = fill(&mut whole).with_context(cannot)?;
        copy(whole, &place).with_context(cannot)?;
        return Ok(filled);
    }
    let folder = folder_of(&place);
    let mut temporary = tempfile::Builder::new()
        .prefix(".refit-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(cannot)?;
    let filled = fill(temporary.as_file_mut()).with_context(cannot)?;
    temporary.as_file().sync_all().with_context(cannot)?;
    temporary.persist(&place).with_context(cannot)?;
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.with_context(cannot)?;
    Ok(filled)
}

/// Where links lead to, and whether something is there that no file may take the place of.
fn place(output: &Path) -> anyhow::Result<(PathBuf, bool)> {
    let Ok(facts) = fs::metadata(output) else { return Ok((output.into(), false)) };
    ensure!(!facts.is_dir(), "it is a folder: name a file in it");
    Ok((fs::canonicalize(output)?, !facts.is_file()))
}

/// Copies what is complete to the program's own output.
fn pass(mut whole: File) -> anyhow::Result<()> {
    whole.rewind()?;
    let mut output = io::stdout().lock();
    io::copy(&mut whole, &mut output)?;
    Ok(output.flush()?)
}

/// Copies what is complete to a device or a pipe.
fn copy(mut whole: File, device: &Path) -> anyhow::Result<()> {
    let size = whole.seek(SeekFrom::End(0))?;
    whole.rewind()?;
    let mut to = OpenOptions::new().write(true).open(device)?;
    let block = to.metadata()?.file_type().is_block_device();
    if block {
        let room = to.seek(SeekFrom::End(0))?;
        ensure!(size <= room, "it has {room} bytes, and {size} are needed");
        to.rewind()?;
    }
    std::io::copy(&mut whole, &mut to)?;
    if block {
        to.sync_all()?;
    }
    Ok(())
}

/// The folder that `file` is in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;

    fn write(output: &Path) -> anyhow::Result<()> {
        appear(output, |file| Ok(file.write_all(b"new")?))
    }

    #[test]
    fn what_a_link_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old, and longer").unwrap();
        symlink("file", &link).unwrap();
        write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let told = write(folder.path()).unwrap_err();
        assert!(format!("{told:#}").contains("name a file in it"), "{told:#}");
    }

    #[test]
    fn a_pipe_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut read = String::new();
                File::open(pipe).unwrap().read_to_string(&mut read).unwrap();
                read
            }
        });
        write(&pipe).unwrap();
        assert_eq!(reader.join().unwrap(), "new");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_file_that_fails_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "old").unwrap();
        let failed = appear(&file, |new| -> anyhow::Result<()> {
            new.write_all(b"half")?;
            anyhow::bail!("no more")
        });
        assert!(format!("{:#}", failed.unwrap_err()).ends_with("no more"));
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
