//! The loop that carries one update through: gate, perform, next, save.
//!
//! The saved state is the only memory of an update. What this file keeps besides
//! (an open feed, when to ask again) may be lost at any point.

use crate::attend::Attendance;
use crate::diary::Diary;
use crate::edges::{
    BootControl, BootError, Clock, Configuration, Copies, Direct, Feeds, Flash, Health, Hooks,
    Journal, Live, Loaded, OwnProgram, Power, RollbackStore, Senses, Source, Stage, Store,
};
use crate::inventory::Inventory;
use crate::outbox::Outbox;
use crate::record::{self, RecordError};
use crate::recovery::{Layout, Staging};
use crate::refill::Refill;
use crate::switches::Switches;
use crate::work::Work;
use engine::inspect::Fallback;
use engine::policy::rules::Rules;
use engine::{BootId, Event, Gate, Reason, Start, State, gate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use types::{DeviceId, Effect, Name, Seconds, Slot, tree};

/// Where a component is written to.
pub enum Bank {
    /// One of two banks; the other one runs.
    Slots(Box<dyn Flash>, Box<dyn Flash>),
    /// One bank, which the recovery writes.
    System(Box<dyn Flash>),
    /// Staged, then switched without a boot.
    Live(Box<dyn Live>),
    /// Staged, then applied for good.
    Direct(Box<dyn Direct>),
    /// A bootloader: the copy that does not run is written, then chosen.
    Copies(Box<dyn Copies>),
}

impl Bank {
    /// How a component of this bank comes into force.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Slots(..) | Self::System(_) => Effect::Slot,
            Self::Live(_) => Effect::Live,
            Self::Direct(_) | Self::Copies(_) => Effect::Direct,
        }
    }

    /// What starts when what was written here does not.
    pub(crate) fn fallback(&self) -> Fallback {
        match self {
            Self::Slots(..) | Self::System(_) | Self::Copies(_) => Fallback::Copy,
            Self::Live(_) | Self::Direct(_) => Fallback::None,
        }
    }

    /// The medium to write to when `target` is the bank that does not run.
    pub(crate) fn medium(&mut self, target: Option<Slot>) -> &mut dyn Flash {
        match self {
            Self::Slots(a, _) if target == Some(Slot::A) => a.as_mut(),
            Self::Slots(_, b) => b.as_mut(),
            Self::System(system) => system.as_mut(),
            Self::Live(live) => live.as_mut(),
            Self::Direct(direct) => direct.as_mut(),
            Self::Copies(copies) => copies.as_mut(),
        }
    }
}

/// The outside world, edge by edge.
pub struct Edges {
    /// Where components are written to, by component.
    pub banks: BTreeMap<Name, Bank>,
    /// The bootloader's memory.
    pub boot: Box<dyn BootControl>,
    /// The record of the update in progress.
    pub journal: Box<dyn Journal>,
    /// The rollback floors.
    pub floors: Box<dyn RollbackStore>,
    /// Small documents.
    pub store: Box<dyn Store>,
    /// Where orders come from.
    pub sources: Vec<Box<dyn Source>>,
    /// Where packages come from.
    pub feeds: Box<dyn Feeds>,
    /// Boots.
    pub power: Box<dyn Power>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Health checks.
    pub health: Box<dyn Health>,
    /// What the moment is like.
    pub senses: Box<dyn Senses>,
    /// Programs of packages.
    pub hooks: Box<dyn Hooks>,
    /// The terminal's configuration.
    pub configuration: Box<dyn Configuration>,
    /// Where packages are kept before the only system is given up for them.
    pub stage: Option<Box<dyn Stage>>,
    /// The agent's own program, where it is a component.
    pub own: Option<Box<dyn OwnProgram>>,
}

/// What this terminal is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name in the fleet.
    pub device: DeviceId,
    /// What it is.
    pub product: Name,
    /// Hardware strings that a package may name, the most precise first.
    pub hardware: Vec<Name>,
    /// Its brand or carrier variant.
    pub variant: Option<Name>,
    /// The region it is in.
    pub region: Option<Name>,
    /// MiB of memory that it can spend on applying a delta.
    pub memory_class_mib: u16,
}

/// How the maker wants updates done on this terminal.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the medium is read back before it is trusted.
    pub read_back: ReadBack,
    /// Payload bytes that a cut may cost besides what is under way: written chunks are
    /// made durable and recorded before two more of the largest size could exceed it.
    pub checkpoint: u64,
    /// How often the sources are asked.
    pub poll: Seconds,
    /// What the two slots are for.
    pub layout: Layout,
    /// Whether packages are kept before the only system is given up for them.
    pub staging: Staging,
    /// When the terminal may work on an update.
    pub rules: Rules,
    /// Areas that no update touches.
    pub protected: BTreeSet<Name>,
}

/// Whether the medium is read back before it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// Every byte, from the medium itself.
    Full,
    /// Not at all: for media that verify themselves.
    Off,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The state moved; step again.
    Moved,
    /// Nothing to do.
    Idle,
    /// Something stands in the way.
    Waiting(Reason),
}

