//! `refit-agent`: carries updates through on one terminal.
use std::process::ExitCode;

fn main() -> ExitCode {
    match agent::worker::run_if_asked(std::env::args().skip(1)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
