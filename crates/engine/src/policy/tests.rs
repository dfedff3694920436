//! Tables: facts of the moment, the rule that decides, and what an owner may say.

use super::consent::{
    Answer, Ask, Class, Mode, Urgency, consents, deadline, may_decline, may_postpone,
};
use super::rules::*;
use super::*;
use crate::{Cursor, Order, Task};
use types::{AttemptId, Digest, Elsewhere, Name, Spent};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 19:00 in Berlin.
fn evening() -> Timestamp {
    at("2026-11-25T18:00:00Z")
}

/// Rules of a terminal that has everything.
fn rules() -> Rules {
    Rules {
        battery: 30,
        battery_supplied: 5,
        storage: 16,
        metered: OnMetered::NeverFull,
        roaming: OnRoaming::Nothing,
        temperature: Some((-10, 70)),
        disturb: Disturb::NoUse,
        quiet: ["07:00-23:30".parse().unwrap()].into(),
        zone: "CET-1CEST,M3.5.0,M10.5.0/3".parse().unwrap(),
        night: Some("02:00-05:00".parse().unwrap()),
        postponements: 3,
        postpone: Seconds(7 * 24 * 3600),
        security: Security::Forced,
    }
}

fn link(cost: Cost, network: Network) -> Fact<Link> {
    Fact::Known(Link { cost, network })
}

fn battery(percent: u8, power: Power) -> Fact<Battery> {
    Fact::Known(Battery { percent, power })
}

/// A terminal in whose way nothing is, in the night.
fn fine() -> Conditions {
    Conditions {
        time: Fact::Known(at("2026-11-26T02:00:00Z")),
        battery: battery(80, Power::Battery),
        storage: Fact::Known(100),
        link: link(Cost::Free, Network::Home),
        temperature: Fact::Known(40),
        activity: Fact::Known(Activity::Idle),
    }
}

const LOOK: Step = Step::Look(From::Network);
const FULL: Step = Step::Write(From::Network, Payload::Full);
const DELTA: Step = Step::Write(From::Network, Payload::Delta);
const FILE: Step = Step::Write(From::File, Payload::Full);
const RESTART: Step = Step::Restart;

/// In `around`, the steps of `stopped` wait for `reason`, and all others go.
fn check(around: Conditions, reason: Reason, stopped: &[Step]) {
    for step in [LOOK, FULL, DELTA, FILE, RESTART] {
        let expected = stopped.contains(&step).then_some(reason);
        let found = obstacle(&rules(), &around, step, Haste::None);
        assert_eq!(found, expected, "{step:?} in {around:?}");
    }
}

#[test]
fn nothing_stands_in_the_way_of_a_terminal_that_is_fine() {
    check(fine(), Reason::Paused, &[]);
    let none = Conditions { time: fine().time, ..Conditions::default() };
    check(none, Reason::Paused, &[]);
}

#[test]
fn battery_and_power() {
    let writes = [FULL, DELTA, FILE, RESTART];
    for (percent, power, least) in [
        (29, Power::Battery, Some(30)),
        (30, Power::Battery, None),
        (4, Power::Supplied, Some(5)),
        (5, Power::Supplied, None),
    ] {
        let around = Conditions { battery: battery(percent, power), ..fine() };
        match least {
            Some(least) => check(around, Reason::BatteryLow { percent, least }, &writes),
            None => check(around, Reason::Paused, &[]),
        }
    }
    let around = Conditions { battery: Fact::Unknown, ..fine() };
    check(around, Reason::BatteryUnknown, &writes);
}

