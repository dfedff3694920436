//! `sim`: sweeps the fake world, or replays one case.

use sim::chance::Chance;
use sim::defects;
use sim::run::Ran;
use sim::scenario::Scenario;
use sim::sweep::{self, Case, Tally, Until};
use sim::world::{Crash, Injection};
use std::process::ExitCode;

const USAGE: &str = "\
sim: runs the agent's own loop in a fake world, through kills and power cuts

  sim sweep [PAIRS [TRIPLES]]   every point, so many pairs (200000), so many triples (20000)
  sim layouts                   every point and many pairs of terminals with a recovery, or
                                with a bootloader in two copies
  sim quick                     a part of them; ends at the first broken rule
  sim defects [WORD]            each deliberate defect of engine and agent must be caught
  sim replay SCENARIO SEED [POINTkill|POINTcut ...]
                                one case again, as a broken rule printed it
";

/// Pairs of crashes of updates by delta: each decodes spans again, which takes longer
/// than to copy a payload.
const DELTA_PAIRS: usize = 1_000;

/// Pairs of crashes of updates with a recovery, and with a bootloader.
const RECOVERY_PAIRS: usize = 20_000;
/// See [`RECOVERY_PAIRS`].
const BOOTLOADER_PAIRS: usize = 5_000;

/// The least number of points that an update of 64 chunks has.
const POINTS_MIN: u32 = 300;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = match words.as_slice() {
        ["sweep", counts @ ..] => sweep_all(counts),
        ["layouts"] => layouts(),
        ["quick"] => quick(),
        ["defects"] => defects::try_all(""),
        ["defects", word] => defects::try_all(word),
        ["replay", scenario, seed, injections @ ..] => replay(scenario, seed, injections),
        _ => Err(USAGE.into()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn sweep_all(counts: &[&str]) -> Result<(), String> {
    let count = |n: usize, default| counts.get(n).map_or(Ok(default), |text| text.parse());
    let (pairs, triples) = (count(0, 200_000), count(1, 20_000));
    let (Ok(pairs), Ok(triples)) = (pairs, triples) else { return Err(USAGE.into()) };
    let scenarios = Scenario::all();
    let points: Vec<u32> = scenarios.iter().map(|s| sweep::points(*s)).collect();
    let (least, most) = (points.iter().min(), points.iter().max());
    println!("{} scenarios of {least:?} to {most:?} points", scenarios.len());
    let good = points.first().copied().unwrap_or(0);
    if good < POINTS_MIN {
        return Err(format!("an update of 64 chunks has {good} points, fewer than {POINTS_MIN}"));
    }
    judge(
        "single crashes, every point",
        &sweep::sweep(&sweep::every_point(&scenarios), Until::Done),
    )?;
    judge("pairs of crashes", &sweep::sweep(&sweep::pairs(&scenarios, pairs, 2), Until::Done))?;
    special("by delta", &Scenario::deltas(), DELTA_PAIRS)?;
    judge("triples of crashes with faults", &sweep::sweep(&sweep::triples(triples, 3), Until::Done))
}

fn layouts() -> Result<(), String> {
    special("with a recovery", &Scenario::recoveries(), RECOVERY_PAIRS)?;
    special("with a bootloader", &Scenario::bootloaders(), BOOTLOADER_PAIRS)
}

/// A part of everything, in one shuffled list of single crashes and one of pairs: whatever
/// is broken shows early, whichever scenario it takes.
fn quick() -> Result<(), String> {
    let kinds = [
        (Scenario::all(), 3, 3_000),
        (Scenario::deltas(), 7, 100),
        (Scenario::recoveries(), 5, 1_000),
        (Scenario::bootloaders(), 9, 300),
    ];
    let (mut points, mut pairs) = (Vec::new(), Vec::new());
    for (scenarios, step, count) in kinds {
        points.extend(sweep::every_point(&scenarios).into_iter().step_by(step));
        pairs.extend(sweep::pairs(&scenarios, count, 2));
    }
    for (what, cases) in [("single crashes", &mut points), ("pairs of crashes", &mut pairs)] {
        Chance::new(5).shuffle(cases);
        judge(&format!("{what}, a part of them"), &sweep::sweep(cases, Until::Broken))?;
    }
    judge("triples of crashes with faults", &sweep::sweep(&sweep::triples(3_000, 3), Until::Broken))
}

/// Updates of another kind: every point, and so many pairs.
fn special(kind: &str, scenarios: &[Scenario], pairs: usize) -> Result<(), String> {
    let points = sweep::every_point(scenarios);
    judge(&format!("single crashes of updates {kind}"), &sweep::sweep(&points, Until::Broken))?;
    let pairs = sweep::pairs(scenarios, pairs, 4);
    judge(&format!("pairs of crashes of updates {kind}"), &sweep::sweep(&pairs, Until::Broken))
}

fn judge(what: &str, tally: &Tally) -> Result<(), String> {
    println!("{} {what}: {} broken", tally.runs, tally.failed);
    if tally.failed == 0 {
        return Ok(());
    }
    let shown: Vec<String> = tally.failures.iter().map(ToString::to_string).collect();
    Err(shown.join("\n"))
}

fn replay(scenario: &str, seed: &str, injections: &[&str]) -> Result<(), String> {
    let case = Case {
        scenario: scenario.parse()?,
        seed: seed.parse().map_err(|_| USAGE)?,
        injections: injections.iter().map(|text| injection(text)).collect::<Result<_, _>>()?,
    };
    let Ran { points, broken, .. } = sweep::one(&case);
    println!("{points} points");
    broken.map_or(Ok(()), |broken| Err(format!("{broken:?}")))
}

fn injection(text: &str) -> Result<Injection, String> {
    let (at, crash) = match (text.strip_suffix("kill"), text.strip_suffix("cut")) {
        (Some(at), _) => (at, Crash::Kill),
        (_, Some(at)) => (at, Crash::Cut),
        _ => return Err(USAGE.into()),
    };
    Ok(Injection { at: at.parse().map_err(|_| USAGE)?, crash })
}
