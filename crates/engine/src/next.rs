//! `State::command`, `State::next`, `State::phase`: pure and total.

use crate::state::{Another, RETURNS_MAX, STALLS_MAX, report, spend, start};
use crate::{
    BootId, Command, Cursor, Event, Order, Phase, READ_BACKS_MAX, Start, State, TRIES, Task,
};

use types::{AttemptId, Digest, Name, Outcome, Report, Spent, Text, Tries};

impl State {
    /// What the agent does in this state.
    pub fn command(&self) -> Command<'_> {
        match self {
            Self::Idle { .. } => Command::Listen,
            Self::Lost => Command::Recover,
            Self::Ordered { order, .. } => Command::Inspect(order),
            Self::Staging { task, locator, cursor, .. } => Command::Stage(task, locator, *cursor),
            Self::Checking { task, locator, cursor, .. } => Command::Check(task, locator, *cursor),
            Self::Entering { task, boot, .. } => Command::Enter(task, *boot),
            Self::Installing { task, locator, cursor, .. } => {
                Command::Install(task, locator, *cursor)
            }
            Self::Verifying { task, .. } => Command::ReadBack(task),
            Self::Activating { task, boot, .. } => Command::Activate(task, *boot),
            Self::Rebooting { task, boot, .. } => Command::Restart(task, *boot),
            Self::Confirming { task, .. } => Command::CheckHealth(task),
            Self::Committing { task, .. } => Command::Commit(task),
            Self::RollingBack { task, boot, .. } => Command::Revert(task, *boot),
            Self::Reporting { report } => Command::File(report),
        }
    }

    /// What people call it.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Idle { .. } => Phase::Idle,
            Self::Lost => Phase::Inspecting,
            Self::Ordered { .. } => Phase::Inspecting,
            // The owner can still answer, as before the first byte anywhere.
            Self::Entering { .. } => Phase::Inspecting,
            Self::Staging { .. } | Self::Installing { .. } => Phase::Downloading,
            Self::Checking { .. } | Self::Verifying { .. } => Phase::Verifying,
            Self::Activating { .. } => Phase::Applying,
            Self::Rebooting { .. } => Phase::Rebooting,
            Self::Confirming { .. } | Self::Committing { .. } => Phase::Confirming,
            Self::RollingBack { .. } => Phase::Rollback,
            Self::Reporting { .. } => Phase::Reporting,
        }
    }

    /// The accepted order in progress, if any.
    pub fn task(&self) -> Option<&Task> {
        match self {
            Self::Idle { .. } | Self::Lost | Self::Ordered { .. } | Self::Reporting { .. } => None,
            Self::Staging { task, .. }
            | Self::Checking { task, .. }
            | Self::Entering { task, .. }
            | Self::Installing { task, .. }
            | Self::Verifying { task, .. }
            | Self::Activating { task, .. }
            | Self::Rebooting { task, .. }
            | Self::Confirming { task, .. }
            | Self::Committing { task, .. }
            | Self::RollingBack { task, .. } => Some(task),
        }
    }

    /// The attempt in progress or just ended, if any.
    pub fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Reporting { report } => Some(report.attempt),
            Self::Ordered { order, .. } => Some(order.attempt),
            _ => self.task().map(|task| task.attempt),
        }
    }

    /// The state after `event`. An event that does not belong to the state leaves
    /// it unchanged.
    #[must_use]
    pub fn next(self, event: Event) -> Self {
        match (self, event) {
            (Self::Idle { over }, Event::Ordered(order)) if over != Some(order.attempt) => {
                Self::Ordered { order, stalls: 0 }
            }
            (Self::Lost, event) => lost(event),
            (Self::Ordered { order, stalls }, event) => ordered(order, stalls, event),
            (state @ (Self::Staging { .. } | Self::Checking { .. }), event) => {
                crate::ahead::next(state, event)
            }
            (state @ Self::Entering { .. }, event) => entering(state, event),
            (state @ Self::Installing { .. }, event) => installing(state, event),
            (state @ Self::Verifying { .. }, event) => verifying(state, event),
            (Self::Activating { task, failed_boots, boot }, event) => {
                activating(task, failed_boots, boot, event)
            }
            (Self::Rebooting { task, failed_boots, boot }, event) => match event {
                Event::Booted(start) => booted(task, failed_boots, start),
                Event::Failed(why, detail, boot) => {
                    roll_back(task, failed_boots, why, detail, boot)
                }
                _ => Self::Rebooting { task, failed_boots, boot },
            },
            (Self::Confirming { task, failed_boots }, event) => {
                confirming(task, failed_boots, event)
            }
            (Self::Committing { task, failed_boots }, event) => {
                committing(task, failed_boots, event)
            }
            (state @ Self::RollingBack { .. }, event) => rolling_back(state, event),
            (Self::Reporting { report }, Event::Filed) => Self::Idle { over: Some(report.attempt) },
            (state, _) => state,
        }
    }
}

