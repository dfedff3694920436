//! `refit-agent`: carries updates through on one terminal.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "upkeep")]
    if let Some(error) = agent::platform::hooks::run_if_asked(std::env::args_os().skip(1)) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    // A worker must not get as far as anything that it could do harm with.
    match agent::worker::run_if_asked(std::env::args().skip(1)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::FAILURE,
        None => cli::run(),
    }
}
