//! Checks of the house itself: floors, bans, licences, shape. Each check takes data
//! and returns the faults it found, as sentences.

mod bans;
mod floors;
mod graph;
mod licences;
mod shape;

use crate::count::Count;
use anyhow::{Result, bail};
use graph::Graph;
use std::path::Path;
use std::process::ExitCode;

/// The names of the checks, in the order in which they run.
pub(crate) const CHECKS: [&str; 4] = ["floors", "bans", "licences", "shape"];

/// `cargo xtask check [CHECK]...`: all of them where none is named.
///
/// # Errors
/// An unknown name, or a check that cannot be made.
pub(crate) fn command(root: &Path, names: &[String]) -> Result<ExitCode> {
    let names: Vec<&str> =
        if names.is_empty() { CHECKS.to_vec() } else { names.iter().map(String::as_str).collect() };
    let count = check(root, &names)?;
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the named checks and prints every fault.
///
/// # Errors
/// An unknown name, or a check that cannot be made.
pub(crate) fn check(root: &Path, names: &[&str]) -> Result<Count> {
    let graph = Graph::of(root)?;
    let mut count = Count::default();
    for name in names {
        let faults = faults(root, &graph, name)?;
        println!("check {name}: {}", verdict(faults.len()));
        faults.iter().for_each(|fault| println!("  {fault}"));
        let failed = u64::from(!faults.is_empty());
        count = count.plus(Count { passed: 1 - failed, failed });
    }
    Ok(count)
}

fn verdict(faults: usize) -> String {
    if faults == 0 { "ok".into() } else { format!("{faults} faults") }
}

fn faults(root: &Path, graph: &Graph, name: &str) -> Result<Vec<String>> {
    Ok(match name {
        "floors" => floors::faults(graph),
        "bans" => bans::faults(graph, &graph::agent_tree(root)?),
        "licences" => licences::faults(graph),
        "shape" => shape::faults(root)?,
        other => bail!("there is no check `{other}`; there are: {}", CHECKS.join(", ")),
    })
}
