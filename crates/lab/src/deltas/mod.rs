//! Deltas of the corpus, there and back, in every mode; patches that were damaged;
//! and what of each container could be opened.
//!
//! Deliberately absent: any measuring. That is `bench delta`.

mod apply;
mod census;
mod hostile;
mod modes;

use crate::corpus::{self, Made, Wanted};
use anyhow::{Context, Result, ensure};
use hostile::{Effort, MUTATIONS};
use std::cmp::Reverse;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Deltas there and back, damaged patches, what could be opened
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Ten thousand damaged patches, of all pairs together
    #[arg(long)]
    long: bool,
}

/// `lab deltas`.
///
/// # Errors
/// A pair could not be made, or did not come back.
pub fn run(args: &Args) -> Result<ExitCode> {
    let manifest = corpus::build(&args.wanted)?;
    ensure!(!manifest.pairs.is_empty(), "there is no pair to try");
    let folder = args.wanted.folder.canonicalize()?;
    let mut pairs: Vec<&Made> = manifest.pairs.iter().collect();
    pairs.sort_by_key(|pair| Reverse(pair.new.size));
    let (mut census, mut left) = (census::Shares::default(), MUTATIONS);
    for (done, pair) in pairs.iter().enumerate() {
        let part = Effort::part(left, pairs.len() - done);
        let effort = if args.long { part } else { Effort::BRIEF };
        let damaged = try_one(pair, &folder.join(&pair.name), effort, &mut census)
            .with_context(|| format!("`{}` failed", pair.name))?;
        left = left.saturating_sub(damaged);
    }
    ensure!(!args.long || left == 0, "{left} damaged patches were not tried");
    census.check()?;
    if args.wanted.small {
        census.check_small()?;
    }
    println!("tried: {} pairs, {census}", manifest.pairs.len());
    Ok(ExitCode::SUCCESS)
}

/// How many damaged patches were tried.
fn try_one(pair: &Made, folder: &Path, effort: Effort, census: &mut census::Shares) -> Result<u32> {
    let read = |side| fs::read(folder.join(side)).with_context(|| format!("cannot read {side}"));
    let (old, new) = (read("old")?, read("new")?);
    census.count(&new);
    let trips = modes::round_trips(&old, &new)?;
    let again = trips.iter().map(|trip| trip.again).max().unwrap_or(0) >> 10;
    let smallest = trips.into_iter().min_by_key(|trip| trip.patch.len()).context("no mode")?;
    let seen = hostile::damage(&smallest.patch, &old, &new, effort)?;
    println!(
        "tried: {}: {} modes, a patch of {} bytes of {}, at most {again} KiB of it again after a \
         cut; {seen}",
        pair.name,
        modes::MODES.len(),
        smallest.patch.len(),
        new.len(),
    );
    Ok(seen.damaged)
}
