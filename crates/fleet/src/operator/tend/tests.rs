//! Waves and halting as tables; then whole fleets with chance in them.

use super::*;
use crate::{
    Attempt, Audience, DeviceFacts, Event, Fit, Labels, Offer, Plan, Shows, Standing, Terms, offer,
};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use types::{AttemptId, ComponentState, Digest, Name, Outcome, Release, Running};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn wave(size: Size, opens: Opens) -> Wave {
    Wave { size, opens, allows: None }
}

fn rollout(waves: Vec<Wave>) -> Rollout {
    let manifest = Digest::of(b"2");
    let version = name("2");
    Rollout {
        id: name("spring"),
        release: Release { product: name("router"), version, rollback_index: 2, manifest },
        images: [(name("rootfs"), Digest::of(b"new"))].into(),
        audience: Audience::everyone(name("router")),
        fit: Fit::default(),
        terms: Terms::default(),
        waves,
        halt: halt(Allowance { percent: Some(5), ..Allowance::default() }),
        in_flight: 1000,
        state: State::Running,
        why: Text::default(),
        wave: 0,
        opened: Timestamp(0),
        started: Some(Timestamp(0)),
        prepared: None,
        tally: Tally::default(),
    }
}

fn halt(allows: Allowance) -> Halt {
    Halt { allows, not_back: Seconds(60) }
}

#[test]
fn nothing_begins_before_the_deltas_are_there_or_the_time_is_up() {
    let terms = Terms { wait_for_deltas: Some(Seconds(60)), ..Terms::default() };
    let waves = [Opens::ByHand, Opens::After(Seconds(5))].map(|o| wave(Size::Percent(50), o));
    let waits = Rollout { terms, ..rollout(waves.into()) };
    let gate = |rollout: &Rollout| track(rollout, 10, BTreeSet::new()).unwrap().gate;
    let until = Timestamp(60_000);
    assert_eq!(gate(&waits), Gate::Preparing(until));
    assert_eq!(tend(&waits, 10, Timestamp(59_999)), None);
    assert!(matches!(tend(&waits, 10, until), Some(Change::Open(1, _))), "the time is up");
    let prepared = Rollout { prepared: Some(Timestamp(1)), ..waits.clone() };
    assert_eq!(gate(&prepared), Gate::Open);
    assert!(tend(&prepared, 10, Timestamp(6_000)).is_some());
    let halted = Rollout { state: State::Halted, ..waits.clone() };
    assert!(matches!(gate(&halted), Gate::Halted(_)));
    let text = crate::operator::outlook(&waits, 10, Timestamp(1));
    assert!(text.starts_with("it waits until deltas to it are made, until 1970"), "{text}");
}

fn quarters() -> Vec<Wave> {
    [25, 50, 100].map(|p| wave(Size::Percent(p), Opens::Confirmed(90))).into()
}

fn tally(in_flight: u32, confirmed: u32, failed: u32) -> Tally {
    Tally {
        exposed: in_flight + confirmed + failed,
        in_flight,
        confirmed,
        failed,
        ..Tally::default()
    }
}

/// What follows for `rollout`, in words: `halt`, `open N`, `finish` or nothing.
fn check(rollout: &Rollout, audience: u32, seconds: i64, expected: &str) {
    let said = match tend(rollout, audience, Timestamp(seconds * 1000)) {
        None => alloc::string::String::new(),
        Some(Change::Halt(why)) => format!("halt: {why}"),
        Some(Change::Open(wave, _)) => format!("open {wave}"),
        Some(Change::Finish(_)) => "finish".into(),
    };
    assert_eq!(said, expected);
}

#[test]
fn a_wave_opens_when_the_one_before_confirmed() {
    let at = |wave, tally| Rollout { wave, tally, ..rollout(quarters()) };
    check(&at(0, tally(0, 0, 0)), 40, 0, "");
    check(&at(0, tally(2, 8, 0)), 40, 0, "");
    check(&at(0, tally(1, 9, 0)), 40, 0, "open 1");
    check(&at(1, tally(0, 18, 1)), 40, 0, "open 2");
    check(&at(2, tally(1, 39, 0)), 40, 0, "");
    check(&at(2, tally(0, 39, 1)), 40, 0, "finish");
    check(&at(0, tally(0, 0, 0)), 0, 0, "");
}

#[test]
fn a_wave_opens_by_time_or_by_hand() {
    let two = |opens| rollout(vec![wave(Size::Count(1), opens), wave(Size::Percent(100), opens)]);
    check(&two(Opens::After(Seconds(10))), 40, 9, "");
    check(&two(Opens::After(Seconds(10))), 40, 10, "open 1");
    let at = two(Opens::At(Timestamp(10_000)));
    check(&at, 40, 9, "");
    check(&at, 40, 10, "open 1");
    check(&Rollout { state: State::Paused, ..at }, 40, 10, "");
    let confirmed = Rollout { tally: tally(0, 1, 0), ..two(Opens::ByHand) };
    check(&confirmed, 40, 1_000_000, "");
}

