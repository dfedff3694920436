//! The state machine and the gate as tables.

use crate::policy::consent::{Consent, Consents};
use crate::policy::rules::Rules;
use crate::{
    Again, Another, BootId, Cursor, Event, Facts, Gate, Hold, Locator, Order, READ_BACKS_MAX,
    STALLS_MAX, Standing, Start, State, Task, gate,
};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use types::{AttemptId, Digest, Name, Outcome, Slot, Spent, Text, Tries};

const BOOT: BootId = BootId([1; 16]);
const NEXT_BOOT: BootId = BootId([2; 16]);
const COUNTED: Tries = Tries::Counted(3);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn order() -> Order {
    let locator = Locator::new("https://example.net/").unwrap();
    Order { attempt: AttemptId([7; 16]), source: name("server"), locator, again: Again::No }
}

fn task() -> Task {
    Task {
        attempt: AttemptId([7; 16]),
        source: name("server"),
        job: Digest([9; 32]),
        version: name("2.0"),
        target: Some(Slot::B),
        spent: Spent::default(),
    }
}

fn installing() -> State {
    let (locator, cursor) = (order().locator, Cursor::default());
    State::Installing { task: task(), locator, cursor, read_backs: 0, stalls: 0 }
}

fn verifying(read_backs: u8) -> State {
    State::Verifying { task: task(), locator: order().locator, read_backs }
}

fn activating(failed_boots: u8) -> State {
    State::Activating { task: task(), failed_boots, boot: BOOT }
}

fn rebooting(failed_boots: u8) -> State {
    State::Rebooting { task: task(), failed_boots, boot: BOOT }
}

fn confirming() -> State {
    State::Confirming { task: task(), failed_boots: 0 }
}

fn committing() -> State {
    State::Committing { task: task(), failed_boots: 0 }
}

fn rolling_back(returns: u8) -> State {
    let (why, detail) = (Outcome::Unhealthy, Text::default());
    State::RollingBack { task: task(), why, detail, failed_boots: 0, returns, boot: BOOT }
}

fn booted(slot: Slot, tries: Tries) -> Event {
    Event::Booted(Start { slot, tries, boot: NEXT_BOOT })
}

fn payload_failed(another: Another) -> Event {
    let (outcome, detail) = (Outcome::CorruptPayload, Text::default());
    Event::PayloadFailed {
        cursor: Cursor::default(),
        another,
        outcome,
        detail,
        spent: Spent::default(),
    }
}

fn stalled() -> Event {
    Event::Stalled(Outcome::Unreachable, Text::default(), Spent::default())
}

fn failed(outcome: Outcome) -> Event {
    Event::Failed(outcome, Text::default(), BOOT)
}

/// The word for a state, with the outcome where it has one.
fn word(state: &State) -> (&'static str, Option<Outcome>) {
    match state {
        State::Reporting { report } => ("reporting", Some(report.outcome)),
        State::RollingBack { why, .. } => ("rollback", Some(*why)),
        State::Committing { .. } => ("committing", None),
        State::Lost => ("lost", None),
        other => (other.phase().as_str(), None),
    }
}

#[track_caller]
fn check(state: State, event: Event, expected: &'static str, outcome: Option<Outcome>) {
    let shown = alloc::format!("{state:?} + {event:?}");
    assert_eq!(word(&state.next(event)), (expected, outcome), "{shown}");
}

#[test]
fn a_good_update_goes_through() {
    let steps = vec![
        (Event::Ordered(order()), "inspecting", None),
        (Event::Accepted(task()), "downloading", None),
        (Event::Reached(Cursor::start_of(1), Spent::default()), "downloading", None),
        (Event::Filled(Spent::default()), "verifying", None),
        (Event::Sound(BOOT), "applying", None),
        (Event::Armed(BOOT), "rebooting", None),
        (booted(Slot::B, COUNTED), "confirming", None),
        (Event::Healthy, "committing", None),
        (Event::Committed(Outcome::Ok, Text::default()), "reporting", Some(Outcome::Ok)),
        (Event::Filed, "idle", None),
    ];
    let mut state = State::default();
    for (event, expected, outcome) in steps {
        state = state.next(event);
        assert_eq!(word(&state), (expected, outcome));
    }
    assert_eq!(state, State::Idle { over: Some(order().attempt) });
    assert_eq!(state.clone().next(Event::Ordered(order())), state, "an ended attempt is over");
}