#[test]
fn lines_that_cost() {
    let on = |cost, network| Conditions { link: link(cost, network), ..fine() };
    check(on(Cost::Metered, Network::Home), Reason::FullOnMetered, &[FULL]);
    check(on(Cost::Free, Network::Roaming), Reason::Roaming, &[LOOK, FULL, DELTA]);
    check(on(Cost::Metered, Network::Roaming), Reason::Roaming, &[LOOK, FULL, DELTA]);
    let unknown = Conditions { link: Fact::Unknown, ..fine() };
    check(unknown, Reason::LinkUnknown, &[LOOK, FULL, DELTA]);
    let metered = on(Cost::Metered, Network::Roaming);
    for (on_metered, on_roaming, step, expected) in [
        (OnMetered::All, OnRoaming::AsAtHome, FULL, None),
        (OnMetered::NeverFull, OnRoaming::AsAtHome, DELTA, None),
        (OnMetered::NeverFull, OnRoaming::AsAtHome, FULL, Some(Reason::FullOnMetered)),
        (OnMetered::Nothing, OnRoaming::AsAtHome, LOOK, Some(Reason::Metered)),
        (OnMetered::Nothing, OnRoaming::AsAtHome, DELTA, Some(Reason::Metered)),
        (OnMetered::Nothing, OnRoaming::AsAtHome, FILE, None),
    ] {
        let rules = Rules { metered: on_metered, roaming: on_roaming, ..rules() };
        assert_eq!(obstacle(&rules, &metered, step, Haste::None), expected, "{rules:?} {step:?}");
    }
}

#[test]
fn room_and_temperature() {
    let reason = Reason::StorageLow { free: 15, least: 16 };
    let fetches = [LOOK, FULL, DELTA, FILE];
    check(Conditions { storage: Fact::Known(15), ..fine() }, reason, &fetches);
    check(Conditions { storage: Fact::Unknown, ..fine() }, Reason::StorageUnknown, &fetches);
    let works = [FULL, DELTA, FILE, RESTART];
    for (is, reason) in
        [(71, Reason::TooHot { is: 71, most: 70 }), (-11, Reason::TooCold { is: -11, least: -10 })]
    {
        check(Conditions { temperature: Fact::Known(is), ..fine() }, reason, &works);
    }
    let unknown = Conditions { temperature: Fact::Unknown, ..fine() };
    check(unknown, Reason::TemperatureUnknown, &works);
}

#[test]
fn people_are_not_disturbed() {
    let doing = |activity| Conditions { activity: Fact::Known(activity), ..fine() };
    check(doing(Activity::Call), Reason::Call, &[RESTART]);
    check(doing(Activity::InUse), Reason::InUse, &[RESTART]);
    let unknown = Conditions { activity: Fact::Unknown, ..fine() };
    check(unknown, Reason::ActivityUnknown, &[RESTART]);
    let only_calls = Rules { disturb: Disturb::NoCall, ..rules() };
    assert_eq!(obstacle(&only_calls, &doing(Activity::InUse), RESTART, Haste::None), None);
    let evening = Conditions { time: Fact::Known(evening()), ..fine() };
    let until = at("2026-11-25T22:30:00Z");
    check(evening, Reason::QuietHours { until }, &[RESTART]);
    let no_clock = Conditions { time: Fact::Unknown, ..fine() };
    check(no_clock, Reason::ClockNotSet, &[RESTART]);
}

#[test]
fn who_says_now_is_disturbed_but_not_in_a_call() {
    let now = |around| obstacle(&rules(), &around, RESTART, Haste::Now);
    let used = Fact::Known(Activity::InUse);
    let around = Conditions { time: Fact::Known(evening()), activity: used, ..fine() };
    assert_eq!(now(around), None);
    assert_eq!(now(Conditions { time: Fact::Unknown, ..fine() }), None);
    let call = Conditions { activity: Fact::Known(Activity::Call), ..fine() };
    assert_eq!(now(call), Some(Reason::Call));
    let low = Conditions { battery: battery(3, Power::Battery), ..fine() };
    assert_eq!(now(low), Some(Reason::BatteryLow { percent: 3, least: 30 }));
}

/// Known since the evening; what `answer` comes to so many hours later.
fn say(answer: Answer, mode: Mode, class: Class, hours: u32) -> (Consent, Consent, Haste) {
    let ask = Ask { answer, mode, class, since: Some(evening()), ..Ask::default() };
    let found = consents(&rules(), &ask, evening().after(Seconds(hours * 3600)));
    (found.write, found.restart, found.haste)
}