#[test]
fn a_paused_rollout_opens_nothing_and_still_halts() {
    let paused = |tally| Rollout { state: State::Paused, tally, ..rollout(quarters()) };
    check(&paused(tally(0, 10, 0)), 40, 0, "");
    check(
        &paused(tally(0, 9, 1)),
        40,
        0,
        "halt: 1 terminals failed of the 10 of the open wave; 5 % are allowed",
    );
}

#[test]
fn failures_halt_when_they_pass_the_allowance() {
    let check_rule = |percent, count, failed, wave, halts: bool| {
        let rule = Allowance { percent, count, back: None };
        assert_eq!(halted(&rule, tally(0, 0, failed), wave).is_some(), halts, "{rule:?} {failed}");
    };
    check_rule(Some(5), None, 5, 100, false);
    check_rule(Some(5), None, 6, 100, true);
    check_rule(Some(0), None, 0, 100, false);
    check_rule(Some(0), None, 1, 100, true);
    check_rule(Some(100), None, 100, 100, false);
    check_rule(None, Some(2), 2, 3, false);
    check_rule(None, Some(2), 3, 3, true);
    check_rule(Some(50), Some(0), 1, 100, true);
    check_rule(Some(5), None, 1, 0, true);
}

#[test]
fn silent_terminals_halt_on_their_own_account() {
    let check_rule = |back, lost, wave, halts: bool| {
        let rule = Allowance { back: Some(back), ..Allowance::default() };
        let tally = Tally { lost, ..tally(0, 0, lost + 50) };
        assert_eq!(halted(&rule, tally, wave).is_some(), halts, "{back} {lost} {wave}");
    };
    check_rule(995, 0, 1, false);
    check_rule(995, 1, 199, true);
    check_rule(995, 1, 200, false);
    check_rule(995, 5, 1000, false);
    check_rule(995, 6, 1000, true);
    check_rule(0, 1000, 1000, false);
    check_rule(1000, 1, 1_000_000, true);
    let of = |wave| Rollout {
        tally: Tally { lost: 1, ..tally(0, 5, 1) },
        waves: vec![
            Wave {
                allows: Some(Allowance { back: Some(995), ..Allowance::default() }),
                ..quarters()[0]
            },
            quarters()[2],
        ],
        halt: halt(Allowance { percent: Some(50), ..Allowance::default() }),
        wave,
        ..rollout(quarters())
    };
    let why = "halt: 1 terminals did not come back of the 10 of the open wave; 99.5 % must";
    check(&of(0), 40, 0, why);
    check(&of(1), 40, 0, "");
}

#[test]
fn a_tally_knows_who_is_lost() {
    let start = Tally::default().admitted();
    let lost = start.moved(Standing::Offered, Standing::Lost);
    assert_eq!((lost.failed, lost.lost, lost.in_flight), (1, 1, 0));
    let back = lost.moved(Standing::Lost, Standing::Reported);
    assert_eq!((back.failed, back.lost, back.in_flight), (0, 0, 1));
    let failed = lost.moved(Standing::Lost, Standing::Failed(Outcome::BootFailed));
    assert_eq!((failed.failed, failed.lost), (1, 0));
}

#[test]
fn a_wave_that_is_larger_than_the_audience_is_the_audience() {
    let wide = rollout(vec![wave(Size::Count(1000), Opens::ByHand)]);
    let why = "halt: 1 terminals failed of the 12 of the open wave; 5 % are allowed";
    check(&Rollout { tally: tally(0, 0, 1), ..wide }, 12, 0, why);
}

#[test]
fn a_finished_rollout_can_still_halt_and_an_ended_one_stays() {
    let done = |state, tally| Rollout { state, tally, wave: 2, ..rollout(quarters()) };
    check(&done(State::Finished, tally(0, 40, 0)), 40, 0, "");
    check(
        &done(State::Finished, tally(0, 37, 3)),
        40,
        0,
        "halt: 3 terminals failed of the 40 of the open wave; 5 % are allowed",
    );
    check(&done(State::Halted, tally(0, 0, 40)), 40, 0, "");
    check(&done(State::Draft, tally(0, 0, 40)), 40, 0, "");
}

#[test]
fn silence_counts_from_the_last_sign_of_life() {
    let rule = halt(Allowance { count: Some(0), ..Allowance::default() });
    assert!(!overdue(&rule, Timestamp(0), Timestamp(60_999)));
    assert!(overdue(&rule, Timestamp(0), Timestamp(61_000)));
    assert!(!overdue(&rule, Timestamp(90_000), Timestamp(0)), "a clock that went back");
}

#[test]
fn a_large_audience_is_divided_by_buckets() {
    let of = |audience| track(&rollout(quarters()), audience, BTreeSet::new()).unwrap();
    assert_eq!((of(40).share, of(40).wave_room), (BUCKETS, 10));
    assert_eq!((of(20_000).share, of(20_000).wave_room), (2_500, 5_000));
    assert_eq!(of(2).wave_room, 1, "a wave has at least one terminal");
}

/// A terminal of a pretended fleet: its attempt, and what it runs.
#[derive(Clone)]
struct Member {
    id: Name,
    running: Running,
    attempts: Vec<Attempt>,
}

