//! The operator's side of Refit: publishes releases, knows the fleet, and tells
//! each terminal what to install.
//!
//! Requests come in through `southbound` (terminals) and `northbound` (operators);
//! `fleet` decides; `ledger` changes store and memory together; `jobs` does what
//! nobody asks for. Deliberately absent: anything of what happens inside a terminal.

mod backup;
mod blobs;
mod catalogue;
mod clock;
mod common;
mod config;
mod deltas;
mod downloads;
mod folder;
mod gather;
mod jobs;
mod ledger;
mod listen;
mod northbound;
mod pki;
mod plans;
mod problem;
mod quota;
mod roster;
mod routes;
mod run;
mod secret;
mod server;
mod snapshot;
mod southbound;
mod store;
mod ticket;
mod turns;
mod wire;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Refit's server
#[derive(Debug, Parser)]
#[command(name = "refit-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve terminals and operators
    Serve(Box<run::Serve>),
    /// Copy everything that a fleet needs into a folder; the servers may go on
    Backup(backup::Backup),
    /// Make a fleet of such a copy, on the same database engine or the other one
    Restore(backup::Restore),
    /// Make one delta; the server starts this itself
    #[command(hide = true)]
    MakeDelta(deltas::child::MakeDelta),
}

fn main() -> ExitCode {
    let done = match Cli::parse_from(config::expanded(std::env::args_os().collect())).command {
        // Without the runtime and its threads.
        Command::MakeDelta(args) => deltas::child::make(&args),
        other => run(other),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refit-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<()> {
    // Whatever of this program speaks TLS does so with this.
    let _first_of_all = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Serve(args) => run::serve(*args).await,
        Command::Backup(args) => backup::backup(&args).await,
        Command::Restore(args) => backup::restore(&args).await,
        Command::MakeDelta(args) => deltas::child::make(&args),
    }
}
