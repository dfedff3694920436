//! The file in which a package is kept before the only system is given up for it.

use super::files;
use crate::edges::Stage;
use rustix::fs::Advice;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file on a partition that system and recovery both see.
#[derive(Debug)]
pub struct StageFile {
    path: PathBuf,
    locator: String,
    open: Option<File>,
}

impl StageFile {
    /// The file at `path`, which is made when it is needed.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), locator: path.to_string_lossy().into(), open: None }
    }

    fn file(&mut self) -> io::Result<&File> {
        let file = match self.open.take() {
            Some(file) => file,
            None => File::options().read(true).write(true).open(&self.path)?,
        };
        Ok(self.open.insert(file))
    }
}

impl Stage for StageFile {
    fn room(&self) -> io::Result<u64> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let free = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
        let held = match std::fs::metadata(&self.path) {
            Ok(file) => file.blocks().saturating_mul(512),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
        Ok(free.f_bavail.saturating_mul(free.f_frsize).saturating_add(held))
    }

    fn prepare(&mut self) -> io::Result<()> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        self.open = Some(options.open(&self.path)?);
        files::sync_directory_of(&self.path)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all_at(bytes, at)
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = self.file()?;
        file.sync_all()?;
        // What is read from now on comes from the medium.
        rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(io::Error::from)
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file()?.read_exact_at(into, at)
    }

    fn locator(&self) -> &str {
        &self.locator
    }

    fn remove(&mut self) -> io::Result<()> {
        self.open = None;
        files::remove(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::conformance;

    #[test]
    fn a_file_is_a_stage() {
        let folder = tempfile::tempdir().unwrap();
        conformance::place_for_a_package(&mut StageFile::new(&folder.path().join("staged.zip")));
    }

    #[test]
    fn what_it_holds_already_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = StageFile::new(&folder.path().join("staged.zip"));
        let before = stage.room().unwrap();
        stage.prepare().unwrap();
        stage.write(0, &vec![1; 4 << 20]).unwrap();
        stage.flush().unwrap();
        let held = std::fs::metadata(folder.path().join("staged.zip")).unwrap();
        assert!(held.blocks() >= (4 << 20) / 512);
        // Others use the same file system meanwhile, but not in this file.
        assert!(stage.room().unwrap() >= 4 << 20);
        assert!(before > 0);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_room() {
        assert!(StageFile::new(Path::new("/there/is/no/such/folder")).room().is_err());
    }
}
