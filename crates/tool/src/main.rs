//! `refit`: the maker's and the operator's tool.
//!
//! This file reads the command line and the clock, and prints what went wrong. What
//! the commands do is in `maker` (packages and keys) and `operator` (a server's API).

mod maker;
mod operator;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use types::Timestamp;

/// Everything that can be typed after `refit`.
#[derive(Parser)]
#[command(name = "refit", version, about, after_help = EXAMPLES)]
#[command(propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The commands, by who types them.
#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Maker(maker::Command),
    #[command(flatten)]
    Operator(operator::Command),
    /// Prints a script that completes `refit` commands in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const EXAMPLES: &str = "\
Examples:
  refit keygen keys                        three keys, of which two must sign
  refit pack --config release.toml -o update.zip
  refit sign update.zip --key keys/key-1.json --key keys/key-2.json
  refit verify update.zip --root keys/root.json
  refit diff old.squashfs new.squashfs -o update.patch
  refit patch old.squashfs update.patch -o new.squashfs

Exit status: 0 done, 1 failed, 2 wrong command line, 3 the package is refused.";

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("refit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Maker(command) => maker::run(command, now()),
        Command::Operator(command) => operator::run(command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "refit", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the tool that reads a clock")]
fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since_1970.map_or(0, |duration| duration.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}