#[test]
fn what_an_owner_says_and_what_follows() {
    use Consent::{Awaited, Denied, Given, Later, Postponed};
    let (asked, alone) = (Mode::Asked, Mode::Automatic);
    let (security, feature) = (Class::Security, Class::Feature);
    let night = evening().after(Seconds(8 * 3600));
    let deadline = evening().after(Seconds(7 * 24 * 3600));
    let late = deadline.after(Seconds(24 * 3600));
    let postponed = |until| Answer::Postponed { until, times: 1 };
    let (none, now) = (Haste::None, Haste::Now);
    for (answer, mode, class, hours, expected) in [
        (Answer::None, alone, feature, 0, (Given, Given, none)),
        (Answer::None, asked, feature, 0, (Awaited, Awaited, none)),
        (Answer::None, asked, feature, 24 * 8, (Awaited, Awaited, none)),
        (Answer::None, asked, security, 24 * 6, (Awaited, Awaited, none)),
        (Answer::None, asked, security, 24 * 7, (Given, Given, none)),
        (Answer::Yes, asked, feature, 0, (Given, Given, none)),
        (Answer::Now, asked, feature, 0, (Given, Given, now)),
        (Answer::At(night), asked, feature, 7, (Given, Later(night), none)),
        (Answer::At(night), asked, feature, 8, (Given, Given, none)),
        (Answer::At(late), asked, feature, 24 * 7, (Given, Later(late), none)),
        (Answer::At(late), asked, security, 24 * 7, (Given, Given, none)),
        (postponed(night), asked, feature, 7, (Postponed(night), Postponed(night), none)),
        (postponed(night), asked, feature, 8, (Awaited, Awaited, none)),
        (postponed(night), alone, feature, 7, (Given, Postponed(night), none)),
        (postponed(night), alone, feature, 8, (Given, Given, none)),
        (postponed(late), asked, feature, 0, (Postponed(deadline), Postponed(deadline), none)),
        (postponed(late), asked, security, 24 * 7, (Given, Given, none)),
        (Answer::No, asked, feature, 0, (Denied, Denied, none)),
        (Answer::No, alone, security, 0, (Postponed(deadline), Postponed(deadline), none)),
        (Answer::No, asked, security, 24 * 7, (Given, Given, none)),
    ] {
        let found = say(answer, mode, class, hours);
        assert_eq!(found, expected, "{answer:?} {mode:?} {class:?} after {hours} h");
    }
}

#[test]
fn postponing_has_an_end() {
    let ask = |postponed| Ask { postponed, since: Some(evening()), ..Ask::default() };
    let day = |days: u32| evening().after(Seconds(days * 24 * 3600));
    for (times, days, may) in [(0, 0, true), (2, 6, true), (3, 0, false), (0, 7, false)] {
        assert_eq!(may_postpone(&rules(), &ask(times), day(days)), may, "{times} {days}");
    }
    let for_ever = Rules { postpone: Seconds(0), ..rules() };
    assert!(may_postpone(&for_ever, &ask(2), day(1000)));
    assert_eq!(deadline(&for_ever, &ask(0)), None);
    let none = Rules { postponements: 0, ..rules() };
    assert!(!may_postpone(&none, &ask(0), day(0)));
    let security = Ask { class: Class::Security, ..Ask::default() };
    assert!(!may_decline(&rules(), &security));
    assert!(may_decline(&rules(), &Ask::default()));
    assert!(may_decline(&Rules { security: Security::AsAny, ..rules() }, &security));
}

fn task() -> Task {
    Task {
        attempt: AttemptId([1; 16]),
        source: Name::unknown(),
        job: Digest::of(b""),
        version: "2.0".parse().unwrap(),
        target: None,
        spent: Spent::default(),
    }
}

fn locator() -> crate::Locator {
    crate::Locator::new("https://x/").unwrap()
}

fn ordered() -> State {
    let order = Order {
        attempt: AttemptId([1; 16]),
        source: Name::unknown(),
        locator: locator(),
        again: crate::Again::No,
    };
    State::Ordered { order, stalls: 0 }
}

fn installing(cursor: Cursor) -> State {
    State::Installing { task: task(), locator: locator(), cursor, read_backs: 0, stalls: 0 }
}

