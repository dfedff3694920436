//! Records that survive, of today and of older agents.

use super::*;
use crate::edges::RECORD_MAX;

fn longest() -> (Name, Locator, Text) {
    let name = "x".repeat(64).parse().unwrap();
    let locator = Locator::new(&"l".repeat(256)).unwrap();
    (name, locator, Text::from("t".repeat(200).as_str()))
}

fn states() -> Vec<State> {
    let (name, locator, text) = longest();
    let order = Order {
        attempt: AttemptId([0xff; 16]),
        source: name.clone(),
        locator: locator.clone(),
        again: Again::Yes,
    };
    let spent = Spent { bytes: u64::MAX, seconds: Seconds(u32::MAX) };
    let task = Task {
        attempt: order.attempt,
        source: name.clone(),
        job: Digest([0xff; 32]),
        version: name.clone(),
        target: Some(Slot::B),
        spent,
    };
    let cursor =
        Cursor { component: 255, payload: 255, chunk: u32::MAX, out: u64::MAX, input: u64::MAX };
    let boot = BootId([0xff; 16]);
    let report = Report {
        attempt: order.attempt,
        source: name.clone(),
        outcome: Outcome::NotBack,
        detail: text.clone(),
        version: Some(name),
        spent,
        failed_boots: 255,
    };
    let t = || task.clone();
    vec![
        State::default(),
        State::Lost,
        State::Idle { over: Some(AttemptId([0xff; 16])) },
        State::Ordered { order, stalls: 255 },
        State::Installing {
            task: t(),
            locator: locator.clone(),
            cursor,
            read_backs: 255,
            stalls: 255,
        },
        State::Verifying { task: t(), locator: locator.clone(), read_backs: 255 },
        State::Staging { task: t(), locator: locator.clone(), cursor, stalls: 255 },
        State::Checking { task: t(), locator: locator.clone(), cursor, stalls: 255 },
        State::Entering { task: t(), locator, failed_boots: 255, boot },
        State::Activating { task: t(), failed_boots: 255, boot },
        State::Rebooting { task: t(), failed_boots: 255, boot },
        State::Confirming { task: t(), failed_boots: 255 },
        State::Committing { task: t(), failed_boots: 255 },
        State::RollingBack {
            task: t(),
            why: Outcome::NotBack,
            detail: text,
            failed_boots: 255,
            returns: 255,
            boot,
        },
        State::Reporting { report },
    ]
}

#[test]
fn every_state_survives_and_fits() {
    for state in states() {
        let record = encode(&state).unwrap();
        assert!(record.len() <= RECORD_MAX, "{} bytes: {state:?}", record.len());
        assert_eq!(decode(&record).unwrap(), state);
    }
}

#[test]
fn a_strange_record_is_refused() {
    assert!(matches!(decode(&[2, 0]), Err(RecordError::Version(2))));
    assert!(matches!(decode(&[]), Err(RecordError::Damaged)));
    for state in states() {
        let record = encode(&state).unwrap();
        for cut in 1..record.len() {
            assert!(decode(&record[..cut]).is_err(), "{cut} of {state:?}");
        }
    }
}

/// What version 1 looks like for ever: an agent of any later version reads it.
#[test]
fn version_1_is_read_for_ever() {
    assert_eq!(decode(&[1, 0, 0]).unwrap(), State::default());
}

/// Records as agents of version 0.1 wrote them. A newer agent reads each, and writes
/// the same, so that the older one reads it after a fall-back.
#[test]
fn records_of_older_agents_are_read_and_written() {
    for (hex, state) in older() {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let record: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(decode(&record).unwrap(), state);
        assert_eq!(encode(&state).unwrap(), record, "{state:?}");
    }
}

fn older_task() -> Task {
    let name = |text: &str| text.parse::<Name>().unwrap();
    Task {
        attempt: AttemptId([0xa1; 16]),
        source: name("native"),
        job: Digest([0xc3; 32]),
        version: name("2.0"),
        target: Some(Slot::B),
        spent: Spent { bytes: 300, seconds: Seconds(7) },
    }
}

fn older() -> Vec<(&'static str, State)> {
    let (attempt, boot) = (AttemptId([0xa1; 16]), BootId([0xb2; 16]));
    let name = |text: &str| text.parse::<Name>().unwrap();
    let l = || Locator::new("https://u/p/").unwrap();
    let order = Order { attempt, source: name("native"), locator: l(), again: Again::Yes };
    let spent = Spent { bytes: 300, seconds: Seconds(7) };
    let t = older_task;
    let cursor = Cursor { component: 1, payload: 0, chunk: 5, out: 70_000, input: 600 };
    let report = Report {
        attempt,
        source: name("native"),
        outcome: Outcome::BootFailed,
        detail: "x".into(),
        version: Some(name("2.0")),
        spent,
        failed_boots: 3,
    };
    vec![
        ("010001a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", State::Idle { over: Some(attempt) }),
        (
            "0101a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e61746976650c68747470733a2f2f752f702f0103",
            State::Ordered { order, stalls: 3 },
        ),
        (
            "0102a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac02070c68747470733a2f2f752f702f010005f0a204d8040102",
            State::Installing { task: t(), locator: l(), cursor, read_backs: 1, stalls: 2 },
        ),
        (
            "0103a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac02070c68747470733a2f2f752f702f01",
            State::Verifying { task: t(), locator: l(), read_backs: 1 },
        ),
        (
            "0104a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac020701b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2",
            State::Activating { task: t(), failed_boots: 1, boot },
        ),
        (
            "0105a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac020701b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2",
            State::Rebooting { task: t(), failed_boots: 1, boot },
        ),
        (
            "0106a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac020702",
            State::Confirming { task: t(), failed_boots: 2 },
        ),
        (
            "0107a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac020702",
            State::Committing { task: t(), failed_boots: 2 },
        ),
        (
            "0108a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c303322e300101ac0207d10101780301b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2",
            State::RollingBack {
                task: t(),
                why: Outcome::BootFailed,
                detail: "x".into(),
                failed_boots: 3,
                returns: 1,
                boot,
            },
        ),
        (
            "0109a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1066e6174697665d10101780103322e30ac020703",
            State::Reporting { report },
        ),
        ("010a", State::Lost),
    ]
}
