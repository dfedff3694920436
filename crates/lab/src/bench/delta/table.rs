//! The tables, as `docs/performance.md` has them.

use super::goals::ratio;
use super::outcome::{Done, Outcome};
use super::peers::{TOOLS, Tool};
use super::venv::Venv;
use crate::corpus::Manifest;
use crate::process::{said, system};
use anyhow::Result;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use types::Digest;

/// Bytes of the patches, one line for each pair.
pub(super) fn sizes(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let mut header = vec!["KB".to_owned(), "image".to_owned()];
    header.extend(TOOLS.iter().map(Tool::to_string));
    header.extend(["× best peer".to_owned(), "goal".to_owned()]);
    table.set_header(header);
    for outcome in outcomes {
        let mut row = vec![outcome.pair.clone(), kb(outcome.new)];
        row.extend(TOOLS.iter().map(|tool| cell(outcome, *tool, |done| kb(done.size))));
        let own = outcome.of(Tool::Refit).map(|done| done.size);
        let best = outcome.best().map(|(_, size)| size);
        let ratio_is = own.zip(best).map(|(own, best)| own as f64 / best as f64);
        row.push(ratio_is.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")));
        row.push(ratio(outcome.shape).map_or_else(|| "–".to_owned(), |goal| format!("{goal:.2}")));
        table.add_row(row);
    }
    table.to_string()
}

/// CPU and memory of making and of applying.
pub(super) fn costs(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let mut header = vec!["making: CPU s, MiB; applying: CPU s, MiB".to_owned()];
    header.extend(TOOLS.iter().map(Tool::to_string));
    table.set_header(header);
    for outcome in outcomes {
        let mut row = vec![outcome.pair.clone()];
        row.extend(TOOLS.iter().map(|tool| cell(outcome, *tool, costs_of)));
        table.add_row(row);
    }
    table.to_string()
}

fn costs_of(done: &Done) -> String {
    let Done { diff, patch, .. } = done;
    let when = if done.earlier { EARLIER } else { "" };
    format!("{:.1}, {:.0}; {:.2}, {:.1}{when}", diff.cpu, diff.rss, patch.cpu, patch.rss)
}

/// Behind figures that another run measured.
const EARLIER: &str = " °";

fn cell(outcome: &Outcome, tool: Tool, show: impl Fn(&Done) -> String) -> String {
    let row = outcome.rows.iter().find(|row| row.tool == tool);
    match row.map(|row| &row.done) {
        Some(Ok(done)) => show(done),
        Some(Err(why)) => short(why).to_owned(),
        None => "–".to_owned(),
    }
}

/// Why there is no figure, in a word.
fn short(why: &str) -> &'static str {
    if why.contains("MiB of memory") {
        "memory"
    } else if why.contains("did not finish") {
        "did not finish"
    } else {
        "failed"
    }
}

fn kb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1000.0)
}

/// Which tools and which corpus these figures belong to.
pub(super) fn describe(manifest: &Manifest) -> Result<String> {
    let mut dpkg = system("dpkg-query", "dpkg")?;
    dpkg.args(["--show", "--showformat=${Package} ${Version}, ", "bsdiff", "xdelta3", "zstd"]);
    let corpus: String = manifest
        .pairs
        .iter()
        .map(|pair| format!("{}{}", pair.old.sha256, pair.new.sha256))
        .collect();
    let corpus = Digest::of(corpus.as_bytes()).to_string();
    let corpus = corpus.get(..16).unwrap_or_default();
    let limits = "°: by an earlier run on the same images; did not finish: within the time of \
                  `--limit`; memory: needs more than was free";
    Ok(format!("{}{}; corpus {corpus}\n{limits}", said(&mut dpkg)?, Venv::describe()))
}