fn verifying() -> State {
    State::Verifying { task: task(), locator: locator(), read_backs: 0 }
}

/// What the gate says in the states before activation, in their order.
fn gates(facts: Facts, expected: [Gate; 4]) {
    let begun = Cursor { chunk: 3, ..Cursor::default() };
    let states = [ordered(), installing(Cursor::default()), installing(begun), verifying()];
    let found = states.each_ref().map(|state| gate(state, &facts, &rules()));
    assert_eq!(found, expected, "{facts:?}");
}

#[test]
fn the_owner_is_asked_once_it_is_known_what_is_offered() {
    let fine = Facts { around: fine(), ..Facts::default() };
    let (go, wait) = (Gate::Go, Gate::Wait);
    let asked = |consent| Facts { consent: Consents::both(consent), ..fine };
    gates(fine, [go; 4]);
    let consent = wait(Reason::AwaitingConsent);
    gates(asked(Consent::Awaited), [go, consent, consent, consent]);
    let (declined, cancelled) = (Outcome::Declined, Outcome::Cancelled);
    let refuse = Gate::Refuse;
    gates(
        asked(Consent::Denied),
        [refuse(declined), refuse(declined), refuse(cancelled), refuse(cancelled)],
    );
    let at_night = Consents { restart: Consent::Later(evening()), ..Consents::default() };
    let scheduled = wait(Reason::Scheduled(evening()));
    gates(Facts { consent: at_night, ..fine }, [go, go, go, scheduled]);
    gates(Facts { hold: Hold::Paused, ..fine }, [wait(Reason::Paused); 4]);
    gates(Facts { order: Standing::Withdrawn, ..fine }, [refuse(cancelled); 4]);
    let resting = wait(Reason::Resting(Seconds(4)));
    gates(Facts { rest: Seconds(4), ..fine }, [resting; 4]);
}

#[test]
fn each_step_meets_its_own_rules() {
    let (go, wait) = (Gate::Go, Gate::Wait);
    let metered = Conditions { link: link(Cost::Metered, Network::Home), ..fine() };
    let full = wait(Reason::FullOnMetered);
    let facts = Facts { around: metered, ..Facts::default() };
    gates(facts, [go, full, full, go]);
    gates(Facts { payload: Payload::Delta, ..facts }, [go; 4]);
    gates(Facts { from: From::File, ..facts }, [go; 4]);
    let gone = wait(Reason::MediumGone);
    gates(Facts { from: From::Nowhere, ..facts }, [gone, gone, gone, go]);
    let call = Conditions { activity: Fact::Known(Activity::Call), ..fine() };
    gates(Facts { around: call, ..Facts::default() }, [go, go, go, wait(Reason::Call)]);
}

/// Every reason has a word of its own and a sentence without a full stop.
#[test]
fn reasons_are_told_apart() {
    let zone = rules().zone;
    let time = evening();
    let reasons = [
        Reason::Paused,
        Reason::AwaitingConsent,
        Reason::Scheduled(time),
        Reason::Postponed(time),
        Reason::Resting(Seconds(4)),
        Reason::AwaitingSource,
        Reason::BatteryLow { percent: 3, least: 30 },
        Reason::BatteryUnknown,
        Reason::StorageLow { free: 3, least: 30 },
        Reason::StorageUnknown,
        Reason::Metered,
        Reason::FullOnMetered,
        Reason::Roaming,
        Reason::LinkUnknown,
        Reason::TooHot { is: 71, most: 70 },
        Reason::TooCold { is: -11, least: -10 },
        Reason::TemperatureUnknown,
        Reason::MediumGone,
        Reason::Call,
        Reason::InUse,
        Reason::ActivityUnknown,
        Reason::QuietHours { until: time },
        Reason::ClockNotSet,
    ];
    let words: alloc::collections::BTreeSet<_> = reasons.iter().map(Reason::word).collect();
    assert_eq!(words.len(), reasons.len());
    for reason in reasons {
        let sentence = reason.sentence(&zone);
        assert!(sentence.contains(' ') && !sentence.ends_with('.'), "{reason:?}: {sentence}");
    }
    let sentence = Reason::QuietHours { until: time }.sentence(&zone);
    assert!(sentence.contains("2026-11-25 19:00"), "{sentence}");
}

