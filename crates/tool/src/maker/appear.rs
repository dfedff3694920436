//! Files that appear whole or not at all.

use anyhow::Context;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Lets `fill` write a file beside `output`, flushes it, and lets it appear at once:
/// nobody ever sees half of it.
///
/// # Errors
/// The folder cannot be written, or `fill` failed; nothing is left behind then.
pub(crate) fn appear<T>(
    output: &Path,
    fill: impl FnOnce(&mut File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = folder_of(output);
    let cannot = || format!("cannot write {}", output.display());
    let mut temporary = tempfile::Builder::new()
        .prefix(".refit-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(cannot)?;
    let filled = fill(temporary.as_file_mut()).with_context(cannot)?;
    temporary.as_file().sync_all().with_context(cannot)?;
    temporary.persist(output).with_context(cannot)?;
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.with_context(cannot)?;
    Ok(filled)
}

/// The folder that `file` is in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
