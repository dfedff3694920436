//! `refit verify`: would a terminal with this root of trust take the package?

use super::date::Date;
use super::keys::read_root;
use super::zip::{ZipFile, progress};
use clap::Parser;
use engine::examine::{ExamineError, Examined, examine};
use engine::inspect::Refusal;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use types::{Outcome, Timestamp};

/// Exit status of a package that is refused.
const REFUSED: u8 = 3;

/// Reads every byte of a package and says whether terminals take it
///
/// Checks who signed it and until when, that nothing was changed, added or left out,
/// and that each payload decodes to the signed image. What only the terminal knows
/// (its product, hardware, variant and rollback floor) is not asked.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit verify update.zip --root keys/root.json
  refit verify update.zip --root keys/root.json --at 2030-01-01
  refit verify update.zip --root keys/root.json --json

Exit status: 0 good, 1 cannot be read, 3 refused; the reason is a sentence and
one of the numbered outcomes that terminals report.")]
pub(crate) struct Args {
    /// The package
    package: PathBuf,
    /// The root of trust that terminals have
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Judges expiry at this time, not now
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, now: Timestamp) -> anyhow::Result<ExitCode> {
    let root = read_root(&args.root)?;
    let bar = progress("verifying");
    let source = ZipFile::open(&args.package, bar.clone())?;
    let examined = examine(&source, Some(&root), args.at.map_or(now, |date| date.0));
    bar.finish_and_clear();
    let file = args.package.display();
    match examined {
        Ok(examined) if args.json => println!("{:#}", good_json(&examined)),
        Ok(examined) => println!("{file} is good: {}", good(&examined)),
        Err(ExamineError::Refused(refusal)) => {
            match args.json {
                true => println!("{:#}", refused_json(&refusal)),
                false => println!("{file} is refused: {refusal}\n{}", advice(refusal.outcome)),
            }
            return Ok(ExitCode::from(REFUSED));
        }
        Err(error @ ExamineError::Source(_)) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn good(examined: &Examined) -> String {
    let manifest = &examined.manifest;
    let expires = examined.targets.as_ref().map(|targets| targets.expires().to_string());
    format!(
        "{} {}, rollback index {}, for {}; its signatures count until {}",
        manifest.product,
        manifest.version,
        manifest.rollback_index,
        join(&manifest.hardware),
        expires.unwrap_or_default(),
    )
}

/// Names for people.
pub(super) fn join(names: &[types::Name]) -> String {
    let names: Vec<_> = names.iter().map(types::Name::as_str).collect();
    names.join(", ")
}

fn good_json(examined: &Examined) -> Value {
    let expires = examined.targets.as_ref().map(|targets| targets.expires());
    json!({"good": true, "release": examined.release(), "expires": expires})
}

fn refused_json(refusal: &Refusal) -> Value {
    let outcome = refusal.outcome;
    json!({
        "good": false,
        "outcome": outcome.code(),
        "sentence": outcome.sentence(),
        "detail": refusal.detail,
    })
}

/// What the maker can do about it.
fn advice(outcome: Outcome) -> String {
    let what = match outcome {
        Outcome::UntrustedKey => "sign it with keys of this root: `refit sign PACKAGE --key …`",
        Outcome::TooFewSignatures => "let more holders of the root's keys sign it: `refit sign`",
        Outcome::Expired => {
            "sign it anew: `refit sign PACKAGE --renew --key …`; if it is the root that has \
             expired, nothing counts under it any more: give terminals a new one"
        }
        Outcome::CorruptPayload | Outcome::Truncated | Outcome::Oversized => {
            "the package was signed with a payload that is not its image: pack it again"
        }
        _ => "get it again from where it was made; if it is damaged there too, pack it again",
    };
    format!("terminals report {outcome}\nwhat to do: {what}")
}