/// Between the decision and the bootloader's being told, the moment still counts; once
/// the new slot may be on trial, nothing does.
#[test]
fn what_is_decided_is_carried_out() {
    let call = Conditions { activity: Fact::Known(Activity::Call), ..fine() };
    let boot = |n| crate::BootId([n; 16]);
    let facts = Facts { around: call, boot: boot(1), ..Facts::default() };
    for (failed_boots, entered, expected) in
        [(0, boot(1), Gate::Wait(Reason::Call)), (0, boot(2), Gate::Go), (1, boot(1), Gate::Go)]
    {
        let state = State::Activating { task: task(), failed_boots, boot: entered };
        assert_eq!(gate(&state, &facts, &rules()), expected, "{failed_boots} {entered:?}");
    }
}

#[test]
fn the_system_is_left_for_its_recovery_when_writing_and_restarting_may_be() {
    let entering = State::Entering {
        task: task(),
        locator: locator(),
        failed_boots: 0,
        boot: BootId([0; 16]),
    };
    let check = |facts: Facts, expected: Gate| {
        assert_eq!(gate(&entering, &facts, &rules()), expected, "{facts:?}");
    };
    let well = Facts { around: fine(), ..Facts::default() };
    check(well, Gate::Go);
    let metered = Conditions { link: link(Cost::Metered, Network::Home), ..fine() };
    check(Facts { around: metered, ..well }, Gate::Wait(Reason::FullOnMetered));
    let later = Consents { restart: Consent::Later(evening()), ..Consents::default() };
    check(Facts { consent: later, ..well }, Gate::Wait(Reason::Scheduled(evening())));
    let asked = Consents { write: Consent::Awaited, ..Consents::default() };
    check(Facts { consent: asked, ..well }, Gate::Wait(Reason::AwaitingConsent));
    check(Facts { order: Standing::Withdrawn, ..well }, Gate::Refuse(Outcome::Cancelled));
    // In another boot the recovery may have been started already.
    check(Facts { boot: BootId([3; 16]), order: Standing::Withdrawn, ..well }, Gate::Go);
    // Only what is fetched waits as that.
    let held =
        Facts { consent: Consents { restart: Consent::Held, ..Consents::default() }, ..well };
    check(held, Gate::Wait(Reason::NotFetched));
    check(Facts { from: From::File, ..held }, Gate::Wait(Reason::FetchedOnly));
}

#[test]
fn a_package_is_kept_before_its_system_is_left_under_the_rules_of_fetching() {
    let (task, locator, cursor) = (task, locator, Cursor::default);
    let staging = |cursor| State::Staging { task: task(), locator: locator(), cursor, stalls: 0 };
    let checking =
        State::Checking { task: task(), locator: locator(), cursor: cursor(), stalls: 0 };
    let well = Facts { around: fine(), ..Facts::default() };
    let metered = Conditions { link: link(Cost::Metered, Network::Home), ..fine() };
    let metered = Facts { around: metered, ..well };
    let denied = Facts { consent: Consents::both(Consent::Denied), ..well };
    let here = Facts { from: From::File, ..metered };
    for (state, facts, expected) in [
        (&staging(cursor()), well, Gate::Go),
        (&staging(cursor()), metered, Gate::Wait(Reason::FullOnMetered)),
        (&staging(cursor()), denied, Gate::Refuse(Outcome::Declined)),
        (&staging(Cursor::start_of(1)), denied, Gate::Refuse(Outcome::Cancelled)),
        (&checking, here, Gate::Go),
        (&checking, Facts { hold: Hold::Paused, ..here }, Gate::Wait(Reason::Paused)),
        (&checking, denied, Gate::Refuse(Outcome::Cancelled)),
    ] {
        assert_eq!(gate(state, &facts, &rules()), expected, "{state:?} {facts:?}");
    }
}

