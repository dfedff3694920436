//! The data folder: what lies in it, who may read it, and that one server owns it.
//!
//! | name | what | mode |
//! |---|---|---|
//! | `server.db` | everything that is known of the fleet | 0600 |
//! | `blobs/` | published packages, by digest | 0700 |
//! | `deltas/` | deltas that servers made, by digest; they can be made again | 0700 |
//! | `ca.pem`, `ca.key` | the server's own authority | 0644, 0600 |
//! | `operator.token` | the operator's token | 0600 |
//! | `payload.secret` | what payload addresses are signed with | 0600 |
//! | `plan.key` | what static plans are signed with | 0600 |
//! | `root.json` | the maker's keys | 0600 |
//! | `lock` | held by the running server | 0600 |

use crate::secret::{self, NoRandom};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use trust::SigningKey;

/// The data folder of a running server. Dropping it gives it free.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Another process has it.
    #[error("another server uses `{0}`")]
    InUse(PathBuf),
    /// A file in it cannot be read or written.
    #[error("cannot use `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A secret has not the form that this server gave it.
    #[error("`{0}` does not hold a secret of this server")]
    Secret(PathBuf),
    /// No secret could be made.
    #[error("no secret can be made")]
    Random(#[from] NoRandom),
}

impl Folder {
    /// Opens the folder at `path`, made if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |cause| FolderError::File { path: path.into(), cause };
        let make = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        for below in ["blobs", "deltas"] {
            make(&path.join(below)).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| FolderError::InUse(path.into()))?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// The database in it, for whoever has no other one.
    pub(crate) fn database(&self) -> Result<PathBuf, FolderError> {
        let path = self.path("server.db");
        let failed = |cause| FolderError::File { path: path.clone(), cause };
        // SQLite gives its other files the mode of this one.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(failed)?;
        Ok(path)
    }

    /// A token that was just made is of no use to anybody.
    pub(crate) fn forget_token(&self) -> Result<(), FolderError> {
        let path = self.path("operator.token");
        fs::remove_file(&path).map_err(|cause| FolderError::File { path, cause })
    }

    /// The path of `name` in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The operator's token, and whether it was just made.
    pub(crate) fn operator_token(&self) -> Result<(String, Made), FolderError> {
        let path = self.path("operator.token");
        let (bytes, made) = self.keep("operator.token", || Ok(secret::token("rfo_")?.into()))?;
        let text = String::from_utf8(bytes).map_err(|_| FolderError::Secret(path.clone()))?;
        let text = text.trim();
        // A token somebody wrote by hand may be anything but guessable.
        if text.len() < 32 {
            return Err(FolderError::Secret(path));
        }
        Ok((text.into(), made))
    }

    /// The secret behind payload addresses.
    pub(crate) fn payload_secret(&self) -> Result<[u8; 32], FolderError> {
        let make = || Ok(secret::bytes::<32>()?.to_vec());
        let (bytes, _) = self.keep("payload.secret", make)?;
        bytes.try_into().map_err(|_| FolderError::Secret(self.path("payload.secret")))
    }

    /// The key of static plans.
    pub(crate) fn plan_key(&self) -> Result<SigningKey, FolderError> {
        let wrong = || FolderError::Secret(self.path("plan.key"));
        let make = || {
            let key = SigningKey::from_seed(secret::bytes::<32>()?).map_err(|_| wrong())?;
            Ok(key.to_file().into_bytes())
        };
        let (bytes, _) = self.keep("plan.key", make)?;
        SigningKey::read(&bytes).map_err(|_| wrong())
    }

    /// What `name` holds; made and kept, readable to its owner only, if it is not there.
    pub(crate) fn keep(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, FolderError>,
    ) -> Result<(Vec<u8>, Made), FolderError> {
        if let Some(bytes) = self.read(name)? {
            return Ok((bytes, Made::Before));
        }
        let bytes = make()?;
        self.write(name, &bytes, Audience::Owner)?;
        Ok((bytes, Made::Now))
    }

    /// What `name` holds, if it is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(FolderError::File { path, cause }),
        }
    }

    /// Replaces `name` by `bytes`, all or nothing.
    pub(crate) fn write(&self, name: &str, bytes: &[u8], who: Audience) -> Result<(), FolderError> {
        let path = self.path(name);
        let new = self.path(&format!("{name}.new"));
        replace(&path, &new, bytes, who).map_err(|cause| FolderError::File { path, cause })
    }
}

/// Whether something was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It was.
    Before,
    /// It was made by this start.
    Now,
    /// By another server of the fleet, which has it.
    Elsewhere,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The server's own user.
    Owner,
    /// Everybody on the machine.
    Everybody,
}

fn replace(path: &Path, new: &Path, bytes: &[u8], who: Audience) -> io::Result<()> {
    let mode = match who {
        Audience::Owner => 0o600,
        Audience::Everybody => 0o644,
    };
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn secrets_are_made_once_and_only_the_owner_reads_them() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (token, made) = folder.operator_token().unwrap();
        assert_eq!((made, token.len()), (Made::Now, 47));
        assert_eq!(folder.operator_token().unwrap(), (token, Made::Before));
        assert_eq!(folder.payload_secret().unwrap(), folder.payload_secret().unwrap());
        folder.database().unwrap();
        for name in ["operator.token", "payload.secret", "lock", "server.db"] {
            let mode = fs::metadata(folder.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_guessable_token_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        fs::write(folder.path("operator.token"), "admin").unwrap();
        assert!(matches!(folder.operator_token(), Err(FolderError::Secret(_))));
    }

    #[test]
    fn one_server_owns_a_folder() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::open(place.path()).unwrap();
        assert!(matches!(Folder::open(place.path()), Err(FolderError::InUse(_))));
        drop(first);
        Folder::open(place.path()).unwrap();
    }
}
