//! Published packages, and apart from them deltas: in a folder, or in a bucket of an S3-compatible store.
//!
//! A package arrives as a file in the folder under another name and is examined there.
//! In the folder it is kept by a new name; into a bucket it is copied. Its name is its
//! digest, so the same package twice is one, whoever keeps it. Deliberately absent: any
//! listing. What is published says the store.

mod address;
#[cfg(feature = "s3")]
mod bucket;

pub(crate) use address::{Access, Place};

use bytes::Bytes;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use types::{Digest, Name};

/// Bytes of a file that are read at once. Large enough that reading costs little beside
/// TLS, small enough that little is sent to a terminal that has gone.
const PIECE: u64 = 256 << 10;

/// The packages.
#[derive(Debug)]
pub(crate) struct Blobs {
    /// Where uploads arrive, and packages stay that are in no bucket.
    folder: PathBuf,
    /// What the names of files end in.
    extension: &'static str,
    open: Mutex<HashMap<Digest, Arc<File>>>,
    #[cfg(feature = "s3")]
    bucket: Option<bucket::Bucket>,
}

/// A package that can be read from.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    /// An open file.
    File(Arc<File>),
    /// An object in a bucket.
    #[cfg(feature = "s3")]
    Object(bucket::Object),
}

/// A part of a package in a file that others can read.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    at: u64,
    /// A copy that goes with this.
    _copy: Option<Upload>,
}

impl Staged {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the part starts there.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }
}

/// A file that is removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Upload {
    path: PathBuf,
    /// The file, open for writing and reading.
    pub(crate) file: File,
}

impl Upload {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Kept uploads were renamed; for the others the next start cleans up at last.
        let _gone_already = fs::remove_file(&self.path);
    }
}

impl Blobs {
    /// The packages at `place`, with uploads in `folder`; removes what uploads left
    /// there that never ended.
    pub(crate) fn open(folder: PathBuf, place: &Place) -> io::Result<Self> {
        Self::open_as("zip", folder, place)
    }

    /// The deltas beside the packages at `place`.
    pub(crate) fn open_deltas(folder: PathBuf, place: &Place) -> io::Result<Self> {
        Self::open_as("delta", folder, &place.below("deltas"))
    }

    fn open_as(extension: &'static str, folder: PathBuf, place: &Place) -> io::Result<Self> {
        #[cfg(not(feature = "s3"))]
        if matches!(place, Place::Bucket(_)) {
            return Err(io::Error::other("this server was built without its feature s3"));
        }
        let folder = match place {
            Place::Folder(other) => other.clone(),
            Place::Own | Place::Bucket(_) => folder,
        };
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // In a folder of several servers, others' uploads are under way.
            let mine = !matches!(place, Place::Folder(_));
            if mine && path.extension().is_some_and(|extension| extension == "upload") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            folder,
            extension,
            open: Mutex::default(),
            #[cfg(feature = "s3")]
            bucket: place.bucket().map(|at| bucket::Bucket::open(at, extension)).transpose()?,
        })
    }

    /// An empty file for an upload.
    pub(crate) fn upload(&self, name: &Name) -> io::Result<Upload> {
        let path = self.folder.join(format!("{name}.upload"));
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Upload { file: options.open(&path)?, path })
    }

    /// Keeps an upload as the package with this digest.
    pub(crate) async fn keep(&self, upload: &Upload, package: Digest) -> io::Result<()> {
        #[cfg(feature = "s3")]
        if let Some(bucket) = &self.bucket {
            return bucket.keep(&upload.file, package).await;
        }
        upload.file.sync_all()?;
        fs::rename(&upload.path, self.path(package))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes a package that was kept but not published.
    pub(crate) fn remove(&self, package: Digest) {
        #[cfg(feature = "s3")]
        if let Some(bucket) = &self.bucket {
            bucket.remove(package);
            return;
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&package);
        let _gone_already = fs::remove_file(self.path(package));
    }

    /// Has the `size` bytes of a package from `at` on in a file: the package's own, or
    /// a copy under `name`.
    pub(crate) async fn stage(
        &self,
        package: Digest,
        at: u64,
        size: u64,
        name: &Name,
    ) -> io::Result<Staged> {
        let blob = self.get(package)?;
        if matches!(blob, Blob::File(_)) {
            let path = std::path::absolute(self.path(package))?;
            return Ok(Staged { path, at, _copy: None });
        }
        let mut copy = self.upload(name)?;
        let mut done = 0;
        while done < size {
            let len = (size - done).min(blob.piece());
            let piece = blob.clone().read(at + done, len).await?;
            copy.file.write_all(&piece)?;
            done += len;
        }
        Ok(Staged { path: std::path::absolute(&copy.path)?, at: 0, _copy: Some(copy) })
    }

    /// A package, to read from. A file is opened once and shared.
    pub(crate) fn get(&self, package: Digest) -> io::Result<Blob> {
        #[cfg(feature = "s3")]
        if let Some(bucket) = &self.bucket {
            return Ok(Blob::Object(bucket.object(package)));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&package) {
            return Ok(Blob::File(Arc::clone(file)));
        }
        let file = Arc::new(File::open(self.path(package))?);
        open.insert(package, Arc::clone(&file));
        Ok(Blob::File(file))
    }

    fn path(&self, package: Digest) -> PathBuf {
        self.folder.join(format!("{package}.{}", self.extension))
    }
}

impl Blob {
    /// How many bytes are best read at once.
    pub(crate) fn piece(&self) -> u64 {
        match self {
            Self::File(_) => PIECE,
            #[cfg(feature = "s3")]
            Self::Object(_) => bucket::PIECE,
        }
    }

    /// The `len` bytes from `at` on.
    pub(crate) async fn read(self, at: u64, len: u64) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                let read = tokio::task::spawn_blocking(move || read(&file, at, len));
                read.await.map_err(io::Error::other)?
            }
            #[cfg(feature = "s3")]
            Self::Object(object) => object.read(at, len).await,
        }
    }
}

fn read(file: &File, at: u64, len: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(blobs: &Blobs) -> Vec<String> {
        let entries = fs::read_dir(&blobs.folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn only_what_is_kept_stays() {
        let place = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(place.path().into(), &Place::Own).unwrap();
        let name: Name = "u1".parse().unwrap();
        drop(blobs.upload(&name).unwrap());
        assert_eq!(names(&blobs), Vec::<String>::new());
        let mut upload = blobs.upload(&name).unwrap();
        upload.file.write_all(b"bytes").unwrap();
        let digest = Digest::of(b"bytes");
        blobs.keep(&upload, digest).await.unwrap();
        drop(upload);
        assert_eq!(names(&blobs), [format!("{digest}.zip")]);
        let read = blobs.get(digest).unwrap().read(1, 3).await.unwrap();
        assert_eq!(read, "yte");
        assert!(blobs.get(digest).unwrap().read(3, 3).await.is_err(), "beyond its end");
    }

    #[test]
    fn a_start_removes_what_a_kill_left() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("u1.upload"), b"half").unwrap();
        let shared = Place::Folder(place.path().into());
        let blobs = Blobs::open(place.path().join("own"), &shared).unwrap();
        assert_eq!(names(&blobs), ["u1.upload"], "it may be another server's");
        let blobs = Blobs::open(place.path().into(), &Place::Own).unwrap();
        assert_eq!(names(&blobs), Vec::<String>::new());
    }
}
