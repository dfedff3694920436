//! What is expected of each pair, and how far it is.

use super::outcome::Outcome;
use super::peers::Tool;
use crate::corpus::Shape;
use std::fmt;

/// What applying may take beside its declared heap, in MiB.
const BESIDE_HEAP: f64 = 6.0;
/// The CPU of applying where nothing is encoded again, in that of `hpatchz`.
const PLAIN_APPLY: f64 = 2.5;
/// The CPU of making one, in bsdiff's.
const DIFF_CPU: f64 = 0.5;
/// The memory of making one, in bytes of the expanded old image.
const DIFF_MEMORY: f64 = 8.0;
/// MiB that may be taken however small the image is.
const LEAST_MEMORY: f64 = 64.0;
/// `--fast`: the time, and the bytes.
const FAST_TIME: f64 = 1.0 / 3.0;
const FAST_BYTES: f64 = 1.15;
/// Runs of the clock below which CPU times say nothing: ten of its ticks.
const NOISE: f64 = 0.1;

const MIB: f64 = 1_048_576.0;

/// One goal.
#[derive(Debug, PartialEq)]
pub(super) struct Goal {
    pub(super) pair: String,
    what: &'static str,
    is: f64,
    at_most: f64,
}

impl Goal {
    pub(super) fn reached(&self) -> bool {
        self.is <= self.at_most
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pair, what, is, at_most } = self;
        let over = (is / at_most - 1.0) * 100.0;
        write!(f, "{pair}: {what} is {is:.3}, goal {at_most:.3}, {over:.0} % over")
    }
}

/// All goals that can be judged by what was measured.
pub(super) fn judge(outcome: &Outcome) -> Vec<Goal> {
    let mut goals = sizes(outcome);
    goals.extend(costs(outcome));
    goals
}

/// How a shape's patches compare with the best peer's.
pub(super) fn ratio(shape: Shape) -> Option<f64> {
    match shape {
        Shape::SquashfsXz => Some(0.17),
        Shape::SquashfsOther => Some(0.25),
        Shape::SelfExtracting => Some(0.20),
        Shape::Plain => Some(1.0),
        Shape::Any => None,
    }
}

fn sizes(outcome: &Outcome) -> Vec<Goal> {
    let Some(own) = outcome.of(Tool::Refit) else { return Vec::new() };
    let goal = |what, is, at_most| Goal { pair: outcome.pair.clone(), what, is, at_most };
    let size = own.size as f64;
    let mut goals =
        vec![goal("bytes beside the full payload's", size, outcome.full as f64 + 256.0)];
    if let Some((_, best)) = outcome.best() {
        let best = best as f64;
        goals.push(goal("bytes beside the best peer's", size, best * 1.01 + 2048.0));
        if let Some(ratio) = ratio(outcome.shape) {
            goals.push(goal("ratio to the best peer", size / best, ratio));
        }
    }
    goals
}

fn costs(outcome: &Outcome) -> Vec<Goal> {
    let Some(own) = outcome.of(Tool::Refit) else { return Vec::new() };
    let goal = |what, is, at_most| Goal { pair: outcome.pair.clone(), what, is, at_most };
    let heap = own.said.heap as f64 / MIB;
    let mut goals = vec![goal("MiB of applying", own.patch.rss, heap + BESIDE_HEAP)];
    let making = own.diff.cpu;
    // What is opened has no other size; how much it grows when opened nobody says.
    if outcome.shape == Shape::Plain {
        let most = outcome.old as f64 / MIB * DIFF_MEMORY;
        goals.push(goal("MiB of making", own.diff.rss, most.max(LEAST_MEMORY)));
        if let Some(bsdiff) = outcome.of(Tool::Bsdiff) {
            goals.push(goal("CPU s of making", making, (bsdiff.diff.cpu * DIFF_CPU).max(NOISE)));
        }
        if let Some(peer) = outcome.of(Tool::Hdiffpatch) {
            let most = (peer.patch.cpu * PLAIN_APPLY).max(NOISE) + outcome.hashing;
            goals.push(goal("CPU s of applying", own.patch.cpu, most));
        }
    }
    if let Some(fast) = outcome.of(Tool::RefitFast) {
        let its = fast.diff.cpu;
        goals.push(goal("CPU s of --fast", its, (making * FAST_TIME).max(NOISE)));
        let most = own.size as f64 * FAST_BYTES + 256.0;
        goals.push(goal("bytes of --fast", fast.size as f64, most));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::super::TOOLS;
    use super::super::cost::Cost;
    use super::super::outcome::{Done, Row, Said};
    use super::*;

    /// A pair on which every peer needs `peers` bytes, and Refit `own`.
    fn outcome(shape: Shape, own: u64, peers: u64) -> Outcome {
        let cost = |cpu| Cost { cpu, wall: cpu, rss: 9.0 };
        let said = Said { heap: 4 << 20 };
        let row = |tool: Tool| {
            let size = if tool.is_peer() { peers } else { own };
            let cpu = if tool == Tool::RefitFast { 2.5 } else { 9.0 };
            Row {
                tool,
                done: Ok(Done { size, diff: cost(cpu), patch: cost(0.2), said, earlier: false }),
            }
        };
        let rows = TOOLS.into_iter().map(row).collect();
        let pair = "x".to_owned();
        Outcome { pair, shape, old: 1000, new: 1000, full: 100_000, hashing: 0.1, rows }
    }

    fn check(outcome: &Outcome, missed: &[&str]) {
        let found: Vec<_> = judge(outcome)
            .into_iter()
            .filter(|goal| !goal.reached())
            .map(|goal| goal.what)
            .collect();
        assert_eq!(found, missed);
    }

    #[test]
    fn each_shape_has_its_ratio() {
        check(&outcome(Shape::SquashfsXz, 1_700, 10_000), &[]);
        check(&outcome(Shape::SquashfsXz, 1_800, 10_000), &["ratio to the best peer"]);
        check(&outcome(Shape::SelfExtracting, 2_000, 10_000), &[]);
        check(&outcome(Shape::SquashfsOther, 2_600, 10_000), &["ratio to the best peer"]);
        check(&outcome(Shape::Any, 12_000, 10_000), &[]);
    }

    #[test]
    fn every_pair_is_beside_the_peers_and_the_full_payload() {
        check(&outcome(Shape::Any, 12_200, 10_000), &["bytes beside the best peer's"]);
        check(&outcome(Shape::Any, 100_300, 99_000), &["bytes beside the full payload's"]);
    }

    #[test]
    fn time_and_memory_are_judged() {
        let mut pair = outcome(Shape::Plain, 10_000, 10_000);
        check(&pair, &["CPU s of making"]);
        if let Some(Ok(own)) = pair.rows.first_mut().map(|row| row.done.as_mut()) {
            own.diff = Cost { cpu: 4.5, ..own.diff };
            own.patch = Cost { cpu: 0.7, wall: 0.7, rss: 10.1 };
        }
        check(&pair, &["MiB of applying", "CPU s of applying", "CPU s of --fast"]);
    }

    #[test]
    fn without_all_peers_nothing_is_said_about_the_best() {
        let mut pair = outcome(Shape::SquashfsXz, 50_000, 10_000);
        pair.rows.pop();
        check(&pair, &[]);
    }
}
