//! `refit diff`: two images become a patch.

use super::appear::{appear, say};
use super::config::Bytes;
use super::zip::progress;
use anyhow::Context;
use clap::Parser;
use delta::open::{ContainerKind, Row, Tally};
use delta::{Delta, DiffOptions, Effort, PatchHeader, Progress, Stage};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use types::Digest;

/// Makes the patch that turns one image into another
///
/// What is compressed inside the images (file systems, kernels, archives) is opened,
/// compared, and encoded again when the patch is applied. The same images and options
/// give the same patch.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit diff old.squashfs new.squashfs -o update.patch
  refit diff old.ext4 new.ext4 -o update.patch --max-heap \"8 MiB\" --explain
  refit diff old.img new.img -o - | ssh build 'cat > update.patch'
  refit diff old.img new.img -o update.patch --fast --json | jq .patch.size")]
pub(crate) struct Args {
    /// The image that the terminal runs
    old: PathBuf,
    /// The image that it shall run
    new: PathBuf,
    /// Where the patch goes; replaced at once when it is complete. `-` is the output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The most memory that applying it may take, as in "8 MiB"
    #[arg(long, value_name = "BYTES", default_value = "64 MiB")]
    max_heap: Bytes,
    /// In less time, for a patch that is a little larger
    #[arg(long)]
    fast: bool,
    /// Says where the bytes of the patch went
    #[arg(long)]
    explain: bool,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let read =
        |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let Bytes(max_heap) = args.max_heap;
    let effort = if args.fast { Effort::Fast } else { Effort::Best };
    let options = DiffOptions { max_heap: max_heap.into(), effort, ..DiffOptions::default() };
    let bars = Bars(progress("sorting"));
    let made = delta::diff(old, &new, &options, &bars);
    bars.0.finish_and_clear();
    let what = || format!("cannot compare {} and {}", args.old.display(), args.new.display());
    let delta = made.with_context(what)?;
    appear(&args.output, |file| Ok(file.write_all(&delta.bytes)?))?;
    let header = PatchHeader::read(&delta.bytes)?.context("the patch has no header")?.0;
    say(
        &args.output,
        &if args.json {
            format!("{:#}\n", as_json(&header, &delta))
        } else {
            as_text(args, &header, &delta)
        },
    );
    Ok(ExitCode::SUCCESS)
}

/// One bar, whose word is the stage.
pub(crate) struct Bars(pub(crate) ProgressBar);

impl Progress for Bars {
    fn reached(&self, stage: Stage, done: u64, all: u64) {
        self.0.set_message(match stage {
            Stage::OpeningOld => "opening",
            Stage::OpeningNew => "proving",
            Stage::Sorting => "sorting",
            Stage::Comparing => "comparing",
            Stage::Writing => "writing",
        });
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

fn as_json(header: &PatchHeader, delta: &Delta) -> Value {
    let image = |image: delta::Image| json!({"size": image.size, "sha256": Digest(image.digest)});
    let why = delta.explanation;
    let containers: Vec<Value> = delta.census.rows.iter().map(container).collect();
    json!({
        "old": image(header.source),
        "new": image(header.target),
        "patch": {"size": delta.bytes.len(), "sha256": Digest::of(&delta.bytes)},
        "heap": header.heap,
        "bytes": {
            "lists": why.lists,
            "corrections": why.corrections,
            "choices": why.choices,
            "control": why.control,
            "changes": why.changes,
            "new": why.new_bytes,
            "stored": why.stored,
            "packed": why.packed,
        },
        "containers": containers,
    })
}

/// What became of the streams in one kind of container of the new image.
fn container((kind, row): (&ContainerKind, &Row)) -> Value {
    let tally = |tally: &Tally| json!({"streams": tally.streams, "bytes": tally.bytes});
    let raw: Value = row.raw.iter().map(|(why, left)| (why.name(), tally(left))).collect();
    json!({
        "kind": kind.name(),
        "opened_percent": row.opened_percent(),
        "seen": tally(&row.seen),
        "unchanged": tally(&row.unchanged),
        "opened": tally(&row.opened),
        "corrected": tally(&row.corrected),
        "correction_bytes": row.correction_bytes,
        "raw": raw,
    })
}

fn as_text(args: &Args, header: &PatchHeader, delta: &Delta) -> String {
    let size = delta.bytes.len() as u64;
    let all = header.target.size;
    let percent = size as f64 * 100.0 / all as f64;
    let share = (all > 0).then(|| format!(", {percent:.1} % of {}", HumanBytes(all)));
    let mut text = format!(
        "{}: {}{}; applying it takes {} of memory\n",
        args.output.display(),
        HumanBytes(size),
        share.unwrap_or_default(),
        HumanBytes(header.heap),
    );
    if args.explain {
        let why = delta.explanation;
        for (bytes, what) in [
            (why.lists, "header, frames, lists"),
            (why.corrections, "corrections of what encoders make"),
            (why.choices, "what encoders chose, told with the content"),
            (why.control, "what comes from where"),
            (why.changes, "how old bytes change"),
            (why.new_bytes, "new bytes"),
            (why.stored, "stored as they are"),
            (why.packed, "packed without the old image: any other patch is longer"),
        ] {
            text += &format!("{bytes:>12}  {what}\n");
        }
        text += &delta.census.to_string();
    }
    text
}
