//! Whether every terminal is exactly where it should be, byte for byte.

use super::fleet::Fleet;
use super::prepare::Releases;
use super::show::runs;
use super::storm::Storm;
use crate::boot::BootLoop;
use crate::image::digest_of_first;
use anyhow::{Context, Result};
use comfy_table::Table;
use protocols::operator::{AttemptState, DeviceDetail, RolloutState, RolloutView};
use std::sync::atomic::Ordering;
use types::{Outcome, Slot};

/// What is to be said at the end.
pub(super) struct Verdict {
    pub(super) table: Table,
    /// What is not as it should be.
    pub(super) faults: Vec<String>,
    terminals: usize,
    survivors: u32,
}

/// Looks at every terminal: what it says, what the server holds of it, and the bytes
/// in both of its slots.
pub(super) fn judge(fleet: &Fleet, releases: &Releases, halted: &RolloutView) -> Result<Verdict> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header([
        "terminal",
        "version",
        "slot",
        "MiB fetched",
        "seconds",
        "boots",
        "blows",
        "outcome",
    ]);
    let mut faults = rollout_faults(halted);
    let mut survivors = 0;
    for terminal in &fleet.terminals {
        let name = terminal.terminal().name();
        let detail = fleet.operator.device(name)?;
        let fell_back = has_fallen_back(&detail, halted);
        survivors += u32::from(fell_back);
        let found = terminal_faults(terminal, &detail, releases)
            .with_context(|| format!("cannot judge {name}"))?;
        let outcome = match (found.first(), fell_back) {
            (Some(fault), _) => fault.clone(),
            (None, true) => format!("updated; fell back from {}", releases.bad.version),
            (None, false) => "updated".into(),
        };
        table.add_row(row(terminal, &detail, outcome));
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if survivors != halted.tally.exposed {
        let exposed = halted.tally.exposed;
        faults.push(format!("{survivors} terminals reported a fall-back of {exposed} exposed"));
    }
    Ok(Verdict { table, faults, terminals: fleet.terminals.len(), survivors })
}

/// The bad release must have stopped by itself, within its first wave.
fn rollout_faults(halted: &RolloutView) -> Vec<String> {
    let tally = halted.tally;
    let mut faults = Vec::new();
    if halted.state != RolloutState::Halted || halted.who.as_str() != "refit-server" {
        faults.push(format!("the bad release was not halted by the server: {:?}", halted.state));
    }
    if halted.wave != 1 || tally.exposed > tally.exposure_limit {
        faults.push(format!("the bad release went beyond its first wave: {tally:?}"));
    }
    faults
}

fn has_fallen_back(detail: &DeviceDetail, halted: &RolloutView) -> bool {
    let bad = detail.attempts.iter().find(|attempt| attempt.rollout == halted.id);
    bad.is_some_and(|attempt| attempt.outcome == Some(Outcome::BootFailed))
}

/// What is wrong with one terminal.
fn terminal_faults(
    terminal: &BootLoop,
    detail: &DeviceDetail,
    releases: &Releases,
) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let wanted = releases.stormy.version;
    if runs(&detail.view) != wanted {
        faults.push(format!("runs {}, not {wanted}", runs(&detail.view)));
    }
    let newest = detail.attempts.first();
    if newest.is_none_or(|attempt| attempt.state != AttemptState::Confirmed) {
        faults.push("its last attempt is not confirmed".into());
    }
    let running = detail.view.slot.context("the server knows no slot")?;
    let hold = [(running, &releases.stormy), (running.other(), &releases.good)];
    for (slot, release) in hold {
        let digest = digest_of_first(&terminal.terminal().slot(slot), releases.slot_size)?;
        if digest != release.image {
            faults.push(format!("slot {slot} does not hold the image of {}", release.version));
        }
    }
    Ok(faults)
}

fn row(terminal: &BootLoop, detail: &DeviceDetail, outcome: String) -> Vec<String> {
    let fetched: u64 = detail.attempts.iter().map(|attempt| attempt.spent.bytes).sum();
    let seconds: u32 = detail.attempts.iter().map(|attempt| attempt.spent.seconds.0).sum();
    let counts = terminal.counts();
    vec![
        terminal.terminal().name().into(),
        runs(&detail.view),
        detail.view.slot.map(|slot: Slot| slot.to_string()).unwrap_or_default(),
        format!("{:.1}", fetched as f64 / f64::from(1 << 20)),
        seconds.to_string(),
        counts.boots.load(Ordering::SeqCst).to_string(),
        counts.blows.load(Ordering::SeqCst).to_string(),
        outcome,
    ]
}

impl Verdict {
    /// The whole story in one line.
    pub(super) fn sentence(&self, storm: &Storm) -> String {
        let all = self.terminals;
        if let Some(fault) = self.faults.first() {
            return format!("demo: FAILED: {} faults, first: {fault}", self.faults.len());
        }
        format!(
            "demo: ok: {all} of {all} terminals are where they should be, byte for byte; {} \
             survived a release that does not boot, all survived {} kills, {} power cuts and {} \
             kills of the server,",
            self.survivors,
            storm.kills(),
            storm.cuts(),
            storm.server
        )
    }
}
