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
    Entering(TaskV1, String, u8, [u8; 16]),
    Staging(TaskV1, String, CursorV1, u8),
    Checking(TaskV1, String, CursorV1, u8),
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
        State::Entering { task, locator, failed_boots, boot } => {
            StateV1::Entering(task.into(), locator.as_str().into(), *failed_boots, boot.0)
        }
        State::Staging { task, locator, cursor, stalls } => {
            StateV1::Staging(task.into(), locator.as_str().into(), (*cursor).into(), *stalls)
        }
        State::Checking { task, locator, cursor, stalls } => {
            StateV1::Checking(task.into(), locator.as_str().into(), (*cursor).into(), *stalls)
        }
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
        StateV1::Entering(task, locator, failed_boots, boot) => State::Entering {
            task: task.read(),
            locator: Locator::new(&locator).ok()?,
            failed_boots,
            boot: BootId(boot),
        },
        StateV1::Staging(task, locator, cursor, stalls) => {
            let locator = Locator::new(&locator).ok()?;
            State::Staging { task: task.read(), locator, cursor: cursor.read(), stalls }
        }
        StateV1::Checking(task, locator, cursor, stalls) => {
            let locator = Locator::new(&locator).ok()?;
            State::Checking { task: task.read(), locator, cursor: cursor.read(), stalls }
        }
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
mod tests;
