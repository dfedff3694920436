//! What all servers of one fleet have in common: the authority, the secret behind
//! payload addresses, the operator's token and the maker's keys.
//!
//! One server keeps them in its data folder. Where several share a database, the first
//! one writes them there and the others take them over, so that a further server needs
//! nothing but the database's address. Of the operator's token it gets the digest only.

use crate::folder::{Audience, Folder, FolderError, Made};
use crate::secret;
use crate::server::Server;
use crate::store::{Store, StoreError, Stored, Tx};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use trust::{Root, TrustError};
use types::{Digest, Sealed};

/// The maker's keys, in the folder and among what is kept.
const ROOT: &str = "root.json";
/// The digest of the operator's token, among what is kept.
const OPERATOR: &str = "operator.digest";
/// Files that are the same for all servers.
const FILES: [(&str, Audience); 4] = [
    ("payload.secret", Audience::Owner),
    ("plan.key", Audience::Owner),
    ("ca.key", Audience::Owner),
    ("ca.pem", Audience::Everybody),
];

/// Why servers do not agree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommonError {
    /// The folder fails.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store fails.
    #[error("cannot take over what the servers of this fleet have in common")]
    Store(#[from] StoreError),
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The maker's keys are none.
    #[error("the maker's keys cannot be used")]
    Root(#[from] TrustError),
}

/// What a server starts with.
pub(crate) struct Common {
    /// The digest of the operator's token.
    pub(crate) operator: Digest,
    /// Whether this start made the token.
    pub(crate) token: Made,
    /// The maker's keys, once they are known.
    pub(crate) root: Option<Root>,
}

/// Agrees with the other servers of the database, if there can be any. `root` names
/// the maker's keys where they are given now.
pub(crate) async fn agree(
    folder: &Folder,
    store: &Store,
    root: Option<&Path>,
) -> Result<Common, CommonError> {
    let (token, mut made) = folder.operator_token()?;
    let mut operator = secret::digest(&token);
    let mut keys = given_root(folder, root)?;
    if store.is_shared() {
        let mut tx = store.begin().await?;
        files(folder, &mut tx).await?;
        let agreed = tx.agree(OPERATOR, &operator.0).await?;
        let agreed = Digest(agreed.try_into().map_err(|_| StoreError::Row { what: "token" })?);
        if agreed != operator {
            if made == Made::Now {
                folder.forget_token()?;
            }
            (made, operator) = (Made::Elsewhere, agreed);
        }
        keys = root_of(&mut tx, keys, root.is_some()).await?;
        tx.commit().await?;
    }
    let root = keys.map(|bytes| Root::open(&Sealed::from(&bytes[..]))).transpose()?;
    Ok(Common { operator, token: made, root })
}

/// The maker's keys: given now, or kept in the folder.
fn given_root(folder: &Folder, given: Option<&Path>) -> Result<Option<Vec<u8>>, CommonError> {
    if let Some(path) = given {
        let failed = |cause| CommonError::Read { path: path.into(), cause };
        let bytes = std::fs::read(path).map_err(failed)?;
        Root::open(&Sealed::from(&bytes[..]))?;
        folder.write(ROOT, &bytes, Audience::Owner)?;
    }
    Ok(folder.read(ROOT)?)
}

/// The maker's keys of all servers: what is given now replaces them.
async fn root_of(tx: &mut Tx, mine: Option<Vec<u8>>, given: bool) -> Stored<Option<Vec<u8>>> {
    match mine {
        Some(bytes) if given => {
            if tx.kept(ROOT).await?.as_ref() != Some(&bytes) {
                tx.keep(ROOT, &bytes).await?;
                tx.raise_generation().await?;
            }
            Ok(Some(bytes))
        }
        Some(bytes) => tx.agree(ROOT, &bytes).await.map(Some),
        None => tx.kept(ROOT).await,
    }
}

/// Brings the files of the folder to what the servers agree on.
async fn files(folder: &Folder, tx: &mut Tx) -> Result<(), CommonError> {
    for (name, audience) in FILES {
        let mine = folder.read(name)?;
        let agreed = match &mine {
            Some(bytes) => Some(tx.agree(name, bytes).await?),
            None => tx.kept(name).await?,
        };
        if let Some(bytes) = agreed.filter(|bytes| mine.as_ref() != Some(bytes)) {
            folder.write(name, &bytes, audience)?;
        }
    }
    Ok(())
}

impl Server {
    /// Reads the maker's keys that another server was given.
    pub(crate) async fn read_root(&self, tx: &mut Tx) -> Stored<()> {
        if !tx.is_shared() {
            return Ok(());
        }
        if let Some(bytes) = tx.kept(ROOT).await? {
            let root = Root::open(&Sealed::from(&bytes[..]));
            let root = root.map_err(|_| StoreError::Row { what: "maker's root" })?;
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(root));
        }
        Ok(())
    }

    /// Keeps the maker's keys, unless there are some. Returns whether `bytes` are what
    /// is kept now.
    pub(crate) async fn keep_root(&self, bytes: &[u8], root: Root) -> Result<bool, CommonError> {
        let mut tx = self.store.begin().await?;
        let kept = if tx.is_shared() { tx.kept(ROOT).await? } else { self.folder.read(ROOT)? };
        if let Some(kept) = kept.filter(|_| self.root().is_some()) {
            return Ok(kept == bytes);
        }
        self.folder.write(ROOT, bytes, Audience::Owner)?;
        if tx.is_shared() {
            tx.keep(ROOT, bytes).await?;
            tx.raise_generation().await?;
            tx.commit().await?;
        }
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(root));
        Ok(true)
    }
}