/// Nothing is known: what is trusted stays, what was never confirmed is left.
fn lost(event: Event) -> State {
    let task = |source, target| Task {
        attempt: AttemptId::default(),
        source,
        job: Digest::default(),
        version: Name::unknown(),
        target,
        spent: Spent::default(),
    };
    let why = Outcome::JournalLost;
    match event {
        Event::Sane(source) => report(task(source, None), 0, why, why.sentence().into()),
        Event::Unconfirmed(source, slot, boot) => {
            roll_back(task(source, Some(slot)), 0, why, why.sentence().into(), boot)
        }
        _ => State::Lost,
    }
}

fn ordered(order: Order, stalls: u8, event: Event) -> State {
    match event {
        Event::Accepted(task) => start(task, order.locator),
        Event::Away(task, boot) => {
            State::Entering { task, locator: order.locator, failed_boots: 0, boot }
        }
        Event::Ahead(task) => crate::ahead::stage(task, order.locator),
        Event::AtHand(task) => crate::ahead::check(task, order.locator),
        Event::Stalled(..) if stalls < STALLS_MAX => State::Ordered { order, stalls: stalls + 1 },
        Event::Refused(outcome, detail)
        | Event::Stalled(outcome, detail, _)
        | Event::Failed(outcome, detail, _) => refuse(order, outcome, detail),
        _ => State::Ordered { order, stalls },
    }
}

fn refuse(order: Order, outcome: Outcome, detail: Text) -> State {
    State::Reporting {
        report: Report {
            attempt: order.attempt,
            source: order.source,
            outcome,
            detail,
            version: None,
            spent: Spent::default(),
            failed_boots: 0,
        },
    }
}

/// Once the target does not run any more, the recovery does.
fn entering(state: State, event: Event) -> State {
    let State::Entering { task, locator, failed_boots, boot } = state else { return state };
    match event {
        Event::Booted(start_of) if Some(start_of.slot) != task.target => State::Installing {
            task,
            locator,
            cursor: Cursor::default(),
            read_backs: 0,
            stalls: failed_boots,
        },
        Event::Booted(start_of) => {
            let failed_boots = failed_again(failed_boots, start_of.tries);
            if failed_boots < TRIES {
                return State::Entering { task, locator, failed_boots, boot: start_of.boot };
            }
            let detail = alloc::format!("the recovery did not start in {failed_boots} boots");
            report(task, failed_boots, Outcome::RecoveryFailed, detail.into())
        }
        Event::Refused(why, detail) | Event::Failed(why, detail, _) => {
            report(task, failed_boots, why, detail)
        }
        _ => State::Entering { task, locator, failed_boots, boot },
    }
}

fn installing(state: State, event: Event) -> State {
    let State::Installing { task, locator, cursor, read_backs, stalls } = state else {
        return state;
    };
    let go_on = |task, locator, cursor, stalls| State::Installing {
        task,
        locator,
        cursor,
        read_backs,
        stalls,
    };
    match event {
        Event::Reached(cursor, more) => go_on(spend(task, more), locator, cursor, 0),
        Event::Stalled(_, _, more) if stalls < STALLS_MAX => {
            go_on(spend(task, more), locator, cursor, stalls + 1)
        }
        Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } => {
            go_on(spend(task, spent), locator, cursor.next_payload(), stalls)
        }
        Event::Stalled(outcome, detail, spent)
        | Event::PayloadFailed { outcome, detail, spent, .. } => {
            report(spend(task, spent), 0, outcome, detail)
        }
        // What is to be written runs again: the recovery used up its starts before it wrote
        // anything. Until then, how often is what the stalls count.
        Event::Booted(start_of) if Some(start_of.slot) == task.target => {
            let failed_boots = stalls;
            let entering = State::Entering { task, locator, failed_boots, boot: start_of.boot };
            entering.next(Event::Booted(start_of))
        }
        Event::Filled(more) => State::Verifying { task: spend(task, more), locator, read_backs },
        Event::Refused(why, detail) | Event::Failed(why, detail, _) => report(task, 0, why, detail),
        _ => go_on(task, locator, cursor, stalls),
    }
}