fn member(n: u32) -> Member {
    let old = ComponentState { version: name("1"), image: Digest::of(b"old") };
    let running = [(name("rootfs"), old)].into();
    Member { id: name(&format!("d{n}")), running, attempts: vec![] }
}

fn facts<'a>(member: &'a Member, product: &'a Name) -> DeviceFacts<'a> {
    DeviceFacts {
        id: &member.id,
        product,
        hardware: product,
        variant: None,
        region: None,
        running: &member.running,
        release: None,
        enrolled: Timestamp(0),
        labels: Labels::NONE,
        abilities: &[],
        attempts: &member.attempts,
    }
}

/// What chance does to one terminal at one step.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Polls,
    Succeeds,
    Fails,
    Vanishes,
    FallsBack,
}

fn event(luck: Luck) -> Vec<Event> {
    match luck {
        Luck::Polls => vec![],
        Luck::Succeeds => vec![Event::Report(Outcome::Ok), Event::Heartbeat(Shows::New)],
        Luck::Fails => vec![Event::Report(Outcome::BootFailed)],
        Luck::Vanishes => vec![Event::Silent],
        Luck::FallsBack => vec![Event::Heartbeat(Shows::Old)],
    }
}

/// One step of a server that keeps one rollout.
fn step(rollout: &mut Rollout, fleet: &mut [Member], at: usize, luck: Luck) {
    let (size, product) = (u32::try_from(fleet.len()).unwrap(), name("router"));
    let good_until = Timestamp(i64::MAX);
    let tracks = track(rollout, size, BTreeSet::new()).into_iter().collect();
    let plan = Plan { generation: 0, good_until, tracks };
    let member = &mut fleet[at];
    if let Offer::Install(_) = offer(&plan, &facts(member, &product), Timestamp(0)) {
        let id = AttemptId::new("spring", &member.id, 0);
        let (rollout_id, manifest) = (rollout.id.clone(), rollout.release.manifest);
        let standing = Standing::Offered;
        member.attempts.push(Attempt { rollout: rollout_id, id, manifest, retry: 0, standing });
        rollout.tally = rollout.tally.admitted();
    }
    if let Some(attempt) = member.attempts.first_mut() {
        for event in event(luck) {
            let next = attempt.standing.next(event);
            rollout.tally = rollout.tally.moved(attempt.standing, next);
            attempt.standing = next;
        }
    }
    match tend(rollout, size, Timestamp(0)) {
        Some(Change::Halt(_)) => rollout.state = State::Halted,
        Some(Change::Open(wave, _)) => rollout.wave = wave,
        Some(Change::Finish(_)) => rollout.state = State::Finished,
        None => {}
    }
}

fn any_luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        3 => Just(Luck::Polls),
        6 => Just(Luck::Succeeds),
        1 => Just(Luck::Fails),
        1 => Just(Luck::Vanishes),
        1 => Just(Luck::FallsBack)
    ]
}

proptest! {
    #[test]
    fn exposure_never_passes_the_wave_or_the_flight_limit(
        size in 1u32..60,
        in_flight in 1u32..10,
        percent in 0u8..60,
        steps in proptest::collection::vec((0usize..60, any_luck()), 1..400),
    ) {
        let mut rollout = rollout(quarters());
        rollout.in_flight = in_flight;
        rollout.halt.allows.percent = Some(percent);
        let mut fleet: Vec<Member> = (0..size).map(member).collect();
        for (at, luck) in steps {
            let (before, state) = (rollout.tally, rollout.state);
            let at = at % fleet.len();
            let bound = exposure_limit(&rollout, size);
            step(&mut rollout, &mut fleet, at, luck);
            prop_assert!(rollout.tally.exposed <= bound.max(before.exposed));
            if rollout.tally.exposed > before.exposed {
                prop_assert!(before.in_flight < in_flight);
                prop_assert!(matches!(state, State::Running | State::Finished));
            }
            let failures = rollout.tally.failed;
            let allowed = u64::from(percent) * u64::from(exposure_limit(&rollout, size));
            let passed = u64::from(failures) * 100 > allowed;
            prop_assert!(!passed || rollout.state == State::Halted);
            let counted = count(&fleet);
            prop_assert_eq!(counted, rollout.tally, "the tally is what the attempts say");
        }
    }
}

/// The tally, counted anew.
fn count(fleet: &[Member]) -> Tally {
    let mut classes: BTreeMap<u8, u32> = BTreeMap::new();
    for attempt in fleet.iter().flat_map(|m| &m.attempts) {
        *classes.entry(attempt.standing.class() as u8).or_default() += 1;
    }
    let of = |class: u8| classes.get(&class).copied().unwrap_or(0);
    let exposed = classes.values().sum();
    let silent =
        |attempt: &&Attempt| matches!(attempt.standing, Standing::Lost | Standing::LostReported);
    let lost = fleet.iter().flat_map(|m| &m.attempts).filter(silent).count();
    let lost = u32::try_from(lost).unwrap();
    Tally {
        exposed,
        in_flight: of(0),
        confirmed: of(1),
        failed: of(2),
        neutral: of(3),
        lost,
        ..Tally::default()
    }
}
