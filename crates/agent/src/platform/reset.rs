//! Factory reset: marked first, performed at the agent's next start, and the mark is
//! removed last, so that a cut in between only makes it begin again.
//!
//! Deliberately kept: what updates depend on. The journal, the rollback floors, the
//! inventory, the root of trust, the terminal's credential and its reports are no
//! settings of an owner.

use super::configuration::Folders;
use crate::edges::Store;
use std::io;
use std::path::{Path, PathBuf};

/// The document that is the mark.
const MARK: &str = "factory-reset";
/// Documents with what an owner decided or did.
const OWNERS: [&str; 6] = ["switches", "asked", "urgency", "log", "local-order", "media"];

/// Marks the terminal: it is reset at the agent's next start.
///
/// # Errors
/// The mark cannot be written; nothing changes.
pub fn mark(store: &mut dyn Store) -> io::Result<()> {
    store.replace(MARK, b"1")
}

/// Whether the terminal is marked.
///
/// # Errors
/// The store cannot be read.
pub fn is_marked(store: &dyn Store) -> io::Result<bool> {
    Ok(store.read(MARK)?.is_some())
}

/// What a reset does besides.
#[derive(Debug)]
pub struct Reset {
    /// The configuration that is carried over.
    pub configuration: Folders,
    /// What the configuration is filled with.
    pub factory: Option<PathBuf>,
    /// Folders that are emptied.
    pub empty: Vec<PathBuf>,
}

impl Reset {
    /// Resets the terminal and removes the mark. Doing it again gives the same.
    ///
    /// # Errors
    /// Something could not be reset; the mark stands.
    pub fn perform(&self, store: &mut dyn Store) -> io::Result<()> {
        self.configuration.reset(self.factory.as_deref())?;
        self.empty.iter().try_for_each(|folder| empty(folder))?;
        OWNERS.iter().try_for_each(|name| store.remove(name))?;
        store.remove(MARK)
    }
}

/// Removes what is in `folder`; a folder that is missing is empty. Links are removed,
/// not followed.
fn empty(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    std::fs::File::open(folder)?.sync_all()
}
