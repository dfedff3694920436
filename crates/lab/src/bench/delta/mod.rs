//! Deltas beside those of other tools: size, time of the CPU, memory, of making and
//! of applying, pair by pair, in one run.
//!
//! What peers did with the large pairs is kept, and marked where it is of an earlier
//! run. A peer that cannot take part, or that does not finish, is named with the reason.

mod cost;
mod goals;
mod kept;
mod outcome;
mod peers;
mod run;
mod table;
mod venv;

use crate::corpus::{self, Wanted};
use crate::process::Programs;
use anyhow::{Result, ensure};
use kept::Kept;
use outcome::Outcome;
use peers::{Peers, TOOLS, Tool};
use run::Runner;
use std::path::PathBuf;
use std::process::ExitCode;
use venv::Venv;

/// Deltas of the corpus: Refit, bsdiff, xdelta3, zstd, HDiffPatch, detools
#[derive(Debug, clap::Args)]
pub(super) struct DeltaArgs {
    #[command(flatten)]
    wanted: Wanted,
    /// Only these tools; then no goal is judged that needs the others
    #[arg(long, value_delimiter = ',')]
    tools: Vec<Tool>,
    /// Measures the peers again, also where an earlier run did
    #[arg(long)]
    again: bool,
    /// After how many seconds of the CPU a peer is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u32,
    /// Where patches and the peers that are Python packages are kept
    #[arg(long, default_value = "target/bench-delta")]
    scratch: PathBuf,
}

/// Runs the bench; status 0 when all goals are reached.
pub(super) fn run(args: &DeltaArgs) -> Result<ExitCode> {
    let manifest = corpus::build(&args.wanted)?;
    ensure!(!manifest.pairs.is_empty(), "there is no pair to measure");
    std::fs::create_dir_all(&args.scratch)?;
    let scratch = args.scratch.canonicalize()?;
    let folder = args.wanted.folder.canonicalize()?;
    let programs = Programs::find_these(&["refit"])?;
    let venv = Venv::open(&scratch.join("peers"))?;
    let peers = Peers { programs: &programs, venv: &venv };
    let start = venv.start(&scratch)?;
    let (kept, again, limit) = (Kept::open(&folder)?, args.again, args.limit);
    let runner = Runner { peers, folder: &folder, scratch: &scratch, start, kept, again, limit };
    let tools = if args.tools.is_empty() { TOOLS.to_vec() } else { args.tools.clone() };
    let outcomes: Vec<Outcome> =
        manifest.pairs.iter().map(|pair| runner.pair(pair, &tools)).collect::<Result<_>>()?;
    println!("\n{}", table::sizes(&outcomes));
    println!("{}", table::costs(&outcomes));
    println!("{}", table::describe(&manifest)?);
    Ok(conclude(&outcomes))
}

fn conclude(outcomes: &[Outcome]) -> ExitCode {
    let goals: Vec<_> = outcomes.iter().flat_map(goals::judge).collect();
    let missed: Vec<_> = goals.iter().filter(|goal| !goal.reached()).collect();
    missed.iter().for_each(|goal| println!("missed: {goal}"));
    let failed: Vec<_> = outcomes.iter().flat_map(Outcome::failures).collect();
    failed.iter().for_each(|failure| println!("failed: {failure}"));
    let (reached, all) = (goals.len() - missed.len(), goals.len());
    let pairs = outcomes.len();
    print!("bench delta: {pairs} pairs, {reached} of {all} goals reached; ");
    if failed.is_empty() && missed.is_empty() && all > 0 {
        println!("within goals");
        return ExitCode::SUCCESS;
    }
    let mut short: Vec<&str> = missed.iter().map(|goal| goal.pair.as_str()).collect();
    short.dedup();
    let short = match short.as_slice() {
        [] if failed.is_empty() => "any goal: these tools have none".into(),
        [] => "a round trip".into(),
        pairs => pairs.join(", "),
    };
    println!("short of: {short}");
    ExitCode::FAILURE
}
