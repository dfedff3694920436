//! Many runs: every point, many pairs, random triples.

use crate::chance::Chance;
use crate::oracle::Broken;
use crate::release::{Release, new_release};
use crate::run::{Ran, run};
use crate::scenario::{Fault, Image, Layout, Loader, Scenario};
use crate::world::{Crash, Injection};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// One run, reproducible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What is tried.
    pub scenario: Scenario,
    /// Of tears and lost replies.
    pub seed: u64,
    /// The crashes.
    pub injections: Vec<Injection>,
}

/// A case and the rule that it broke.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How to see it again.
    pub case: Case,
    /// What did not hold.
    pub broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: sim replay {} {}", self.broken, self.case.scenario, self.case.seed)?;
        for Injection { at, crash } in &self.case.injections {
            let crash = if *crash == Crash::Kill { "kill" } else { "cut" };
            write!(f, " {at}{crash}")?;
        }
        Ok(())
    }
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs made.
    pub runs: usize,
    /// Runs in which a rule was broken.
    pub failed: usize,
    /// The first of them.
    pub failures: Vec<Failure>,
}

/// The most failures that are kept.
const FAILURES_MAX: usize = 10;

/// Releases by what they are made for; each thread has its own.
#[derive(Default)]
struct Releases(HashMap<(Layout, Image), Rc<Release>>);

impl Releases {
    fn of(&mut self, scenario: Scenario) -> Rc<Release> {
        let Scenario { layout, image, .. } = scenario;
        let made = self.0.entry((layout, image));
        Rc::clone(made.or_insert_with(|| Rc::new(new_release(layout, image))))
    }
}

/// Runs one case.
pub fn one(case: &Case) -> Ran {
    let release = Releases::default().of(case.scenario);
    run(case.scenario, &release, case.seed, &case.injections)
}

/// How many points a scenario has without crashes.
pub fn points(scenario: Scenario) -> u32 {
    one(&Case { scenario, seed: 1, injections: Vec::new() }).points
}

/// Every point of every scenario, killed and cut.
pub fn every_point(scenarios: &[Scenario]) -> Vec<Case> {
    let mut cases = Vec::new();
    for scenario in scenarios {
        for at in 0..points(*scenario) {
            for crash in [Crash::Kill, Crash::Cut] {
                let injections = vec![Injection { at, crash }];
                cases.push(Case { scenario: *scenario, seed: u64::from(at), injections });
            }
        }
    }
    cases
}

/// `count` pairs of crashes, spread evenly over the scenarios.
pub fn pairs(scenarios: &[Scenario], count: usize, seed: u64) -> Vec<Case> {
    let lengths: Vec<_> = scenarios.iter().map(|s| (*s, points(*s))).collect();
    let mut chance = Chance::new(seed);
    let spread = lengths.iter().cycle().take(count);
    spread.map(|(scenario, points)| random_case(*scenario, *points, 2, &mut chance)).collect()
}

/// `count` triples of crashes, with every further fault.
pub fn triples(count: usize, seed: u64) -> Vec<Case> {
    let mut scenarios = Scenario::all();
    for loader in Loader::BOTH {
        for layout in Layout::FULL {
            scenarios.push(Scenario { image: Image::Moody, loader, layout, fault: Fault::None });
        }
    }
    let lengths: Vec<_> = scenarios.into_iter().map(|s| (s, points(s))).collect();
    let mut chance = Chance::new(seed);
    let faults = [Fault::None, Fault::LyingFlash, Fault::FullStore, Fault::LostJournal];
    let spread = lengths.iter().cycle().zip(faults.iter().cycle()).take(count);
    let case = |((scenario, points), fault): (&(Scenario, u32), &Fault)| {
        random_case(Scenario { fault: *fault, ..*scenario }, *points, 3, &mut chance)
    };
    spread.map(case).collect()
}

fn random_case(scenario: Scenario, points: u32, crashes: usize, chance: &mut Chance) -> Case {
    // A crash makes the run longer, so a later one may come after the first end.
    let span = u64::from(points) + 60;
    // Half of the crashes fall into the last steps, where the decisions are.
    let tail = u64::from(points.saturating_sub(140));
    let mut injection = || Injection {
        at: u32::try_from(if chance.one_in(2) {
            chance.below(span)
        } else {
            tail + chance.below(200)
        })
        .unwrap_or(0),
        crash: if chance.one_in(2) { Crash::Kill } else { Crash::Cut },
    };
    let mut injections: Vec<_> = (0..crashes).map(|_| injection()).collect();
    injections.sort_unstable();
    injections.dedup_by_key(|i| i.at);
    Case { scenario, seed: chance.number(), injections }
}

/// When a sweep ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When all cases ran.
    Done,
    /// At the first broken rule.
    Broken,
}

/// Runs the cases on all cores.
pub fn sweep(cases: &[Case], until: Until) -> Tally {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = cases.len().div_ceil(threads).max(1);
    let stop = AtomicBool::new(false);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let started: Vec<_> = cases
            .chunks(share)
            .map(|part| scope.spawn(|| sweep_part(part, until, &stop)))
            .collect();
        started.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.runs += tally.runs;
        all.failed += tally.failed;
        all.failures.extend(tally.failures);
    }
    // A thread that panicked judged none of its cases.
    if !stop.load(Ordering::Relaxed) {
        all.failed += cases.len() - all.runs;
    }
    all
}

fn sweep_part(cases: &[Case], until: Until, stop: &AtomicBool) -> Tally {
    let mut releases = Releases::default();
    let mut tally = Tally::default();
    for case in cases {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let release = releases.of(case.scenario);
        tally.runs += 1;
        if let Some(broken) = run(case.scenario, &release, case.seed, &case.injections).broken {
            tally.failed += 1;
            stop.store(until == Until::Broken, Ordering::Relaxed);
            if tally.failures.len() < FAILURES_MAX {
                tally.failures.push(Failure { case: case.clone(), broken });
            }
        }
    }
    tally
}
