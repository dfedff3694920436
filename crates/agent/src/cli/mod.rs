//! The command line.
//!
//! `run` is the agent itself; every other command reads what it left, leaves
//! something for it and calls it, so that an owner's wish survives a restart.

mod commands;
#[cfg(feature = "doctor")]
mod completions;
#[cfg(feature = "upkeep")]
mod configuration;
mod consent;
#[cfg(feature = "doctor")]
mod doctor;
mod follow;
#[cfg(feature = "doctor")]
mod held;
mod help;
mod install;
mod look;
#[cfg(feature = "upkeep")]
mod partitions;
mod run;
mod screen;
mod switch;
mod terminal;
mod told;
mod words;

use agent::platform::power::EXIT_RESTART;
use std::process::ExitCode;
use types::{Kind, Outcome};
use words::{Misread, Wanted};

/// The status with which a command ends that was not understood.
const MISREAD: u8 = 2;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// There is nothing that it could act on.
    Nothing,
    /// An update ended so.
    Outcome(Outcome),
    /// Something has to be mended before updates can work.
    #[cfg(feature = "doctor")]
    Unfit,
    /// Whoever started this has to restart the terminal.
    Restart,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::SUCCESS,
            End::Nothing => Self::from(3),
            #[cfg(feature = "doctor")]
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
    let words = std::env::args_os().skip(1);
    match words::read(words, std::env::var_os(words::CONFIG_VARIABLE)) {
        Ok(Wanted::Help(on)) => said(&on.map_or_else(help::all, help::one)),
        Ok(Wanted::Version) => said(&help::version()),
        Ok(Wanted::Act(given)) => given.act().map_or_else(|error| told(&error), Into::into),
        Err(misread) => told(&misread.into()),
    }
}

fn said(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn told(error: &anyhow::Error) -> ExitCode {
    eprintln!("refit-agent: {error:#}");
    if error.is::<Misread>() {
        eprintln!("`refit-agent --help` explains all commands");
        return ExitCode::from(MISREAD);
    }
    ExitCode::FAILURE
}
