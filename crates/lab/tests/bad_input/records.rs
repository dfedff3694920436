//! The agent's own records, lost or damaged in the middle of an update.

use crate::operator::{Operator, careful};
use crate::world::{Held, SOON, World, said_last, says_why, wait_for_version};
use lab::boot::BootLoop;
use lab::clock::until;
use lab::terminal::{Settings, Terminal};
use std::fs;
use types::{Outcome, Report};

/// Bytes per second at which there is time to switch the terminal off.
const SLOW: u32 = 512 << 10;

/// A terminal in the middle of an update, switched off.
struct Halfway {
    world: World,
    operator: Operator,
    terminal: Terminal,
    before: Held,
}

impl Halfway {
    fn new() -> Self {
        let world = World::new();
        let operator = Operator::start(&world);
        let settings = Settings { bandwidth: SLOW, ..careful() };
        let terminal = operator.terminal(&world, &settings);
        let before = Held::by(&terminal);
        operator.offer(&world, &world.package("2.0.0", 2), 1);
        let power = BootLoop::start(terminal.clone());
        until(SOON, "some chunks", || {
            let status = said_last(&terminal);
            Ok((status["done"].as_u64() > Some(0)).then_some(()))
        })
        .unwrap();
        drop(power);
        assert_eq!(said_last(&terminal)["phase"], "downloading");
        Self { world, operator, terminal, before }
    }
}

/// What is done to the terminal while it is off ends the update in progress, and the
/// next one is taken.
fn check(damage: impl Fn(&Terminal), wanted: impl Fn(&Report) -> bool, expected: Outcome) {
    let Halfway { world, operator, terminal, before } = Halfway::new();
    damage(&terminal);
    operator.offer(&world, &world.package("3.0.0", 3), 2);
    let power = BootLoop::start(terminal);
    let report = operator.wait_for(wanted);
    assert_eq!(report.outcome, expected, "{}", report.detail);
    says_why(&report, "damage");
    assert_eq!(operator.wait_for_report(2).outcome, Outcome::Ok);
    wait_for_version(power.terminal(), "3.0.0");
    before.check_running(power.terminal());
}

#[test]
fn the_job_file_is_lost() {
    let lose = |terminal: &Terminal| {
        fs::remove_file(terminal.state().join("documents/job")).unwrap();
    };
    check(lose, |report| report.outcome != Outcome::Ok, Outcome::JobLost);
}

#[test]
fn the_job_file_is_another() {
    let change = |terminal: &Terminal| {
        let path = terminal.state().join("documents/job");
        let mut job = fs::read(&path).unwrap();
        let last = job.len() - 1;
        job[last] ^= 1;
        fs::write(path, job).unwrap();
    };
    check(change, |report| report.outcome != Outcome::Ok, Outcome::JobLost);
}

fn journal_with(damage: fn(&mut Vec<u8>)) -> impl Fn(&Terminal) {
    move |terminal| {
        let path = terminal.state().join("journal");
        let mut journal = fs::read(&path).unwrap();
        assert_eq!(journal.len(), 8192);
        damage(&mut journal);
        fs::write(path, journal).unwrap();
    }
}

fn check_journal(damage: fn(&mut Vec<u8>)) {
    let damage = journal_with(damage);
    check(damage, |report| report.outcome != Outcome::Ok, Outcome::JournalLost);
}

#[test]
fn both_copies_of_the_journal_are_damaged() {
    check_journal(|journal| {
        journal[20] ^= 1;
        journal[4096 + 20] ^= 1;
    });
}

#[test]
fn the_journal_is_all_zeros() {
    check_journal(|journal| journal.fill(0));
}

#[test]
fn the_journal_is_empty() {
    check_journal(Vec::clear);
}

/// With one copy the update goes on: from the newer one, or from the older one.
#[test]
fn one_copy_of_the_journal_is_damaged() {
    for at in [20, 4096 + 20] {
        let Halfway { world: _world, operator, terminal, .. } = Halfway::new();
        let path = terminal.state().join("journal");
        let mut journal = fs::read(&path).unwrap();
        journal[at] ^= 1;
        fs::write(path, journal).unwrap();
        let power = BootLoop::start(terminal);
        assert_eq!(operator.wait_for_report(1).outcome, Outcome::Ok, "byte {at}");
        wait_for_version(power.terminal(), "2.0.0");
    }
}
