//! `refit sign`: adds signatures to a package.

use super::claims::{manifest_digest, signers};
use super::date::{Date, or_years};
use super::keys::read_keys;
use super::rewrite::with_targets;
use super::zip::{ZipFile, progress};
use anyhow::{Context, ensure};
use clap::Parser;
use engine::examine::examine;
use package::Manifest;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use trust::{SigningKey, Target, TargetsDraft, sign};
use types::{Digest, Sealed, Timestamp};

/// How long signatures count where nothing else is said, in years.
pub(crate) const YEARS: u32 = 2;

/// Adds signatures to a package
///
/// Reads all of the package first: what does not fit together is not signed. Keys of
/// several people can sign one after the other, each on their own machine.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit sign update.zip --key keys/key-1.json
  refit sign update.zip --key keys/key-2.json        a second person adds theirs
  refit sign update.zip --renew --key keys/key-1.json --expires 2030-01-01")]
pub(crate) struct Args {
    /// The package; replaced at once when all is signed
    package: PathBuf,
    /// Key file; repeat it for each key
    #[arg(short, long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Drops the signatures that are there and starts anew
    #[arg(long)]
    renew: bool,
    /// Until when new signatures count; 2 years from now if not given. All who sign
    /// one package sign one date, so it is given with the first signature only
    #[arg(long, value_name = "DATE")]
    expires: Option<Date>,
}

pub(crate) fn run(args: &Args, now: Timestamp) -> anyhow::Result<ExitCode> {
    let keys = read_keys(&args.keys)?;
    let bar = progress("reading");
    let source = ZipFile::open(&args.package, bar.clone())?;
    let examined = examine(&source, None, now)
        .with_context(|| format!("{} is not signed", args.package.display()))?;
    bar.finish_and_clear();
    let exact = examined.package.manifest();
    let there = examined.package.targets().filter(|_| !args.renew);
    let draft = match there {
        Some(targets) => {
            ensure!(
                args.expires.is_none(),
                "the package has signatures with a date already; leave --expires out, or start \
                 anew with --renew"
            );
            continued(targets, exact)?
        }
        None => fresh_targets(&examined.manifest, exact, or_years(args.expires, now, YEARS)),
    };
    let targets = sign_all(draft, &keys)?;
    with_targets(&args.package, &source, &examined.package, &targets)?;
    let count = signers(targets.bytes()).len();
    println!("{} now has signatures by {count} different keys", args.package.display());
    Ok(ExitCode::SUCCESS)
}

/// Metadata without signatures that covers the manifest.
pub(crate) fn fresh_targets(manifest: &Manifest, exact: &[u8], expires: Timestamp) -> Sealed {
    let custom = json!({
        "product": manifest.product,
        "rollback_index": manifest.rollback_index,
        "version": manifest.version,
    });
    let targets = [Target { name: Manifest::ENTRY, bytes: exact, custom }];
    TargetsDraft { version: 1, expires, targets: &targets }.unsigned()
}

/// Signs with all keys.
pub(crate) fn sign_all(draft: Sealed, keys: &[SigningKey]) -> anyhow::Result<Sealed> {
    let signed = keys.iter().try_fold(draft, |sealed, key| sign(&sealed, key));
    signed.context("cannot sign")
}

/// The signatures that are there, if they speak of this manifest: whoever adds
/// theirs should not sign for another one.
fn continued(targets: &[u8], exact: &[u8]) -> anyhow::Result<Sealed> {
    ensure!(
        manifest_digest(targets) == Some(Digest::of(exact).to_string()),
        "the signatures that are there are for another manifest; start anew with --renew"
    );
    Ok(Sealed::from(targets))
}
