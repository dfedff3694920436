//! What a fleet's servers live through: kills at random, a replica that dies and one
//! that is cut off, a database that goes away, a full disk, a store of packages that
//! does not answer, a city whose terminals come back at once.
//!
//! Terminals are simulated here, a thousand at a time: they speak the protocol over
//! HTTPS and install nothing. They keep a book of what they were promised, which is
//! compared with what the servers say afterwards. Servers, database and store are real.

mod book;
mod disk;
mod downloads;
mod kills;
mod replicas;
mod storm;
mod terminal;
mod world;

use crate::chance::Chance;
use anyhow::Result;
use std::process::ExitCode;

/// Real servers through kills, cuts and full disks
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ten times as many kills
    #[arg(long)]
    long: bool,
    /// Repeats the chance of this seed
    #[arg(long)]
    seed: Option<u64>,
    /// Only these: kills, database, replicas, disk, storm, downloads
    only: Vec<String>,
}

type Scenario = fn(&mut Chance, bool) -> Result<String>;

const SCENARIOS: [(&str, Scenario); 6] = [
    ("kills", kills::server),
    ("database", kills::database),
    ("replicas", replicas::run),
    ("disk", disk::run),
    ("storm", storm::run),
    ("downloads", downloads::run),
];

/// Runs the scenarios; fails at the first thing that was lost.
///
/// # Errors
/// Something was lost, counted twice or offered where it should not be.
pub fn run(args: &Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(Chance::any_seed);
    let mut chance = Chance::new(seed);
    for (name, scenario) in SCENARIOS {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            let began = crate::clock::now();
            let told = scenario(&mut chance, args.long)
                .map_err(|error| error.context(format!("`{name}` failed (seed {seed})")))?;
            let took = (crate::clock::now() - began).as_secs();
            println!("tried: {name}: {told} ({took} s, seed {seed})");
        }
    }
    Ok(ExitCode::SUCCESS)
}