#[test]
fn refusals_and_failures_before_activation_are_reported_at_once() {
    let ordered = State::Ordered { order: order(), stalls: 0 };
    let refused = |outcome| Event::Refused(outcome, Text::default());
    let cases = vec![
        (ordered.clone(), refused(Outcome::WrongHardware), Outcome::WrongHardware),
        (installing(), refused(Outcome::Cancelled), Outcome::Cancelled),
        (installing(), failed(Outcome::StorageFull), Outcome::StorageFull),
        (installing(), payload_failed(Another::None), Outcome::CorruptPayload),
        (verifying(0), failed(Outcome::JobLost), Outcome::JobLost),
        (verifying(READ_BACKS_MAX), Event::Unsound(Cursor::default()), Outcome::ReadBackMismatch),
    ];
    for (state, event, outcome) in cases {
        check(state, event, "reporting", Some(outcome));
    }
}

#[test]
fn after_activation_every_way_out_goes_through_the_bootloader() {
    let unhealthy = Event::Unhealthy(Text::default(), BOOT);
    check(activating(0), failed(Outcome::Cancelled), "rollback", Some(Outcome::Cancelled));
    check(rebooting(0), failed(Outcome::Internal), "rollback", Some(Outcome::Internal));
    check(confirming(), unhealthy, "rollback", Some(Outcome::Unhealthy));
    check(confirming(), failed(Outcome::JobLost), "rollback", Some(Outcome::JobLost));
    check(rolling_back(0), Event::Reverted, "reporting", Some(Outcome::Unhealthy));
}

#[test]
fn boots_are_counted_to_three() {
    let failed_boot = Some(Outcome::BootFailed);
    check(rebooting(0), booted(Slot::A, COUNTED), "rollback", failed_boot);
    check(rebooting(0), booted(Slot::A, Tries::Single), "applying", None);
    check(rebooting(1), booted(Slot::A, Tries::Single), "applying", None);
    check(rebooting(2), booted(Slot::A, Tries::Single), "rollback", failed_boot);
    check(activating(2), booted(Slot::A, Tries::Single), "rollback", failed_boot);
    check(confirming(), booted(Slot::A, COUNTED), "rollback", failed_boot);
    check(committing(), booted(Slot::A, Tries::Single), "applying", None);
    check(activating(0), booted(Slot::B, Tries::Single), "confirming", None);
}

#[test]
fn committing_never_rolls_back_while_the_new_slot_runs() {
    check(committing(), booted(Slot::B, COUNTED), "committing", None);
    check(committing(), failed(Outcome::Internal), "committing", None);
    check(committing(), Event::Unhealthy(Text::default(), BOOT), "committing", None);
}

#[test]
fn a_bootloader_that_starts_the_refused_slot_again_is_given_up() {
    check(rolling_back(0), Event::Returned(NEXT_BOOT), "rollback", Some(Outcome::Unhealthy));
    let stuck = Some(Outcome::RollbackFailed);
    check(rolling_back(3), Event::Returned(NEXT_BOOT), "reporting", stuck);
    check(rolling_back(0), Event::Stuck("no".into()), "reporting", stuck);
}

#[test]
fn without_a_journal_the_bootloader_decides() {
    let lost = Some(Outcome::JournalLost);
    check(State::Lost, Event::Sane(name("server")), "reporting", lost);
    let unconfirmed = Event::Unconfirmed(name("server"), Slot::B, BOOT);
    check(State::Lost, unconfirmed, "rollback", lost);
    check(State::Lost, Event::Healthy, "lost", None);
}

#[test]
fn stalls_are_limited_and_progress_forgets_them() {
    let mut state = installing();
    for _ in 0..STALLS_MAX {
        state = state.next(stalled());
        assert_eq!(word(&state).0, "downloading");
    }
    check(state.clone(), stalled(), "reporting", Some(Outcome::Unreachable));
    state = state.next(Event::Reached(Cursor { chunk: 1, ..Cursor::default() }, Spent::default()));
    check(state, stalled(), "downloading", None);
}

