//! `cargo xtask test`: sets the machine up, runs the stages, ends with a table and
//! the count of tests.

use crate::count::{Count, unpassed};
use crate::packages::{self, BROWSER, BUILD, BUS, CODECS, CORPUS, IMAGES, LOADERS, STORES, WEB};
use crate::programs;
use crate::run::{busy, now, spent};
use crate::stages::{Bench, Group, Length, STAGES, Stage};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How a stage ended.
struct Done {
    name: &'static str,
    group: Group,
    length: Length,
    budget: u64,
    took: Duration,
    /// The same without what other programs took of the processors meanwhile.
    counted: Duration,
    /// Processor time, by which a slow stage is told from a busy machine.
    spent: Duration,
    count: Count,
    fault: Option<String>,
    /// The tests that did not pass, by name, of those that have names.
    unpassed: BTreeSet<String>,
}

/// Runs the stages that `arguments` name, or the usual ones.
///
/// # Errors
/// An unknown stage, or a machine on which no stage can run.
pub(crate) fn test(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let stages = chosen(arguments)?;
    packages::ensure_installed(&BUILD)?;
    packages::ensure_installed(&IMAGES)?;
    packages::ensure_installed(&WEB)?;
    packages::ensure_installed(&STORES)?;
    packages::ensure_installed(&CODECS)?;
    packages::ensure_installed(&LOADERS)?;
    packages::ensure_installed(&BROWSER)?;
    packages::ensure_installed(&BUS)?;
    packages::ensure_installed(&CORPUS)?;
    let logs = programs::directory()?.join("stages");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let done: Vec<Done> = stages.into_iter().map(|stage| attempt(root, &logs, stage)).collect();
    Ok(conclude(&done))
}

fn chosen(arguments: &[String]) -> Result<Vec<&'static Stage>> {
    let all = STAGES.iter();
    match arguments {
        [] => Ok(all.filter(|stage| stage.length == Length::Usual).collect()),
        [flag] if flag == "--all" => Ok(all.collect()),
        [flag] if flag == "--long" => {
            Ok(all.filter(|stage| stage.length == Length::Long).collect())
        }
        names => names.iter().map(|name| named(name)).collect(),
    }
}

fn named(name: &str) -> Result<&'static Stage> {
    let found = STAGES.iter().find(|stage| stage.name == name);
    let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
    found.with_context(|| format!("there is no stage `{name}`; there are: {}", names.join(", ")))
}

fn attempt(root: &Path, logs: &Path, stage: &'static Stage) -> Done {
    println!("== {}: {}", stage.name, stage.what);
    let (began, before, busy_before) = (now(), spent(), busy());
    let budget = Duration::from_secs(stage.budget);
    let bench = Bench { root: root.into(), logs: logs.into(), stage: stage.name, budget };
    // An earlier run's; without one there is nothing to remove.
    let _ = std::fs::remove_file(bench.log());
    let result = (stage.run)(&bench).and_then(|count| {
        let took = now() - began;
        if took > budget {
            bail!("took {} s, over its budget of {} s", took.as_secs(), stage.budget);
        }
        Ok(count)
    });
    let took = now() - began;
    let (count, fault) = match result {
        Ok(count) => (count, None),
        Err(error) => (Count { passed: 0, failed: 1 }, Some(format!("{error:#}"))),
    };
    let spent = spent().saturating_sub(before);
    let counted = own_share(took, spent, busy().saturating_sub(busy_before), cores());
    let output = std::fs::read(bench.log()).unwrap_or_default();
    let unpassed = unpassed(&String::from_utf8_lossy(&output));
    let Stage { name, group, length, budget, .. } = *stage;
    let done = Done { name, group, length, budget, took, counted, spent, count, fault, unpassed };
    println!("== {}", done.line());
    done
}

impl Done {
    fn well(&self) -> bool {
        self.count.failed == 0
    }

    fn line(&self) -> String {
        let Self { name, budget, took, spent, count, fault, .. } = self;
        let verdict = if self.well() { "ok" } else { "FAILED" };
        let why = fault.as_ref().map(|fault| format!("  {fault}")).unwrap_or_default();
        let (took, spent) = (took.as_secs_f64(), spent.as_secs_f64());
        let Count { passed, failed } = count;
        format!(
            "{name:<12} {verdict:<6} {took:>6.1} of {budget:>4} s, processor {spent:>6.1} s {passed:>5} \
             passed {failed:>3} failed{why}"
        )
    }
}

