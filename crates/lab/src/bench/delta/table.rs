//! The tables, as `docs/performance.md` has them.

use super::goals::ratio;
use super::peers::{TOOLS, Tool};
use super::run::{Done, Outcome};
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
    format!("{:.1}, {:.0}; {:.2}, {:.1}", diff.cpu, diff.rss, patch.cpu, patch.rss)
}

fn cell(outcome: &Outcome, tool: Tool, show: impl Fn(&Done) -> String) -> String {
    outcome.of(tool).map_or_else(|| "–".to_owned(), show)
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
    Ok(format!("{}{}; corpus {corpus}", said(&mut dpkg)?, Venv::describe()))
}
