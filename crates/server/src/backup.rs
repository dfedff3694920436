//! `refit-server backup` and `refit-server restore`: a folder with everything that a
//! fleet needs to go on elsewhere.
//!
//! | name | what |
//! |---|---|
//! | `store.jsonl` | the database, in a form that both engines read |
//! | `ca.key`, `ca.pem`, `payload.secret`, `plan.key`, `operator.token`, `root.json` | as in the data folder |
//! | `blobs/` | the packages, unless they are in a bucket, which has its own backups |

use crate::folder::{Audience, Folder};
use crate::store::{self, Address, Store};
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Small files of the data folder that belong to the fleet.
const FILES: [(&str, Audience); 6] = [
    ("ca.key", Audience::Owner),
    ("ca.pem", Audience::Everybody),
    ("payload.secret", Audience::Owner),
    ("plan.key", Audience::Owner),
    ("operator.token", Audience::Owner),
    ("root.json", Audience::Owner),
];
const STORE: &str = "store.jsonl";
const BLOBS: &str = "blobs";

/// What to copy, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The server's data folder
    #[arg(long)]
    data: PathBuf,
    /// Where the fleet is kept, as `serve` is told
    #[arg(long, env = "REFIT_DATABASE", hide_env_values = true)]
    database: Option<Address>,
    /// Folder of the packages, where it is not in the data folder
    #[arg(long)]
    packages: Option<PathBuf>,
    /// Folder for the copy; packages that are there already are not copied again
    #[arg(long)]
    to: PathBuf,
}

/// What to make of a copy.
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// Folder of the copy
    #[arg(long)]
    from: PathBuf,
    /// A new data folder
    #[arg(long)]
    data: PathBuf,
    /// An empty database, as `serve` is told
    #[arg(long, env = "REFIT_DATABASE", hide_env_values = true)]
    database: Option<Address>,
    /// Folder for the packages, where it is not to be in the data folder
    #[arg(long)]
    packages: Option<PathBuf>,
}

/// Copies a fleet.
pub(crate) async fn backup(args: &Backup) -> Result<()> {
    ensure!(args.data.is_dir(), "there is no folder {}", args.data.display());
    private(&args.to.join(BLOBS))?;
    let own = || Address::File(args.data.join("server.db"));
    let database = args.database.clone().unwrap_or_else(own);
    if let Address::File(path) = &database {
        ensure!(path.is_file(), "there is no database {}", path.display());
    }
    // The packages first: what the copy of the database names is among them.
    let packages = args.packages.clone().unwrap_or_else(|| args.data.join(BLOBS));
    let copied = copy_all(&packages, &args.to.join(BLOBS))?;
    for (name, _) in FILES {
        let bytes = read(&args.data.join(name))?;
        bytes.map_or(Ok(()), |bytes| write(&args.to, name, &bytes))?;
    }
    let store = Store::connect(&database).await.context("cannot use the database")?;
    let new = args.to.join(format!("{STORE}.new"));
    let mut file = BufWriter::new(File::create(&new)?);
    let rows = store::backup(&store, &mut file).await?;
    file.into_inner()?.sync_all()?;
    fs::rename(&new, args.to.join(STORE))?;
    // Published while the database was copied: named there, or not, and harmless.
    let late = copy_all(&packages, &args.to.join(BLOBS))?;
    println!("refit-server: copied {rows} rows and {} new packages", copied + late);
    Ok(())
}

/// Makes a fleet of a copy.
pub(crate) async fn restore(args: &Restore) -> Result<()> {
    let copy = args.from.join(STORE);
    let file = File::open(&copy).with_context(|| format!("no copy at {}", copy.display()))?;
    let fresh = !args.data.join("ca.key").exists() && !args.data.join("operator.token").exists();
    ensure!(fresh, "{} is a server's folder already", args.data.display());
    let folder = Folder::open(&args.data)?;
    let database = args.database.clone();
    let database = database.map_or_else(|| folder.database().map(Address::File), Ok)?;
    let store = Store::connect(&database).await.context("cannot use the database")?;
    let rows = store::restore(&store, &mut BufReader::new(file)).await?;
    for (name, audience) in FILES {
        if let Some(bytes) = read(&args.from.join(name))? {
            folder.write(name, &bytes, audience)?;
        }
    }
    let packages = args.packages.clone().unwrap_or_else(|| folder.path(BLOBS));
    let copied = copy_all(&args.from.join(BLOBS), &packages)?;
    println!("refit-server: restored {rows} rows and {copied} packages");
    store::close(store).await.context("cannot close the database")
}

/// A folder that only its owner may look into.
fn private(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(folder.join(name))?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

/// Copies the packages of one folder that the other lacks. Returns how many. A
/// package's name is its digest, so what is there is the same.
fn copy_all(from: &Path, to: &Path) -> Result<u64> {
    private(to)?;
    let Ok(entries) = fs::read_dir(from) else { return Ok(0) };
    let mut copied = 0;
    for entry in entries {
        let (path, name) = {
            let entry = entry?;
            (entry.path(), entry.file_name())
        };
        let there = to.join(&name);
        if path.extension().is_some_and(|extension| extension == "zip") && !there.exists() {
            let new = there.with_extension("new");
            fs::copy(&path, &new).with_context(|| format!("cannot copy {}", path.display()))?;
            File::open(&new)?.sync_all()?;
            fs::rename(&new, &there)?;
            copied += 1;
        }
    }
    Ok(copied)
}