#[test]
fn nothing_but_the_machine_stops_a_recovery_that_has_begun() {
    let resting = Gate::Wait(Reason::Resting(Seconds(4)));
    let alone = Facts { around: fine(), left: Left::Recovery, ..Facts::default() };
    let denied = Consents::both(Consent::Denied);
    for facts in [
        Facts { order: Standing::Withdrawn, ..alone },
        Facts { consent: denied, ..alone },
        Facts { hold: Hold::Paused, ..alone },
    ] {
        gates(facts, [gate(&ordered(), &facts, &rules()), Gate::Go, Gate::Go, Gate::Go]);
    }
    let facts = Facts { rest: Seconds(4), ..alone };
    gates(facts, [resting; 4]);
}

#[test]
fn urgency_decides_whether_the_owner_is_asked() {
    let rules = rules();
    let ask = |urgency, answer| Ask { urgency, answer, mode: Mode::Asked, ..Ask::default() };
    let found = |urgency, answer| consents(&rules, &ask(urgency, answer), evening());
    let given = consent::Consents::default();
    for answer in [Answer::None, Answer::No, Answer::At(at("2027-01-01T00:00:00Z"))] {
        assert_eq!(found(Urgency::Forced, answer), given, "{answer:?}");
    }
    assert_eq!(found(Urgency::Forced, Answer::Now).haste, Haste::Now);
    let forced = ask(Urgency::Forced, Answer::None);
    assert!(!may_decline(&rules, &forced) && !may_postpone(&rules, &forced, evening()));
    let automatic = Ask { mode: Mode::Automatic, ..ask(Urgency::DownloadOnly, Answer::None) };
    let held = consents(&rules, &automatic, evening());
    assert_eq!((held.write, held.restart), (Consent::Given, Consent::Held));
    assert_eq!(found(Urgency::DownloadOnly, Answer::None).write, Consent::Awaited);
    assert_eq!(found(Urgency::DownloadOnly, Answer::Yes), given);
    assert_eq!(found(Urgency::DownloadOnly, Answer::No), consent::Consents::both(Consent::Denied));
    assert_eq!(found(Urgency::Soft, Answer::None).write, Consent::Awaited);
}

/// Where the operator wants the owner asked, neither the mode nor the urgency of the order
/// nor what is forced for security makes that needless.
#[test]
fn the_owner_is_asked_where_the_region_needs_it() {
    let rules = Rules { security: Security::Forced, ..rules() };
    let late = evening().after(Seconds(30 * 24 * 3600));
    for urgency in [Urgency::Soft, Urgency::Forced] {
        let (mode, class, since) = (Mode::Automatic, Class::Security, Some(evening()));
        let ask = |elsewhere, answer| Ask {
            elsewhere,
            answer,
            mode,
            class,
            since,
            urgency,
            ..Ask::default()
        };
        let found = |elsewhere, answer| consents(&rules, &ask(elsewhere, answer), late);
        let given = consent::Consents::default();
        let both = consent::Consents::both;
        for elsewhere in [Elsewhere::Refuse, Elsewhere::Allow] {
            assert_eq!(found(elsewhere, Answer::None), given, "{urgency:?}");
        }
        assert_eq!(found(Elsewhere::Ask, Answer::None), both(Consent::Awaited), "{urgency:?}");
        assert_eq!(found(Elsewhere::Ask, Answer::Yes), given);
        assert_eq!(found(Elsewhere::Ask, Answer::No), both(Consent::Denied));
        assert!(may_decline(&rules, &ask(Elsewhere::Ask, Answer::None)));
    }
}

/// Whatever the urgency, the battery and all other rules hold.
#[test]
fn urgency_is_no_reason_to_break_a_rule() {
    let around = Conditions { battery: battery(3, Power::Battery), ..fine() };
    for urgency in [Urgency::Soft, Urgency::Forced, Urgency::DownloadOnly] {
        let ask = Ask { urgency, answer: Answer::Now, ..Ask::default() };
        let consent = consents(&rules(), &ask, evening());
        for step in [FULL, FILE, RESTART] {
            assert!(obstacle(&rules(), &around, step, consent.haste).is_some(), "{urgency:?}");
        }
    }
}
