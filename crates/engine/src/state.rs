//! The state machine of one device update. The saved state is the only memory of
//! an update; every command is safe to perform twice.

use crate::{Cursor, Locator, Order, Task};
use types::{AttemptId, Name, Outcome, Report, Slot, Spent, Text, Tries};

impl Default for State {
    /// A device that was never updated.
    fn default() -> Self {
        Self::Idle { over: None }
    }
}

/// How often the bootloader tries a new slot at most.
pub const TRIES: u8 = 3;

/// How often a slot that does not hold what was written to it is written again.
pub const READ_BACKS_MAX: u8 = 2;

/// How often the device may come up in a slot that it is leaving.
pub(crate) const RETURNS_MAX: u8 = 3;

/// How often an install may stop without progress before it is given up.
pub const STALLS_MAX: u8 = 20;

/// Names one run of the kernel, from power-on to reset (as
/// `/proc/sys/kernel/random/boot_id`): a restart of the agent alone keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootId(pub [u8; 16]);

/// Where the update of this device stands. Saved after each event and before the
/// next command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing to do.
    Idle {
        /// The attempt that ended last: it is never begun again.
        over: Option<AttemptId>,
    },
    /// The journal was damaged: nothing is known about the update in progress.
    Lost,
    /// An order was taken; nothing is known about its package.
    Ordered {
        /// What was ordered.
        order: Order,
        /// How often its documents could not be fetched.
        stalls: u8,
    },
    /// What is to be written runs, so the recovery has to write it. Before it is started,
    /// the package is fetched and kept on this terminal.
    Staging {
        /// What is installed.
        task: Task,
        /// Where the package is.
        locator: Locator,
        /// Up to where its payloads are durable: chunks are of the payload here.
        cursor: Cursor,
        /// How often it stopped without progress.
        stalls: u8,
    },
    /// The package is on this terminal, and it is looked whether it gives the signed images.
    Checking {
        /// What is installed.
        task: Task,
        /// Where the package is kept.
        locator: Locator,
        /// Up to where it does.
        cursor: Cursor,
        /// How often it stopped without progress.
        stalls: u8,
    },
    /// What is to be written runs, so the recovery has to write it: it is about to be
    /// started.
    Entering {
        /// What is installed.
        task: Task,
        /// Where the package is.
        locator: Locator,
        /// How often the recovery failed to boot.
        failed_boots: u8,
        /// In which boot this state was entered.
        boot: BootId,
    },
    /// The image is being written.
    Installing {
        /// What is installed.
        task: Task,
        /// Where the package is.
        locator: Locator,
        /// Up to where it is durable.
        cursor: Cursor,
        /// How often the slot had to be written again.
        read_backs: u8,
        /// How often the install stopped without progress.
        stalls: u8,
    },
    /// Everything is written and is read back from the medium.
    Verifying {
        /// What is installed.
        task: Task,
        /// Where the package is.
        locator: Locator,
        /// How often the slot had to be written again.
        read_backs: u8,
    },
    /// The bootloader is about to be told.
    Activating {
        /// What is installed.
        task: Task,
        /// How often the new slot failed to boot.
        failed_boots: u8,
        /// In which boot this state was entered.
        boot: BootId,
    },
    /// The device is about to restart into the new slot.
    Rebooting {
        /// What is installed.
        task: Task,
        /// How often the new slot failed to boot.
        failed_boots: u8,
        /// The boot that is to end.
        boot: BootId,
    },
    /// The new release runs and has to prove itself.
    Confirming {
        /// What is installed.
        task: Task,
        /// How often the new slot failed to boot.
        failed_boots: u8,
    },
    /// The new release is healthy and is made permanent.
    Committing {
        /// What is installed.
        task: Task,
        /// How often the new slot failed to boot.
        failed_boots: u8,
    },
    /// The old release is being returned to.
    RollingBack {
        /// What was installed.
        task: Task,
        /// Why it did not stay.
        why: Outcome,
        /// What happened, for people.
        detail: Text,
        /// How often the new slot failed to boot.
        failed_boots: u8,
        /// How often the device came up in the new slot again.
        returns: u8,
        /// The boot in which it is to be left.
        boot: BootId,
    },
    /// The attempt is over; its report goes into the outbox.
    Reporting {
        /// How it ended.
        report: Report,
    },
}