/// How long a stage would have taken with the processors to itself: what others took of
/// them is left out, as far as `spent` by itself did not fill them.
fn own_share(took: Duration, spent: Duration, busy: Duration, cores: u32) -> Duration {
    let others = busy.saturating_sub(spent) / cores.max(1);
    took.saturating_sub(others).max(spent / cores.max(1)).min(took)
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

/// Prints the table, each part of the work against its budget, the tests that did not
/// pass, and as the last line the count of tests.
fn conclude(done: &[Done]) -> ExitCode {
    println!();
    done.iter().for_each(|done| println!("{}", done.line()));
    let took: f64 = done.iter().map(|done| done.took.as_secs_f64()).sum();
    let spent: f64 = done.iter().map(|done| done.spent.as_secs_f64()).sum();
    println!("{:<12} {took:>13.1} s, processor {spent:.1} s", "together");
    let over = over_budget(done);
    over.iter().for_each(|why| println!("{why}"));
    for done in done.iter().filter(|done| !done.well()) {
        done.unpassed.iter().for_each(|test| println!("{} did not pass: {test}", done.name));
    }
    let count = done.iter().fold(Count::default(), |sum, done| sum.plus(done.count));
    let count = count.plus(Count { passed: 0, failed: over.len() as u64 });
    println!("{} passed, {} failed", count.passed, count.failed);
    if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what each part of the work took; returns those over their budgets.
fn over_budget(done: &[Done]) -> Vec<String> {
    let mut over = Vec::new();
    for (group, name, budget) in Group::ALL {
        let usual = |done: &&Done| done.group == group && done.length == Length::Usual;
        let took: f64 = done.iter().filter(usual).map(|done| done.counted.as_secs_f64()).sum();
        if took > 0.0 {
            println!("{name:<12} {took:>13.1} of {budget:>4} s, without what other programs took");
        }
        if took > budget as f64 {
            over.push(format!("{name} is over its budget of {budget} s"));
        }
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], want: Option<&[&str]>) {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let names = chosen(&arguments).ok().map(|all| all.iter().map(|s| s.name).collect());
        assert_eq!(names, want.map(<[&str]>::to_vec), "{arguments:?}");
    }

    #[test]
    fn stages_are_chosen_by_name_or_length() {
        check(&["cuts", "fmt"], Some(&["cuts", "fmt"]));
        check(&["nonsense"], None);
        let long = [
            "faults",
            "boot-full",
            "boot-loaders",
            "boot-grub",
            "boot-mips",
            "emmc",
            "foreign",
            "idle",
            "network",
            "demo-stores",
            "demo-full",
            "delta-full",
            "fuzz",
            "bench",
        ];
        check(&["--long"], Some(&long));
        assert_eq!(chosen(&[]).unwrap().len() + long.len(), STAGES.len());
        assert_eq!(chosen(&["--all".into()]).unwrap().len(), STAGES.len());
    }

    #[test]
    fn a_stage_that_cannot_run_counts_as_failed() {
        fn broken(_: &Bench) -> Result<Count> {
            bail!("no such thing")
        }
        let (length, group) = (Length::Usual, Group::Delta);
        let stage = Stage { run: broken, length, group, name: "x", what: "y", budget: 9 };
        let here = Path::new(".");
        let done = attempt(here, here, Box::leak(Box::new(stage)));
        assert!(!done.well() && done.line().contains("no such thing"), "{}", done.line());
        assert_eq!(conclude(&[done]), ExitCode::FAILURE);
        assert_eq!(conclude(&[]), ExitCode::FAILURE);
    }

    #[test]
    fn others_are_not_counted() {
        let seconds = Duration::from_secs;
        for (took, spent, busy, want) in [
            // Alone: all of it counts, whether it computes or waits.
            (100, 180, 180, 100),
            (100, 10, 10, 100),
            // Others took one of two processors.
            (100, 100, 200, 50),
            (100, 10, 110, 50),
            // What the stage spent itself is the least.
            (100, 150, 400, 75),
        ] {
            let got = own_share(seconds(took), seconds(spent), seconds(busy), 2);
            assert_eq!(got, seconds(want), "{took} {spent} {busy}");
        }
    }

    #[test]
    fn a_part_over_its_budget_fails_the_run() {
        let done = |group, length, seconds| Done {
            name: "x",
            group,
            length,
            budget: 900,
            took: Duration::from_secs(900),
            counted: Duration::from_secs(seconds),
            spent: Duration::ZERO,
            count: Count { passed: 1, failed: 0 },
            fault: None,
            unpassed: BTreeSet::new(),
        };
        let fleet = |seconds| done(Group::Fleet, Length::Usual, seconds);
        assert_eq!(conclude(&[fleet(120), fleet(119)]), ExitCode::SUCCESS);
        assert_eq!(conclude(&[fleet(120), fleet(121)]), ExitCode::FAILURE);
        let long = done(Group::Fleet, Length::Long, 900);
        assert_eq!(conclude(&[fleet(240), long]), ExitCode::SUCCESS);
    }
}
