//! `refit keygen`: signing keys, and the root of trust that names them.

use super::date::{Date, or_years};
use super::keys::{read_keys, read_root};
use anyhow::{Context, ensure};
use clap::Parser;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trust::{Root, RootDraft, SigningKey, sign};
use types::{Sealed, Timestamp};

/// How long a root vouches for its keys where nothing else is said, in years.
const YEARS: u32 = 10;

/// Makes signing keys and the root of trust that terminals pin
///
/// Writes DIR/key-1.json … key-N.json, which only you may read, and DIR/root.json,
/// signed by all of them, which goes onto every terminal and to whoever verifies.
/// Keep the keys apart from each other and offline. Nothing is ever overwritten.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit keygen keys                                 2 of 3 keys must sign
  refit keygen keys --count 5 --threshold 3
  refit keygen keys --count 1 --threshold 1         for a first try
  refit keygen new --after keys/root.json -k keys/key-1.json -k keys/key-3.json
                                                    keys that take the place of these")]
pub(crate) struct Args {
    /// Folder for the keys; made if it is not there
    dir: PathBuf,
    /// How many keys
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=32))]
    count: u32,
    /// How many different keys must sign a release
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    threshold: u32,
    /// Until when the root vouches for its keys; 10 years from now if not given
    #[arg(long, value_name = "DATE")]
    expires: Option<Date>,
    /// The root that the new one follows, so that terminals which pin it can follow
    #[arg(long, value_name = "FILE", requires = "keys")]
    after: Option<PathBuf>,
    /// A key of that root; repeat it for as many as it asks for
    #[arg(short, long = "key", value_name = "FILE", requires = "after")]
    keys: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, now: Timestamp) -> anyhow::Result<ExitCode> {
    ensure!(
        args.threshold <= args.count,
        "threshold {} is higher than the number of keys, {}; give --count and --threshold",
        args.threshold,
        args.count
    );
    let keys = (0..args.count).map(|_| new_key()).collect::<anyhow::Result<Vec<_>>>()?;
    let expires = or_years(args.expires, now, YEARS);
    let before = args.after.as_deref().map(read_root).transpose()?;
    let version = before.as_ref().map_or(1, |before| before.version().saturating_add(1));
    let draft = RootDraft { version, expires, keys: &keys, threshold: args.threshold };
    let root = draft.sign().context("cannot sign the root")?;
    let root = match &before {
        Some(before) => follow(before, root, &args.keys)?,
        None => root,
    };
    let mut files: Vec<_> = (1..).zip(&keys).map(|(n, key)| key_file(args, n, key)).collect();
    files.push((args.dir.join("root.json"), root.bytes().to_vec(), Readers::All));
    write_all(&args.dir, &files)?;
    println!("{} keys and root.json written to {}", keys.len(), args.dir.display());
    for (n, key) in (1..).zip(&keys) {
        println!("  key-{n}.json  {}", key.id());
    }
    println!(
        "{} of them must sign a release; the root expires at {expires}.\n\
         root.json goes onto the terminals. Keep the keys secret, apart and offline.",
        args.threshold
    );
    Ok(ExitCode::SUCCESS)
}

/// Has the new root signed by the holders of the one before, and sees that it follows.
fn follow(before: &Root, root: Sealed, keys: &[PathBuf]) -> anyhow::Result<Sealed> {
    let keys = read_keys(keys)?;
    let signed = keys.iter().try_fold(root, |sealed, key| sign(&sealed, key));
    let signed = signed.context("cannot sign the root")?;
    before.successor(&signed).context("terminals would not follow to this root")?;
    Ok(signed)
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Owner,
    All,
}

type NewFile = (PathBuf, Vec<u8>, Readers);

fn new_key() -> anyhow::Result<SigningKey> {
    let mut seed = [0; 32];
    let filled = SystemRandom::new().fill(&mut seed);
    filled.map_err(|_| anyhow::anyhow!("the system has no randomness to make keys of"))?;
    SigningKey::from_seed(seed).context("cannot make a key")
}

fn key_file(args: &Args, n: u32, key: &SigningKey) -> NewFile {
    (args.dir.join(format!("key-{n}.json")), key.to_file().into_bytes(), Readers::Owner)
}

/// Writes all files, or none if one of them is there already.
fn write_all(dir: &Path, files: &[NewFile]) -> anyhow::Result<()> {
    for (file, ..) in files {
        let there =
            file.try_exists().with_context(|| format!("cannot look at {}", file.display()))?;
        ensure!(!there, "{} exists and is not overwritten; choose another folder", file.display());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    for (file, bytes, readers) in files {
        write_new(file, bytes, *readers)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    // So that the names are as durable as the bytes.
    let folder = fs::File::open(dir).and_then(|folder| folder.sync_all());
    folder.with_context(|| format!("cannot flush {}", dir.display()))
}

fn write_new(file: &Path, bytes: &[u8], readers: Readers) -> std::io::Result<()> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}
