//! `lab`: the demo, the power cuts and the benches, with the real programs.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "lab", about = "The real world: demo, power cuts, benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(lab::bench::Args),
    Corpus(lab::corpus::Args),
    Board(lab::board::Args),
    Cuts(lab::cuts::Args),
    Deltas(lab::deltas::Args),
    Demo(lab::demo::Args),
    Emmc(lab::emmc::Args),
    Faults(lab::faults::Args),
    Flash(lab::flash::Args),
    Foreign(lab::foreign::Args),
    Idle(lab::idle::Args),
    Network(lab::network::Args),
}

fn main() -> ExitCode {
    let ran = match Cli::parse().command {
        Command::Bench(args) => lab::bench::run(&args),
        Command::Corpus(args) => lab::corpus::run(&args),
        Command::Board(args) => lab::board::run(&args),
        Command::Cuts(args) => lab::cuts::run(&args),
        Command::Deltas(args) => lab::deltas::run(&args),
        Command::Demo(args) => lab::demo::run(&args),
        Command::Emmc(args) => lab::emmc::run(&args),
        Command::Faults(args) => lab::faults::run(&args),
        Command::Flash(args) => lab::flash::run(&args),
        Command::Foreign(args) => lab::foreign::run(&args),
        Command::Idle(args) => lab::idle::run(&args),
        Command::Network(args) => lab::network::run(&args),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("lab: {error:#}");
        ExitCode::FAILURE
    })
}
