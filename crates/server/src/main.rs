//! The operator's side of Refit: publishes releases, knows the fleet, and tells
//! each terminal what to install.
//!
//! Requests come in through `southbound` (terminals) and `northbound` (operators);
//! `fleet` decides; `ledger` changes store and memory together; `jobs` does what
//! nobody asks for. Deliberately absent: anything of what happens inside a terminal.

mod blobs;
mod catalogue;
mod clock;
mod common;
mod folder;
mod gather;
mod jobs;
mod ledger;
mod listen;
mod northbound;
mod pki;
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
    Serve(run::Serve),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    match run::serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refit-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