/// What the agent does in a state. Each is safe to perform twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Ask the sources for an order.
    Listen,
    /// Find out from the bootloader what can be kept.
    Recover,
    /// Fetch the documents, verify, fit, plan, and write the job file.
    Inspect(&'a Order),
    /// Fetch the package from the cursor on, and keep it.
    Stage(&'a Task, &'a Locator, Cursor),
    /// Look whether the package gives the signed images, from the cursor on.
    Check(&'a Task, &'a Locator, Cursor),
    /// Start the recovery; `BootId` is when that was decided.
    Enter(&'a Task, BootId),
    /// Write from the cursor on.
    Install(&'a Task, &'a Locator, Cursor),
    /// Read everything back from the medium.
    ReadBack(&'a Task),
    /// Tell the bootloader to try the new slot; `BootId` is when that was decided.
    Activate(&'a Task, BootId),
    /// Restart, unless that boot is over.
    Restart(&'a Task, BootId),
    /// Ask whether the new release is healthy.
    CheckHealth(&'a Task),
    /// Make the new release permanent.
    Commit(&'a Task),
    /// Return to the old release; `BootId` is when that was decided.
    Revert(&'a Task, BootId),
    /// Put the report into the outbox.
    File(&'a Report),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A source gave an order.
    Ordered(Order),
    /// Without a journal: the running slot is trusted, and nothing else is armed.
    Sane(Name),
    /// Without a journal: the running slot was never confirmed.
    Unconfirmed(Name, Slot, BootId),
    /// The package is verified, fits, and its job file is durable.
    Accepted(Task),
    /// The same, and what is to be written runs in this boot.
    Away(Task, BootId),
    /// The same, and the package is to be fetched before that is left.
    Ahead(Task),
    /// The same, and the package is on this terminal: it is to be looked at as a whole.
    AtHand(Task),
    /// The whole package is kept here.
    Staged(Locator, Spent),
    /// It gives the signed images.
    Complete(BootId),
    /// It cannot be kept, and is left where it is.
    Unstaged(BootId),
    /// The terminal decided against it.
    Refused(Outcome, Text),
    /// Everything before the cursor is durable.
    Reached(Cursor, Spent),
    /// Nothing more can be fetched for now.
    Stalled(Outcome, Text, Spent),
    /// This payload does not give the signed image.
    PayloadFailed {
        /// Where the next payload has to go on.
        cursor: Cursor,
        /// Whether the component has another one.
        another: Another,
        /// What was wrong with this one.
        outcome: Outcome,
        /// The same for people.
        detail: Text,
        /// What it cost.
        spent: Spent,
    },
    /// Every chunk is written and flushed.
    Filled(Spent),
    /// The medium holds what was signed.
    Sound(BootId),
    /// The medium does not hold what was signed, from here on.
    Unsound(Cursor),
    /// The bootloader was told; the device must restart.
    Armed(BootId),
    /// Nothing needs a boot; the new release runs already.
    Switched,
    /// The boot that was to come is over.
    Booted(Start),
    /// The new release is healthy.
    Healthy,
    /// The new release runs and is not healthy.
    Unhealthy(Text, BootId),
    /// The release is permanent; `Ok`, or `Partial` with what is missing.
    Committed(Outcome, Text),
    /// The old release runs.
    Reverted,
    /// The device came up in the new slot again, in this boot.
    Returned(BootId),
    /// The device cannot return to the old release.
    Stuck(Text),
    /// The update cannot go on.
    Failed(Outcome, Text, BootId),
    /// The report is in the outbox.
    Filed,
}

/// How a boot went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which slot runs.
    pub slot: Slot,
    /// How the bootloader tries.
    pub tries: Tries,
    /// The boot that runs now.
    pub boot: BootId,
}

/// Whether a component has a further payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Another {
    /// It has.
    Payload,
    /// It has not.
    None,
}

/// Words for what a device does, for people and other protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// Looks at the package.
    Inspecting,
    /// Fetches and writes.
    Downloading,
    /// Reads back.
    Verifying,
    /// Tells the bootloader.
    Applying,
    /// Restarts.
    Rebooting,
    /// Proves the new release.
    Confirming,
    /// Returns to the old release.
    Rollback,
    /// Writes the report.
    Reporting,
}

impl Phase {
    /// The word that crosses the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Inspecting => "inspecting",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Applying => "applying",
            Self::Rebooting => "rebooting",
            Self::Confirming => "confirming",
            Self::Rollback => "rollback",
            Self::Reporting => "reporting",
        }
    }
}

/// The images are to be written, from the beginning.
pub(crate) fn start(task: Task, locator: Locator) -> State {
    State::Installing { task, locator, cursor: Cursor::default(), read_backs: 0, stalls: 0 }
}

/// How the attempt ended is to be told.
pub(crate) fn report(task: Task, failed_boots: u8, outcome: Outcome, detail: Text) -> State {
    State::Reporting {
        report: Report {
            attempt: task.attempt,
            source: task.source,
            outcome,
            detail,
            version: Some(task.version),
            spent: task.spent,
            failed_boots,
        },
    }
}

/// The task with what more it cost.
pub(crate) fn spend(task: Task, more: Spent) -> Task {
    let spent = task.spent.plus(more);
    Task { spent, ..task }
}
