//! The journal's record: how the state of an update is written down.
//!
//! Byte 0 is the format version; the rest is postcard. The types here are the
//! stored format and change only with its version; the domain's types are
//! converted by hand. At most 512 bytes (`edges::RECORD_MAX`).

use engine::{Again, BootId, Cursor, Locator, Order, State, Task};
use serde::{Deserialize, Serialize};
use types::{AttemptId, Digest, Name, Outcome, Report, Seconds, Slot, Spent, Text};

/// The version that is written.
const VERSION: u8 = 1;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is of a version that this agent does not know.
    #[error("the record has format {0}, which this agent does not know")]
    Version(u8),
    /// It does not decode.
    #[error("the record does not decode")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct OrderV1 {
    attempt: [u8; 16],
    source: Name,
    locator: String,
    again: bool,
}

#[derive(Serialize, Deserialize)]
struct TaskV1 {
    attempt: [u8; 16],
    source: Name,
    job: [u8; 32],
    version: Name,
    target: Option<Slot>,
    bytes: u64,
    seconds: u32,
}

#[derive(Serialize, Deserialize)]
struct CursorV1(u8, u8, u32, u64, u64);

#[derive(Serialize, Deserialize)]
struct ReportV1 {
    attempt: [u8; 16],
    source: Name,
    outcome: u16,
    detail: Text,
    version: Option<Name>,
    bytes: u64,
    seconds: u32,
    failed_boots: u8,
}

#[derive(Serialize, Deserialize)]
enum StateV1 {
    Idle(Option<[u8; 16]>),
    Ordered(OrderV1, u8),
    Installing(TaskV1, String, CursorV1, u8, u8),
    Verifying(TaskV1, String, u8),
    Activating(TaskV1, u8, [u8; 16]),
    Rebooting(TaskV1, u8, [u8; 16]),
    Confirming(TaskV1, u8),
    Committing(TaskV1, u8),
    RollingBack(TaskV1, u16, Text, u8, u8, [u8; 16]),
    Reporting(ReportV1),
    Lost,
}

/// The record of `state`.
///
/// # Errors
/// It does not encode, which the bounds of its parts exclude.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, RecordError> {
    postcard::to_extend(&write(state), vec![VERSION]).map_err(|_| RecordError::Damaged)
}

/// The state of a record.
///
/// # Errors
/// Another version, or bytes that are no record.
pub(crate) fn decode(record: &[u8]) -> Result<State, RecordError> {
    match record.split_first() {
        Some((&VERSION, rest)) => {
            let state = postcard::from_bytes(rest).map_err(|_| RecordError::Damaged)?;
            read(state).ok_or(RecordError::Damaged)
        }
        Some((&version, _)) => Err(RecordError::Version(version)),
        None => Err(RecordError::Damaged),
    }
}

fn write(state: &State) -> StateV1 {
    match state {
        State::Idle { over } => StateV1::Idle(over.map(|attempt| attempt.0)),
        State::Ordered { order, stalls } => StateV1::Ordered(order.into(), *stalls),
        State::Installing { task, locator, cursor, read_backs, stalls } => {
            let locator = locator.as_str().into();
            StateV1::Installing(task.into(), locator, (*cursor).into(), *read_backs, *stalls)
        }
        State::Verifying { task, locator, read_backs } => {
            StateV1::Verifying(task.into(), locator.as_str().into(), *read_backs)
        }
        State::Activating { task, failed_boots, boot } => {
            StateV1::Activating(task.into(), *failed_boots, boot.0)
        }
        State::Rebooting { task, failed_boots, boot } => {
            StateV1::Rebooting(task.into(), *failed_boots, boot.0)
        }
        State::Confirming { task, failed_boots } => StateV1::Confirming(task.into(), *failed_boots),
        State::Committing { task, failed_boots } => StateV1::Committing(task.into(), *failed_boots),
        State::RollingBack { task, why, detail, failed_boots, returns, boot } => {
            let (why, detail) = (why.code(), detail.clone());
            StateV1::RollingBack(task.into(), why, detail, *failed_boots, *returns, boot.0)
        }
        State::Reporting { report } => StateV1::Reporting(report.into()),
        State::Lost => StateV1::Lost,
    }
}

