//! `refit trust`, `publish` and `releases`: what the fleet can be given.

use super::access::Access;
use super::client::Client;
use super::show::{json, table};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use protocols::operator::{ReleaseList, ReleaseView};
use std::fs::File;
use std::path::PathBuf;
use types::Name;

/// Gives the server the maker's keys, by which it judges packages
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// The maker's root.json
    root: PathBuf,
    #[command(flatten)]
    access: Access,
}

/// Publishes a package; the server examines every byte of it first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The package, as `update.zip`
    package: PathBuf,
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Lists the published releases
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print the server's answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(crate) fn trust(args: &TrustArgs) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", args.root.display());
    let bytes = std::fs::read(&args.root).with_context(context)?;
    Client::new(args.access.account()?)?.put("/api/v1/root", bytes)?;
    println!("the server judges packages by {} now", args.root.display());
    Ok(())
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", args.package.display());
    let file = File::open(&args.package).with_context(context)?;
    let bar = ProgressBar::new(file.metadata().with_context(context)?.len());
    let style = "{bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let client = Client::new(args.access.account()?)?;
    let published: ReleaseView = client.upload("/api/v1/releases", file, &bar)?;
    bar.finish_and_clear();
    if args.json {
        return json(&published);
    }
    let release = &published.release;
    println!("published {} {}, manifest {}", release.product, release.version, release.manifest);
    Ok(())
}

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<()> {
    let list: ReleaseList = Client::new(args.access.account()?)?.get("/api/v1/releases")?;
    if args.json {
        return json(&list);
    }
    let row = |view: &ReleaseView| {
        let release = &view.release;
        let index = release.rollback_index.to_string();
        let digest: String = release.manifest.to_string().chars().take(16).collect();
        vec![
            release.product.to_string(),
            release.version.to_string(),
            index,
            digest,
            view.published.to_string(),
            view.regions.iter().map(Name::as_str).collect::<Vec<_>>().join(" "),
        ]
    };
    let head = ["product", "version", "rollback index", "manifest", "published", "regions"];
    println!("{}", table(&head, list.releases.iter().map(row)));
    Ok(())
}
