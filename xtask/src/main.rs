//! The project's own commands: `cargo demo` and `cargo xtask test | bench | corpus | check`.
//!
//! Depends on no crate of the workspace, so that it builds in seconds and can judge
//! a house that does not build. What needs the real programs is in `lab`, which
//! this starts.

mod board;
mod count;
mod cross;
mod elf;
mod fuzz;
mod house;
mod packages;
mod programs;
mod run;
mod stages;
mod test;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage:
  cargo demo [--terminals N] [--image OLD --image NEW] [--keep]
  cargo xtask test [--all | --long] [STAGE...]
  cargo xtask corpus [--small | --pairs A,B] [--refresh]
  cargo xtask bench delta [--small | --pairs A,B] [--tools A,B] [--again]
  cargo xtask bench fleet [--devices N] [--seconds S] [--json]
  cargo xtask bench install [--rounds N]
  cargo xtask fuzz [TARGET...] [--seconds N]
  cargo xtask build-agent TARGET [--smallest]
  cargo xtask check [floors | bans | licences | shape]...
  cargo xtask stages";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<ExitCode> {
    let Some((verb, rest)) = arguments.split_first() else { bail!("{USAGE}") };
    match verb.as_str() {
        "demo" => programs::demo(&root(), rest),
        "test" => test::test(&root(), rest),
        "bench" => programs::bench(&root(), rest),
        "corpus" => programs::corpus(&root(), rest),
        "fuzz" => fuzz::command(&root(), rest),
        "build-agent" => cross::command(&root(), rest).map(|()| ExitCode::SUCCESS),
        "check" => house::command(&root(), rest),
        "stages" => {
            stages::print();
            Ok(ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`\n{USAGE}"),
    }
}

/// The directory of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
