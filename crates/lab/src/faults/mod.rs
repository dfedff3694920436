//! What a fleet's servers live through: kills at random, a replica that dies and one
//! that is cut off, a database that goes away, a full disk, a store of packages that
//! does not answer or breaks off, clocks that are set and that differ, a city whose
//! terminals come back at once.
//!
//! Terminals are simulated here, a thousand at a time: they speak the protocol over
//! HTTPS and install nothing. They keep a book of what they were promised, which is
//! compared with what the servers say afterwards. Servers, database and store are real.

mod bad_store;
mod book;
mod disk;
mod downloads;
mod kills;
mod replicas;
mod settable;
mod steps;
mod store;
mod storm;
mod terminal;
mod world;

use crate::chance::Chance;
use anyhow::{Result, anyhow};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Real servers through kills, cuts and full disks
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ten times as many kills
    #[arg(long)]
    long: bool,
    /// Repeats the chance of this seed
    #[arg(long)]
    seed: Option<u64>,
    /// Only these: kills, database, disk, storm, replicas, store, clock, downloads
    only: Vec<String>,
}

type Scenario = (&'static str, fn(&mut Chance, bool) -> Result<String>);

/// Those that keep the machine busy.
const BUSY: [Scenario; 7] = [
    ("kills", kills::server),
    ("database", kills::database),
    ("disk", disk::run),
    ("storm", storm::run),
    ("store", store::run),
    ("clock", steps::run),
    ("downloads", downloads::run),
];
/// The one that waits for most of its time, and takes longer than all others: nobody
/// answers for a server that is cut off.
const WAITING: [Scenario; 1] = [("replicas", replicas::run)];

/// Runs the scenarios; fails at the first thing that was lost.
///
/// # Errors
/// Something was lost, counted twice or offered where it should not be.
pub fn run(args: &Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(Chance::any_seed);
    let failed = AtomicBool::new(false);
    if args.long {
        // So many terminals and kills leave no room for another one beside.
        let all: Vec<Scenario> = BUSY.into_iter().chain(WAITING).collect();
        lane(&all, args, seed, &failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| lane(&BUSY, args, seed, &failed));
        let waiting = lane(&WAITING, args, seed, &failed);
        busy.join().map_err(|_| anyhow!("a scenario panicked"))??;
        waiting
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs scenarios one after the other, until one fails here or beside. Each has a chance
/// of its own, so that one alone is what it was among the others.
fn lane(all: &[Scenario], args: &Args, seed: u64, failed: &AtomicBool) -> Result<()> {
    for (name, scenario) in all {
        let wanted = args.only.is_empty() || args.only.iter().any(|only| only == name);
        if !wanted || failed.load(Ordering::Relaxed) {
            continue;
        }
        let began = crate::clock::now();
        let told = scenario(&mut Chance::new(seed), args.long).map_err(|error| {
            failed.store(true, Ordering::Relaxed);
            error.context(format!("`{name}` failed (seed {seed})"))
        })?;
        let took = (crate::clock::now() - began).as_secs();
        println!("tried: {name}: {told} ({took} s, seed {seed})");
    }
    Ok(())
}
