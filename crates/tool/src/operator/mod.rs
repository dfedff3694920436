//! The operator's half: a thin front of the server's API. It decides nothing.

mod access;
mod client;
mod devices;
mod export;
mod fleet;
mod import;
mod jobs;
mod login;
mod logs;
mod product;
mod publish;
mod rollout;
mod show;
mod static_plan;
mod tokens;

use clap::Subcommand;
use std::process::ExitCode;

/// What an operator types.
#[derive(Subcommand)]
pub(crate) enum Command {
    Login(login::Args),
    Trust(publish::TrustArgs),
    Publish(publish::Args),
    Releases(publish::ListArgs),
    EnrolToken(tokens::Args),
    #[command(subcommand)]
    Rollout(rollout::Command),
    Devices(devices::Args),
    /// What a factory knows of terminals
    #[command(subcommand)]
    Device(import::Command),
    Explain(devices::ExplainArgs),
    Timeline(fleet::TimelineArgs),
    Logs(logs::Args),
    Label(fleet::LabelArgs),
    Group(fleet::GroupArgs),
    Product(product::Args),
    /// What is said of releases, and their deltas
    #[command(subcommand)]
    Release(fleet::ReleaseCommand),
    /// Rollouts as files that any web server or CDN serves
    #[command(subcommand)]
    Plan(static_plan::Command),
    Stop(fleet::StopArgs),
    Jobs(jobs::Args),
    Export(export::Args),
}

/// Does what was typed.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Login(args) => login::run(&args),
        Command::Trust(args) => publish::trust(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Releases(args) => publish::list(&args),
        Command::EnrolToken(args) => tokens::run(&args),
        Command::Rollout(command) => rollout::run(command),
        Command::Devices(args) => devices::run(&args),
        Command::Device(command) => import::run(&command),
        Command::Explain(args) => devices::explain(&args),
        Command::Timeline(args) => fleet::timeline(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Label(args) => fleet::label(&args),
        Command::Group(args) => fleet::group(&args),
        Command::Product(args) => product::run(&args),
        Command::Release(command) => fleet::release(&command),
        Command::Plan(command) => static_plan::run(&command),
        Command::Stop(args) => fleet::stop(&args),
        Command::Jobs(args) => jobs::run(&args),
        Command::Export(args) => export::run(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}
