//! Deltas of the corpus, there and back, in every mode; patches that were damaged;
//! and what of each container could be opened.
//!
//! Deliberately absent: any measuring. That is `bench delta`.

mod apply;
mod census;
mod hostile;
mod kinds;
mod modes;

use crate::clock::now;
use crate::corpus::{self, Made, Wanted};
use anyhow::{Context, Result, ensure};
use hostile::Effort;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Deltas there and back, damaged patches, what could be opened
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Damages the patches of each pair for a minute or two, not for seconds
    #[arg(long)]
    long: bool,
}

/// How many damaged patches of small images are tried.
const MUTATIONS: u32 = 10_000;

/// `lab deltas`.
///
/// # Errors
/// A pair could not be made, or did not come back.
pub fn run(args: &Args) -> Result<ExitCode> {
    let manifest = corpus::build(&args.wanted)?;
    ensure!(!manifest.pairs.is_empty(), "there is no pair to try");
    let folder = args.wanted.folder.canonicalize()?;
    let mut census = census::Shares::default();
    // First while the program is small: what one patch takes can be told then.
    damage_small()?;
    // The smallest first: more is known early, and `--pairs` goes on where it ended.
    let mut pairs: Vec<&Made> = manifest.pairs.iter().collect();
    pairs.sort_by_key(|pair| pair.new.size);
    let effort = if args.long { Effort::LONG } else { Effort::BRIEF };
    let mut failed = Vec::new();
    for pair in pairs {
        // One that fails does not hide what the others do.
        if let Err(error) = try_one(pair, &folder.join(&pair.name), effort, &mut census) {
            println!("failed: {}: {error:#}", pair.name);
            failed.push(pair.name.as_str());
        }
    }
    ensure!(failed.is_empty(), "these pairs failed: {}", failed.join(", "));
    census.check()?;
    if args.wanted.small {
        census.check_small()?;
    }
    println!("tried: {} pairs, {census}", manifest.pairs.len());
    Ok(ExitCode::SUCCESS)
}

/// Damages patches of small images of every kind.
fn damage_small() -> Result<()> {
    let kinds = kinds::all()?;
    let count = u32::try_from(kinds.len())?;
    let (began, mut damaged) = (now(), 0);
    for kinds::Small { name, old, new, patch } in &kinds {
        let seen = hostile::damage(patch, old, new, Effort::all(MUTATIONS.div_ceil(count)));
        let seen = seen.with_context(|| format!("small images of {name}"))?;
        println!("tried: small images of {name}, a patch of {} bytes; {seen}", patch.len());
        damaged += seen.damaged;
    }
    ensure!(damaged >= MUTATIONS, "only {damaged} damaged patches were tried");
    println!(
        "tried: {damaged} damaged patches of {count} kinds in {} s",
        (now() - began).as_secs()
    );
    Ok(())
}

/// Tries one pair in every way.
fn try_one(pair: &Made, folder: &Path, effort: Effort, census: &mut census::Shares) -> Result<()> {
    let began = now();
    let read = |side| fs::read(folder.join(side)).with_context(|| format!("cannot read {side}"));
    let (old, new) = (read("old")?, read("new")?);
    census.count(&old, &new)?;
    let trips = modes::round_trips(&old, &new)?;
    let again = trips.iter().map(|trip| trip.again).max().unwrap_or(0) >> 10;
    let smallest = trips.into_iter().min_by_key(|trip| trip.patch.len()).context("no mode")?;
    let seen = hostile::damage(&smallest.patch, &old, &new, effort)?;
    println!(
        "tried: {}: {} modes, a patch of {} bytes of {}, at most {again} KiB of it again after a \
         cut; {seen}; {} s",
        pair.name,
        modes::MODES.len(),
        smallest.patch.len(),
        new.len(),
        (now() - began).as_secs(),
    );
    Ok(())
}