#[test]
fn the_next_payload_goes_on_at_the_same_chunk() {
    let cursor = Cursor { component: 1, payload: 0, chunk: 7, out: 70, input: 35 };
    let state = installing().next(Event::Reached(cursor, Spent::default()));
    let Event::PayloadFailed { another, outcome, detail, spent, .. } =
        payload_failed(Another::Payload)
    else {
        panic!("a payload failed");
    };
    let event = Event::PayloadFailed { cursor, another, outcome, detail, spent };
    let State::Installing { cursor: next, .. } = state.next(event) else { panic!("it goes on") };
    assert_eq!(next, Cursor { component: 1, payload: 1, chunk: 7, out: 0, input: 0 });
}

#[test]
fn the_gate_stops_before_activation_only() {
    let facts = Facts {
        consent: Consents::both(Consent::Denied),
        hold: Hold::Paused,
        order: Standing::Withdrawn,
        ..Facts::default()
    };
    let gate = |state: &State| gate(state, &facts, &Rules::default());
    assert_eq!(gate(&installing()), Gate::Refuse(Outcome::Cancelled));
    let after = [activating(0), rebooting(0), confirming(), committing(), rolling_back(0)];
    for state in after {
        assert_eq!(gate(&state), Gate::Go, "{state:?}");
    }
}

fn staging(stalls: u8) -> State {
    State::Staging { task: task(), locator: order().locator, cursor: Cursor::default(), stalls }
}

fn checking(stalls: u8) -> State {
    State::Checking { task: task(), locator: kept(), cursor: Cursor::default(), stalls }
}

/// Where a fetched package is kept.
fn kept() -> Locator {
    Locator::new("/data/staged.zip").unwrap()
}

#[test]
fn a_package_is_fetched_and_looked_at_before_its_system_is_left() {
    let ordered = || State::Ordered { order: order(), stalls: 0 };
    assert_eq!(ordered().next(Event::Ahead(task())), staging(0));
    let staged = Event::Staged(kept(), Spent::default());
    assert_eq!(staging(7).next(staged), checking(0));
    let entering = |locator| State::Entering { task: task(), locator, failed_boots: 0, boot: BOOT };
    assert_eq!(checking(7).next(Event::Complete(BOOT)), entering(kept()));
    // Where there is no room for it, and where it is here already.
    assert_eq!(staging(0).next(Event::Unstaged(BOOT)), entering(order().locator));
    let State::Checking { locator, .. } = ordered().next(Event::AtHand(task())) else { panic!() };
    assert_eq!(locator, order().locator);
    // The recovery came by itself.
    assert_eq!(staging(3).next(booted(Slot::A, COUNTED)), installing());
    for state in [staging(0), checking(0)] {
        assert_eq!(state.clone().next(booted(Slot::B, COUNTED)), state);
        assert_eq!(state.clone().next(Event::Healthy), state);
        let cancelled = Some(Outcome::Cancelled);
        check(state.clone(), failed(Outcome::Cancelled), "reporting", cancelled);
        let unsound = payload_failed(Another::None);
        check(state, unsound, "reporting", Some(Outcome::CorruptPayload));
    }
    // What is kept has another payload: it is looked at from where the first one failed.
    let next = checking(4).next(payload_failed(Another::Payload));
    let State::Checking { cursor, stalls: 4, .. } = next else { panic!("{next:?}") };
    assert_eq!((cursor.payload, cursor.out, cursor.input), (1, 0, 0));
}

#[test]
fn a_package_that_does_not_come_is_given_up() {
    let stalled = || Event::Stalled(Outcome::Unreachable, "x".into(), Spent::default());
    for (first, next) in [(staging(0), staging(1)), (checking(0), checking(1))] {
        assert_eq!(first.next(stalled()), next);
    }
    for last in [staging(STALLS_MAX), checking(STALLS_MAX)] {
        check(last, stalled(), "reporting", Some(Outcome::Unreachable));
    }
    let further = Event::Reached(Cursor::start_of(1), Spent { bytes: 5, ..Spent::default() });
    let State::Staging { task, cursor, stalls, .. } = staging(9).next(further) else { panic!() };
    assert_eq!((task.spent.bytes, cursor, stalls), (5, Cursor::start_of(1), 0));
}

