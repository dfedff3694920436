//! The command line.
//!
//! `run` is the agent itself; every other command reads what it left, leaves
//! something for it and calls it, so that an owner's wish survives a restart.

mod configuration;
mod consent;
mod doctor;
mod follow;
mod install;
mod look;
mod partitions;
mod run;
mod screen;
mod switch;
mod terminal;

use agent::config::{self, Config};
use agent::platform::power::EXIT_RESTART;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;
use types::{Kind, Name, Outcome};

/// What ends with something else than 0.
const EXIT_CODES: &str = "\
Exit status:
  0    done
  1    the agent could not do its work; the reason is on standard error
  2    the command was not understood
  3    there is nothing that the command could act on
  4    something has to be mended before updates can work
  10   the terminal refused the package; nothing was changed
  11   the update failed; the terminal runs what it ran
  12   the agent's own records are damaged
  100  the terminal has to be restarted now (no `power.restart` is configured)
  101  the agent has to be started anew: a newer one takes its place";

const EXAMPLES: &str = "\
Examples:
  refit-agent run                           the agent, as a service
  refit-agent status --why                  what runs, and why nothing more does
  refit-agent install update.zip --test     would this terminal take the package?
  refit-agent install update.zip            take it
  refit-agent pause                         until `resume`
  refit-agent config example > agent.toml   a commented configuration
  refit-agent doctor                        is this terminal fit for updates?";

/// Carries updates through on this terminal.
#[derive(Debug, Parser)]
#[command(name = "refit-agent", version, after_help = EXAMPLES, after_long_help = long_help())]
struct Words {
    /// The configuration file.
    #[arg(long, global = true, env = "REFIT_AGENT_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

fn long_help() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}")
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until it is stopped.
    Run {
        /// Stop as soon as there is nothing to do: for terminals without a service.
        #[arg(long)]
        once: bool,
    },
    /// Say what runs and what goes on.
    Status {
        /// Say why nothing moves, and how the last attempt ended.
        #[arg(long)]
        why: bool,
        /// One JSON object, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Ask the server now.
    Check,
    /// Fetch and write nothing until `resume`.
    Pause,
    /// Go on after `pause`, and agree to an update that waits for the owner.
    Resume,
    /// Give up the update in progress, unless it is activated already.
    Cancel,
    /// Agree to the update in progress, and say when it is to be started.
    Agree {
        /// `now`, `soon` (the next good time), `tonight`, or a date and time of this
        /// terminal's zone: `2026-11-25 19:30`.
        #[arg(default_value = "soon")]
        when: String,
    },
    /// Put the update in progress off for a while.
    Postpone {
        /// For how many hours.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Refuse the update in progress.
    Decline,
    /// Install a package that is a file of this terminal.
    Install {
        /// The package.
        file: PathBuf,
        /// Only say whether this terminal would take it.
        #[arg(long)]
        test: bool,
        /// One JSON object per line, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Let the release on trial stay, whatever its health checks say.
    Confirm,
    /// Let the release on trial go, whatever its health checks say.
    Rollback,
    /// Switch on or off what the agent does by itself.
    Automatic {
        /// Asking the server, or installing what it wants.
        what: switch::Automatic,
        /// Whether.
        to: OnOff,
    },
    /// Write a named partition to a file.
    Backup {
        /// Which, as in the configuration.
        partition: Name,
        /// Where to.
        file: PathBuf,
    },
    /// Write a backup back to its partition.
    Restore {
        /// Which, as in the configuration.
        partition: Name,
        /// Where from.
        file: PathBuf,
        /// What is there is lost.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Make the terminal as from the factory, at its next start.
    FactoryReset {
        /// What its owner set up is lost.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Say whether this terminal is put together so that updates can work.
    Doctor {
        /// One JSON object, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// About the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print completions for a shell.
    Completions {
        /// Which.
        shell: Shell,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnOff {
    /// The agent does it by itself.
    On,
    /// Only when someone says so.
    Off,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a commented example.
    Example,
    /// Say whether the file can be used.
    Check,
    /// Say which copies of the terminal's own configuration there are.
    Status,
    /// Say how a package would change the terminal's own configuration.
    Migrate {
        /// The package.
        file: PathBuf,
        /// Only say so: the copy is made aside and removed again. An update does the same
        /// and keeps it.
        #[arg(long, required = true)]
        dry_run: bool,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// There is nothing that it could act on.
    Nothing,
    /// An update ended so.
    Outcome(Outcome),
    /// Something has to be mended before updates can work.
    Unfit,
    /// Whoever started this has to restart the terminal.
    Restart,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::SUCCESS,
            End::Nothing => Self::from(3),
            End::Unfit => Self::from(4),
            End::Restart => Self::from(EXIT_RESTART),
            End::Outcome(outcome) => match outcome.kind() {
                Kind::Done => Self::SUCCESS,
                Kind::Refused => Self::from(10),
                Kind::Failed => Self::from(11),
                Kind::Wrong => Self::from(12),
            },
        }
    }
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    match perform(Words::parse()) {
        Ok(end) => end.into(),
        Err(error) => {
            eprintln!("refit-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(words: Words) -> anyhow::Result<End> {
    let path = words.config;
    let config = || Config::load(&path).context("cannot start");
    match words.command {
        Command::Completions { shell } => {
            let mut out = std::io::stdout();
            clap_complete::generate(shell, &mut Words::command(), "refit-agent", &mut out);
            Ok(End::Done)
        }
        Command::Backup { partition, file } => partitions::backup(&config()?, &partition, &file),
        Command::Restore { partition, file, .. } => {
            partitions::restore(&config()?, &partition, &file)
        }
        Command::FactoryReset { .. } => partitions::factory_reset(&config()?),
        Command::Doctor { json } => doctor::examine(&path, json),
        Command::Config { command: ConfigCommand::Example } => {
            print!("{}", config::EXAMPLE);
            Ok(End::Done)
        }
        Command::Config { command: ConfigCommand::Check } => {
            config()?;
            println!("{} can be used", path.display());
            Ok(End::Done)
        }
        Command::Config { command: ConfigCommand::Status } => configuration::status(&config()?),
        Command::Config { command: ConfigCommand::Migrate { file, .. } } => {
            configuration::rehearse(&config()?, &file)
        }
        Command::Run { once } => {
            run::run(&config()?, if once { run::Until::Idle } else { run::Until::Stopped })
        }
        Command::Status { why, json } => look::status(&config()?, look::Form::new(why, json)),
        Command::Check => switch::check(&config()?),
        Command::Pause => switch::pause(&config()?),
        Command::Resume => switch::resume(&config()?),
        Command::Cancel => switch::cancel(&config()?),
        Command::Agree { when } => consent::agree(&config()?, &when),
        Command::Postpone { hours } => consent::postpone(&config()?, hours),
        Command::Decline => consent::decline(&config()?),
        Command::Automatic { what, to } => switch::automatic(&config()?, what, to),
        Command::Confirm => switch::confirm(&config()?),
        Command::Rollback => switch::rollback(&config()?),
        Command::Install { file, test: true, json } => {
            install::test(&config()?, &file, follow::Form::new(json))
        }
        Command::Install { file, test: false, json } => {
            install::install(&config()?, &file, follow::Form::new(json))
        }
    }
}