fn verifying(state: State, event: Event) -> State {
    let State::Verifying { task, locator, read_backs } = state else { return state };
    match event {
        Event::Sound(boot) => State::Activating { task, failed_boots: 0, boot },
        Event::Unsound(cursor) if read_backs < READ_BACKS_MAX => {
            let read_backs = read_backs + 1;
            State::Installing { task, locator, cursor, read_backs, stalls: 0 }
        }
        Event::Unsound(cursor) => {
            let at = alloc::format!("chunk {} was read back wrong three times", cursor.chunk);
            report(task, 0, Outcome::ReadBackMismatch, at.into())
        }
        Event::Refused(why, detail) | Event::Failed(why, detail, _) => report(task, 0, why, detail),
        _ => State::Verifying { task, locator, read_backs },
    }
}

fn activating(task: Task, failed_boots: u8, boot: BootId, event: Event) -> State {
    match event {
        Event::Armed(boot) => State::Rebooting { task, failed_boots, boot },
        Event::Switched => State::Confirming { task, failed_boots },
        Event::Booted(start) => booted(task, failed_boots, start),
        // The trial may be armed already: the bootloader must be told otherwise.
        Event::Failed(why, detail, boot) => roll_back(task, failed_boots, why, detail, boot),
        _ => State::Activating { task, failed_boots, boot },
    }
}

/// After a boot: the new slot runs, or the old one does and one or all tries are gone.
fn booted(task: Task, failed_boots: u8, start: Start) -> State {
    if Some(start.slot) == task.target {
        return State::Confirming { task, failed_boots };
    }
    let failed_boots = failed_again(failed_boots, start.tries);
    if failed_boots < TRIES {
        return State::Activating { task, failed_boots, boot: start.boot };
    }
    let detail = alloc::format!("slot {} runs after {failed_boots} failed boots", start.slot);
    roll_back(task, failed_boots, Outcome::BootFailed, detail.into(), start.boot)
}

/// One or all tries are gone.
fn failed_again(failed_boots: u8, tries: Tries) -> u8 {
    match tries {
        Tries::Counted(tries) => failed_boots.saturating_add(tries),
        Tries::Single => failed_boots.saturating_add(1),
    }
}

fn confirming(task: Task, failed_boots: u8, event: Event) -> State {
    match event {
        Event::Healthy => State::Committing { task, failed_boots },
        Event::Unhealthy(detail, boot) => {
            roll_back(task, failed_boots, Outcome::Unhealthy, detail, boot)
        }
        Event::Failed(why, detail, boot) => roll_back(task, failed_boots, why, detail, boot),
        Event::Booted(start) if Some(start.slot) != task.target => {
            booted(task, failed_boots, start)
        }
        _ => State::Confirming { task, failed_boots },
    }
}

/// Never leads to `RollingBack` while the new slot runs: it may be marked good
/// already. Started in the old slot, it was not, and the boot counts as failed.
fn committing(task: Task, failed_boots: u8, event: Event) -> State {
    match event {
        Event::Committed(outcome, detail) => report(task, failed_boots, outcome, detail),
        Event::Booted(start) if Some(start.slot) != task.target => {
            booted(task, failed_boots, start)
        }
        _ => State::Committing { task, failed_boots },
    }
}

fn rolling_back(state: State, event: Event) -> State {
    let State::RollingBack { task, why, detail, failed_boots, returns, boot } = state else {
        return state;
    };
    match event {
        Event::Reverted => report(task, failed_boots, why, detail),
        Event::Returned(boot) if returns < RETURNS_MAX => {
            let returns = returns + 1;
            State::RollingBack { task, why, detail, failed_boots, returns, boot }
        }
        Event::Returned(_) => stuck(task, failed_boots, why, "the bootloader starts it again"),
        Event::Stuck(stuck_at) => stuck(task, failed_boots, why, stuck_at.as_str()),
        _ => State::RollingBack { task, why, detail, failed_boots, returns, boot },
    }
}

fn stuck(task: Task, failed_boots: u8, why: Outcome, stuck_at: &str) -> State {
    let detail = alloc::format!("{stuck_at}; {}", why.sentence());
    report(task, failed_boots, Outcome::RollbackFailed, detail.into())
}

fn roll_back(task: Task, failed_boots: u8, why: Outcome, detail: Text, boot: BootId) -> State {
    State::RollingBack { task, why, detail, failed_boots, returns: 0, boot }
}