fn read(state: StateV1) -> Option<State> {
    Some(match state {
        StateV1::Idle(over) => State::Idle { over: over.map(AttemptId) },
        StateV1::Ordered(order, stalls) => State::Ordered { order: order.read()?, stalls },
        StateV1::Installing(task, locator, cursor, read_backs, stalls) => State::Installing {
            task: task.read(),
            locator: Locator::new(&locator).ok()?,
            cursor: cursor.read(),
            read_backs,
            stalls,
        },
        StateV1::Verifying(task, locator, read_backs) => {
            let locator = Locator::new(&locator).ok()?;
            State::Verifying { task: task.read(), locator, read_backs }
        }
        StateV1::Activating(task, failed_boots, boot) => {
            State::Activating { task: task.read(), failed_boots, boot: BootId(boot) }
        }
        StateV1::Rebooting(task, failed_boots, boot) => {
            State::Rebooting { task: task.read(), failed_boots, boot: BootId(boot) }
        }
        StateV1::Confirming(task, failed_boots) => {
            State::Confirming { task: task.read(), failed_boots }
        }
        StateV1::Committing(task, failed_boots) => {
            State::Committing { task: task.read(), failed_boots }
        }
        StateV1::RollingBack(task, why, detail, failed_boots, returns, boot) => {
            State::RollingBack {
                task: task.read(),
                why: Outcome::from_code(why)?,
                detail,
                failed_boots,
                returns,
                boot: BootId(boot),
            }
        }
        StateV1::Reporting(report) => State::Reporting { report: report.read()? },
        StateV1::Lost => State::Lost,
    })
}

impl From<&Order> for OrderV1 {
    fn from(order: &Order) -> Self {
        Self {
            attempt: order.attempt.0,
            source: order.source.clone(),
            locator: order.locator.as_str().into(),
            again: order.again == Again::Yes,
        }
    }
}

impl OrderV1 {
    fn read(self) -> Option<Order> {
        Some(Order {
            attempt: AttemptId(self.attempt),
            source: self.source,
            locator: Locator::new(&self.locator).ok()?,
            again: if self.again { Again::Yes } else { Again::No },
        })
    }
}

impl From<&Task> for TaskV1 {
    fn from(task: &Task) -> Self {
        Self {
            attempt: task.attempt.0,
            source: task.source.clone(),
            job: task.job.0,
            version: task.version.clone(),
            target: task.target,
            bytes: task.spent.bytes,
            seconds: task.spent.seconds.0,
        }
    }
}

impl TaskV1 {
    fn read(self) -> Task {
        Task {
            attempt: AttemptId(self.attempt),
            source: self.source,
            job: Digest(self.job),
            version: self.version,
            target: self.target,
            spent: Spent { bytes: self.bytes, seconds: Seconds(self.seconds) },
        }
    }
}

impl From<Cursor> for CursorV1 {
    fn from(c: Cursor) -> Self {
        Self(c.component, c.payload, c.chunk, c.out, c.input)
    }
}

impl CursorV1 {
    fn read(self) -> Cursor {
        let Self(component, payload, chunk, out, input) = self;
        Cursor { component, payload, chunk, out, input }
    }
}

impl From<&Report> for ReportV1 {
    fn from(report: &Report) -> Self {
        Self {
            attempt: report.attempt.0,
            source: report.source.clone(),
            outcome: report.outcome.code(),
            detail: report.detail.clone(),
            version: report.version.clone(),
            bytes: report.spent.bytes,
            seconds: report.spent.seconds.0,
            failed_boots: report.failed_boots,
        }
    }
}

impl ReportV1 {
    fn read(self) -> Option<Report> {
        Some(Report {
            attempt: AttemptId(self.attempt),
            source: self.source,
            outcome: Outcome::from_code(self.outcome)?,
            detail: self.detail,
            version: self.version,
            spent: Spent { bytes: self.bytes, seconds: Seconds(self.seconds) },
            failed_boots: self.failed_boots,
        })
    }
}

#[cfg(test)]
mod tests {
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
        let cursor = Cursor {
            component: 255,
            payload: 255,
            chunk: u32::MAX,
            out: u64::MAX,
            input: u64::MAX,
        };
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
            State::Verifying { task: t(), locator, read_backs: 255 },
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
}
