//! What an update costs a terminal, beside what others ask for the same.
//!
//! Deliberately absent: figures of other days. Everything in one table was measured in
//! one run, round by round, on one machine.

mod cost;
mod delta;
pub(crate) mod fleet;
mod installers;
mod memory;
pub mod nginx;
mod rauc;
mod refit;
mod signer;
mod swupdate;
mod table;
mod workshop;

use crate::process::Programs;
use anyhow::{Context, Result, ensure};
use cost::Watch;
use installers::{INSTALLERS, Installers};
use std::path::PathBuf;
use std::process::ExitCode;
use table::Results;
use workshop::Workshop;

/// Runs that only watch the memory, of each installer.
const MEMORY_ROUNDS: u32 = 3;

/// Measures what an update costs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Delta(delta::DeltaArgs),
    Fleet(fleet::FleetArgs),
    Install(InstallArgs),
}

/// An image over HTTPS into a slot: Refit, SWUpdate and RAUC, interleaved
#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// How often each installs for the CPU's time
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// MiB of the image
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(8..=4096))]
    mib: u64,
    /// Zstandard level of all packages
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// Keeps image and packages in this folder, and takes them from there the next time
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Runs a bench; status 0 when the goals are reached.
///
/// # Errors
/// Something could not be set up, or an installation failed.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Delta(args) => delta::run(args),
        Command::Fleet(args) => fleet::run(args),
        Command::Install(args) => install(args),
    }
}

fn install(args: &InstallArgs) -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "rauc mounts its bundles: run this as root");
    let temporary;
    let folder = match &args.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            folder.canonicalize()?
        }
        None => {
            temporary = tempfile::Builder::new().prefix("refit-bench-").tempdir()?;
            temporary.path().to_path_buf()
        }
    };
    cost::adopt_orphans()?;
    println!("making an image of {} MiB and its packages, level {}", args.mib, args.level);
    let workshop = Workshop::prepare(Programs::find()?, &folder, args.mib << 20, args.level)?;
    swupdate::prepare(&workshop)?;
    rauc::prepare(&workshop)?;
    let results = measure(&workshop, args.rounds)?;
    println!("\n{}\n\n{}\n{}", workshop.describe()?, results.table(), results.verdict());
    Ok(if results.within_goals() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All rounds: first those for the time, then those for the memory.
fn measure(workshop: &Workshop, rounds: u32) -> Result<Results> {
    let runs = usize::try_from(rounds + MEMORY_ROUNDS)?;
    let mut installers = Installers::start(workshop, runs)?;
    let mut results = Results::default();
    for (watch, rounds) in [(Watch::Time, rounds), (Watch::Memory, MEMORY_ROUNDS)] {
        for round in 1..=rounds {
            println!("{watch}, round {round} of {rounds}");
            for installer in INSTALLERS {
                let cost = installers.install(installer, watch);
                let cost = cost.with_context(|| format!("{installer} did not install"))?;
                println!("  {installer}: {cost}");
                results.add(installer, watch, cost);
            }
        }
    }
    Ok(results)
}
