//! Packages as files: written under another name until they are examined.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use types::{Digest, Name};

/// The folder of packages.
#[derive(Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
    open: Mutex<HashMap<Digest, Arc<File>>>,
}

/// A file that is removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Upload {
    path: PathBuf,
    /// The file, open for writing and reading.
    pub(crate) file: File,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Kept uploads were renamed; for the others the next start cleans up at last.
        let _gone_already = fs::remove_file(&self.path);
    }
}

impl Blobs {
    /// The blobs in `folder`; removes what uploads left there that never ended.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "upload") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { folder, open: Mutex::default() })
    }

    /// An empty file for an upload.
    pub(crate) fn upload(&self, name: &Name) -> io::Result<Upload> {
        let path = self.folder.join(format!("{name}.upload"));
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Upload { file: options.open(&path)?, path })
    }

    /// Keeps an upload as the package with this digest. The same package twice is
    /// one file.
    pub(crate) fn keep(&self, upload: &Upload, package: Digest) -> io::Result<()> {
        upload.file.sync_all()?;
        fs::rename(&upload.path, self.path(package))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes a package that was kept but not published.
    pub(crate) fn remove(&self, package: Digest) {
        let _gone_already = fs::remove_file(self.path(package));
    }

    /// The file of a package, opened once and shared.
    pub(crate) fn get(&self, package: Digest) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&package) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.path(package))?);
        open.insert(package, Arc::clone(&file));
        Ok(file)
    }

    fn path(&self, package: Digest) -> PathBuf {
        self.folder.join(format!("{package}.zip"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn names(blobs: &Blobs) -> Vec<String> {
        let entries = fs::read_dir(&blobs.folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn only_what_is_kept_stays() {
        let place = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(place.path().into()).unwrap();
        let name: Name = "u1".parse().unwrap();
        drop(blobs.upload(&name).unwrap());
        assert_eq!(names(&blobs), Vec::<String>::new());
        let mut upload = blobs.upload(&name).unwrap();
        upload.file.write_all(b"bytes").unwrap();
        blobs.keep(&upload, Digest::of(b"bytes")).unwrap();
        drop(upload);
        assert_eq!(names(&blobs), [format!("{}.zip", Digest::of(b"bytes"))]);
        assert_eq!(blobs.get(Digest::of(b"bytes")).unwrap().metadata().unwrap().len(), 5);
    }

    #[test]
    fn a_start_removes_what_a_kill_left() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("u1.upload"), b"half").unwrap();
        let blobs = Blobs::open(place.path().into()).unwrap();
        assert_eq!(names(&blobs), Vec::<String>::new());
    }
}
