//! The maker's half: keys, packages, signatures, and looking at them.

mod add_delta;
mod appear;
mod claims;
mod config;
mod date;
mod diff;
mod encode;
mod hooks;
mod inspect;
mod keygen;
mod keys;
mod pack;
mod patch;
mod rewrite;
mod sign;
mod verify;
mod zip;

use clap::Subcommand;
use std::process::ExitCode;
use types::Timestamp;

/// What a maker types.
#[derive(Subcommand)]
pub(crate) enum Command {
    Keygen(keygen::Args),
    Pack(pack::Args),
    Sign(sign::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Patch(patch::Args),
    AddDelta(add_delta::Args),
}

/// Does what was typed; `now` is the time for expiry.
pub(crate) fn run(command: Command, now: Timestamp) -> anyhow::Result<ExitCode> {
    match command {
        Command::Keygen(args) => keygen::run(&args, now),
        Command::Pack(args) => pack::run(&args, now),
        Command::Sign(args) => sign::run(&args, now),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args, now),
        Command::Diff(args) => diff::run(&args),
        Command::Patch(args) => patch::run(&args),
        Command::AddDelta(args) => add_delta::run(&args, now),
    }
}