fn entering(failed_boots: u8) -> State {
    State::Entering { task: task(), locator: order().locator, failed_boots, boot: BOOT }
}

#[test]
fn what_runs_is_written_by_the_recovery() {
    let ordered = State::Ordered { order: order(), stalls: 0 };
    let entered = ordered.next(Event::Away(task(), BOOT));
    assert_eq!(entered, entering(0));
    assert_eq!(entered.next(booted(Slot::A, COUNTED)), installing());
    // The system runs again: the recovery has used up its starts, or one of three.
    let over = Some(Outcome::RecoveryFailed);
    check(entering(0), booted(Slot::B, COUNTED), "reporting", over);
    check(entering(2), booted(Slot::B, Tries::Single), "reporting", over);
    check(installing(), booted(Slot::B, COUNTED), "reporting", over);
    check(entering(1), failed(Outcome::Cancelled), "reporting", Some(Outcome::Cancelled));
    let again = State::Entering {
        task: task(),
        locator: order().locator,
        failed_boots: 1,
        boot: NEXT_BOOT,
    };
    assert_eq!(entering(0).next(booted(Slot::B, Tries::Single)), again);
    assert_eq!(installing().next(booted(Slot::B, Tries::Single)), again);
    // What failed before it wrote is not forgotten.
    let mut state = entering(0);
    for _ in 0..2 {
        state = state.next(booted(Slot::A, Tries::Single)).next(booted(Slot::B, Tries::Single));
    }
    check(state, booted(Slot::B, Tries::Single), "reporting", over);
}

fn states() -> Vec<State> {
    let ordered = State::Ordered { order: order(), stalls: 0 };
    let reporting = installing().next(failed(Outcome::Internal));
    vec![
        State::default(),
        State::Lost,
        ordered,
        installing(),
        verifying(0),
        activating(0),
        rebooting(0),
        confirming(),
        committing(),
        rolling_back(0),
        reporting,
        entering(0),
    ]
}

fn events() -> Vec<Event> {
    let text = Text::default;
    vec![
        Event::Ordered(order()),
        Event::Sane(name("server")),
        Event::Unconfirmed(name("server"), Slot::B, BOOT),
        Event::Accepted(task()),
        Event::Refused(Outcome::Expired, text()),
        Event::Reached(Cursor::default(), Spent::default()),
        stalled(),
        payload_failed(Another::Payload),
        payload_failed(Another::None),
        Event::Filled(Spent::default()),
        Event::Sound(BOOT),
        Event::Unsound(Cursor::default()),
        Event::Armed(BOOT),
        Event::Switched,
        booted(Slot::A, COUNTED),
        booted(Slot::A, Tries::Single),
        booted(Slot::B, COUNTED),
        Event::Healthy,
        Event::Unhealthy(text(), BOOT),
        Event::Committed(Outcome::Partial, text()),
        Event::Reverted,
        Event::Returned(BOOT),
        Event::Stuck(text()),
        failed(Outcome::Internal),
        Event::Filed,
        Event::Away(task(), BOOT),
    ]
}

/// Which of the events move which state: everything else leaves it unchanged.
#[test]
fn events_that_do_not_belong_change_nothing() {
    let moved = |state: &State| {
        events().into_iter().filter(|event| state.clone().next(event.clone()) != *state).count()
    };
    let counts: Vec<usize> = states().iter().map(moved).collect();
    assert_eq!(counts, [1, 2, 5, 7, 4, 6, 4, 5, 3, 3, 1, 5]);
}

proptest! {
    /// However events come, a report names the attempt that was ordered, and the
    /// bootloader is armed only after everything was read back.
    #[test]
    fn any_sequence_of_events_is_harmless(picks in prop::collection::vec(0..26_usize, 0..60)) {
        let mut state = State::default();
        let mut sound = false;
        for pick in picks {
            let event = events().swap_remove(pick);
            let before = word(&state).0;
            sound = match event {
                Event::Sound(_) if before == "verifying" => true,
                Event::Ordered(_) if before == "idle" => false,
                _ => sound,
            };
            state = state.next(event);
            if matches!(state, State::Rebooting { .. }) {
                prop_assert!(sound);
            }
            if let State::Reporting { report } = &state {
                prop_assert_eq!(report.attempt, order().attempt);
            }
        }
    }
}
