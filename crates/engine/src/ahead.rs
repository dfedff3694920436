//! Before the only system is given up: its package is fetched and kept, and it is looked
//! whether that gives the signed images.

use crate::state::{Another, STALLS_MAX, report, spend, start};
use crate::{Cursor, Event, Locator, State, Task};

/// The package is to be fetched.
pub(crate) fn stage(task: Task, locator: Locator) -> State {
    State::Staging { task, locator, cursor: Cursor::default(), stalls: 0 }
}

/// The package is here and to be looked at.
pub(crate) fn check(task: Task, locator: Locator) -> State {
    State::Checking { task, locator, cursor: Cursor::default(), stalls: 0 }
}

/// The state after `event`.
pub(crate) fn next(state: State, event: Event) -> State {
    match state {
        State::Staging { task, locator, cursor, stalls } => {
            staging(task, locator, cursor, stalls, event)
        }
        State::Checking { task, locator, cursor, stalls } => {
            checking(task, locator, cursor, stalls, event)
        }
        other => other,
    }
}

fn staging(task: Task, locator: Locator, cursor: Cursor, stalls: u8, event: Event) -> State {
    match event {
        Event::Reached(cursor, more) => {
            State::Staging { task: spend(task, more), locator, cursor, stalls: 0 }
        }
        Event::Stalled(_, _, more) if stalls < STALLS_MAX => {
            State::Staging { task: spend(task, more), locator, cursor, stalls: stalls + 1 }
        }
        Event::Staged(kept, more) => check(spend(task, more), kept),
        Event::Unstaged(boot) => State::Entering { task, locator, failed_boots: 0, boot },
        event => ended(task, locator, event, |task, locator| State::Staging {
            task,
            locator,
            cursor,
            stalls,
        }),
    }
}

fn checking(task: Task, locator: Locator, cursor: Cursor, stalls: u8, event: Event) -> State {
    match event {
        Event::Reached(cursor, more) => {
            State::Checking { task: spend(task, more), locator, cursor, stalls: 0 }
        }
        Event::Stalled(..) if stalls < STALLS_MAX => {
            State::Checking { task, locator, cursor, stalls: stalls + 1 }
        }
        // As the recovery will write it: what one payload does not give, the next one may.
        Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } => {
            let (task, cursor) = (spend(task, spent), cursor.next_payload());
            State::Checking { task, locator, cursor, stalls }
        }
        Event::Complete(boot) => State::Entering { task, locator, failed_boots: 0, boot },
        event => ended(task, locator, event, |task, locator| State::Checking {
            task,
            locator,
            cursor,
            stalls,
        }),
    }
}

/// What ends both; all else leaves the state as it was. Nothing was written yet, so nothing
/// is left that would have to be mended.
fn ended(
    task: Task,
    locator: Locator,
    event: Event,
    unchanged: impl FnOnce(Task, Locator) -> State,
) -> State {
    match event {
        Event::Stalled(outcome, detail, spent)
        | Event::PayloadFailed { outcome, detail, spent, .. } => {
            report(spend(task, spent), 0, outcome, detail)
        }
        Event::Refused(why, detail) | Event::Failed(why, detail, _) => report(task, 0, why, detail),
        // The bootloader came to the recovery by itself: it writes, from wherever the
        // package is.
        Event::Booted(now) if Some(now.slot) != task.target => start(task, locator),
        _ => unchanged(task, locator),
    }
}
