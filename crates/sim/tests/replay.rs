//! Runs that once broke a rule, and a few that show where the limits are.

#![expect(clippy::unwrap_used, reason = "a test ends with what went wrong")]
use sim::sweep::{Case, one};
use sim::world::{Crash, Injection};

fn check(scenario: &str, seed: u64, crashes: &[(u32, Crash)]) -> u64 {
    let injections = crashes.iter().map(|(at, crash)| Injection { at: *at, crash: *crash });
    let scenario = scenario.parse().unwrap();
    let case = Case { scenario, seed, injections: injections.collect() };
    let ran = one(&case);
    assert_eq!(ran.broken, None, "{case:?}");
    ran.served
}

#[test]
fn every_scenario_ends_well_without_a_crash() {
    for image in ["Good", "Corrupt", "NonBooting", "Hanging", "Unhealthy", "Moody"] {
        for loader in ["Counted", "Single"] {
            for layout in ["Slot", "SlotLive", "SlotDirect"] {
                for fault in ["None", "LyingFlash", "FullStore"] {
                    check(&format!("{image}/{loader}/{layout}/{fault}"), 9, &[]);
                }
            }
        }
    }
}

#[test]
fn a_delta_saves_bytes_and_a_bad_one_costs_some() {
    let served = |layout: &str| check(&format!("Good/Counted/{layout}/None"), 3, &[]);
    let (full, delta, bad) = (served("Slot"), served("SlotDelta"), served("SlotBadDelta"));
    assert!(delta < full / 4, "{delta} bytes by delta, {full} in full");
    // What was written before it went wrong is not written again.
    assert!((full / 2..full).contains(&bad), "{bad} bytes after a bad delta, {full} in full");
}

#[test]
fn a_cut_between_health_and_commit_commits_all_the_same() {
    check("Good/Counted/Slot/None", 613, &[(613, Crash::Cut)]);
}

#[test]
fn a_full_store_does_not_start_an_ended_attempt_again() {
    let crashes = [(241, Crash::Kill), (322, Crash::Cut), (407, Crash::Kill)];
    check("Corrupt/Single/SlotDirect/FullStore", 15_608_480_279_653_844_270, &crashes);
}

#[test]
fn a_lost_journal_finds_its_way_back() {
    let crashes = [(262, Crash::Kill), (667, Crash::Cut), (688, Crash::Cut)];
    check("Moody/Counted/SlotLive/LostJournal", 12_549_547_146_127_229_391, &crashes);
}