/// Why the loop cannot go on. The saved state stands; stepping again later is safe.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The journal cannot be used.
    #[error("cannot {0} the journal")]
    Journal(&'static str, #[source] io::Error),
    /// Its record is strange.
    #[error("cannot use the journal's record")]
    Record(#[from] RecordError),
    /// A document cannot be used.
    #[error("cannot {1} the document `{0}`")]
    Document(&'static str, &'static str, #[source] io::Error),
    /// The boot control cannot be used.
    #[error("cannot find out which slot runs")]
    Boot(#[from] BootError),
    /// The boot cannot be named.
    #[error("cannot find out which boot this is")]
    BootId(#[source] io::Error),
}

impl DeviceError {
    /// As an error of the medium that caused it.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Journal(_, cause) | Self::Document(_, _, cause) => cause.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

/// One terminal and its update in progress.
pub struct Device {
    pub(crate) edges: Edges,
    pub(crate) identity: Identity,
    pub(crate) options: Options,
    pub(crate) state: State,
    pub(crate) attendance: Attendance,
    pub(crate) work: Work,
    pub(crate) refill: Refill,
    pub(crate) diary: Diary,
}

impl Device {
    /// Takes up the update that the journal tells of.
    ///
    /// # Errors
    /// The journal cannot be read. A damaged one is no error: the first step recovers.
    pub fn start(
        mut edges: Edges,
        identity: Identity,
        options: Options,
    ) -> Result<Self, DeviceError> {
        let loaded = edges.journal.load().map_err(|e| DeviceError::Journal("read", e))?;
        let state = match loaded {
            Loaded::Nothing => first(edges.journal.as_mut())?,
            // A record that this agent cannot read is as good as none.
            Loaded::Record(record) => record::decode(&record).unwrap_or(State::Lost),
            Loaded::Damaged => State::Lost,
        };
        let attendance = Attendance::new(options.poll);
        let (work, refill, diary) = (Work::default(), Refill::Due, Diary::default());
        Ok(Self { edges, identity, options, state, attendance, work, refill, diary })
    }

    /// Where the update stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether no update is in progress.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle { .. })
    }

    /// Does the next thing: gate, perform, next, save.
    ///
    /// # Errors
    /// The state could not be saved or read; nothing is lost.
    pub fn step(&mut self) -> Result<Turn, DeviceError> {
        self.refill()?;
        self.go_home()?;
        self.attend()?;
        let facts = self.facts()?;
        match gate(&self.state, &facts, &self.options.rules) {
            Gate::Wait(reason) => {
                self.look_again(reason);
                self.note_wait(&reason);
                Ok(Turn::Waiting(reason))
            }
            Gate::Refuse(outcome) => {
                self.advance(Event::Refused(outcome, outcome.sentence().into()))
            }
            Gate::Go => match self.perform()? {
                Some(event) => self.advance(event),
                None if self.is_idle() => Ok(Turn::Idle),
                None => Ok(Turn::Waiting(self.why_not_yet())),
            },
        }
    }

    /// Waits until something is due or wants attention.
    pub fn rest(&mut self) {
        let due = self.next_due();
        self.edges.clock.wait(due);
    }

    /// Moves to the next state and saves it, before anything else is done.
    fn advance(&mut self, event: Event) -> Result<Turn, DeviceError> {
        self.note_event(&event);
        let next = self.state.clone().next(event);
        let record = record::encode(&next)?;
        self.edges.journal.save(&record).map_err(|e| DeviceError::Journal("write", e))?;
        self.state = next;
        Ok(Turn::Moved)
    }

    /// The boot that runs now.
    pub(crate) fn boot_id(&self) -> Result<BootId, DeviceError> {
        self.edges.power.boot_id().map_err(DeviceError::BootId)
    }

    /// Which slot runs, and how the bootloader tries.
    pub(crate) fn start_facts(&self) -> Result<Start, DeviceError> {
        let slot = self.edges.boot.running()?;
        Ok(Start { slot, tries: self.edges.boot.tries(), boot: self.boot_id()? })
    }

    /// What is installed.
    pub(crate) fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.read(Inventory::NAME)
    }

    /// The reports.
    pub(crate) fn outbox(&self) -> Result<Outbox, DeviceError> {
        self.read(Outbox::NAME)
    }

    /// The owner's switches.
    pub(crate) fn switches(&self) -> Result<Switches, DeviceError> {
        self.read(Switches::NAME)
    }

    /// Changes the inventory, where `change` changes it.
    pub(crate) fn change_inventory(
        &mut self,
        change: impl FnOnce(&mut Inventory),
    ) -> Result<(), DeviceError> {
        let before = self.inventory()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before { Ok(()) } else { self.write(Inventory::NAME, &after) }
    }

    /// A JSON document of the store. One that is missing or does not read is as new:
    /// none of them is needed to stay safe.
    pub(crate) fn read<T: DeserializeOwned + Default>(
        &self,
        name: &'static str,
    ) -> Result<T, DeviceError> {
        let bytes = self.edges.store.read(name);
        let bytes = bytes.map_err(|e| DeviceError::Document(name, "read", e))?;
        Ok(bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default())
    }

    /// Writes a JSON document to the store.
    pub(crate) fn write<T: Serialize>(
        &mut self,
        name: &'static str,
        document: &T,
    ) -> Result<(), DeviceError> {
        let bytes = serde_json::to_vec(document).map_err(io::Error::other);
        let written = bytes.and_then(|bytes| self.edges.store.replace(name, &bytes));
        written.map_err(|e| DeviceError::Document(name, "write", e))
    }
}

/// The state of a terminal that never updated. It is written at once, so that the
/// journal has its room before others fill the medium; without room it is written
/// with the first order.
fn first(journal: &mut dyn Journal) -> Result<State, DeviceError> {
    let state = State::default();
    drop(journal.save(&record::encode(&state)?));
    Ok(state)
}
