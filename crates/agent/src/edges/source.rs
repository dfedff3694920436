//! Where orders come from and reports go to.

use super::Now;
use crate::log::Said;
use engine::policy::consent::Urgency;
use engine::{Order, Phase, Standing};
use types::{AttemptId, DeviceId, Elsewhere, Name, Report, Running, Seconds, Slot, Text};

/// What a terminal says of itself each time it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who it is.
    pub device: DeviceId,
    /// What it is.
    pub product: Name,
    /// Its hardware string.
    pub hardware: Name,
    /// Its brand or carrier variant.
    pub variant: Option<Name>,
    /// The region it is in.
    pub region: Option<Name>,
    /// Which slot runs.
    pub slot: Slot,
    /// What runs, component by component.
    pub running: Running,
    /// MiB of memory that it can spend on applying a delta.
    pub memory_class_mib: u16,
    /// What it is doing.
    pub phase: Phase,
    /// On which attempt.
    pub attempt: Option<AttemptId>,
    /// Bytes of the images that are durable, and bytes in all.
    pub progress: (u64, u64),
    /// Why it waits, if it does: a stable word and a sentence.
    pub waiting: Option<(&'static str, Text)>,
}

/// What a source answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// What it wants installed.
    pub order: Option<Order>,
    /// How urgently it wants that.
    pub urgency: Urgency,
    /// What its operator decided about this terminal's region.
    pub elsewhere: Elsewhere,
    /// Whether the attempt of the heartbeat still stands.
    pub standing: Standing,
    /// How soon it wants to be asked again.
    pub poll: Option<Seconds>,
    /// Which rule decided so, as a sentence for people; empty when it does not say.
    pub why: Text,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The source has it durably, or does not want it.
    Yes,
    /// The same, and it asks for the log of the attempt.
    AndTell,
    /// Not yet; try again later.
    Later,
}

/// Why a source gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody answered.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered that it is busy.
    #[error("{0} asks to come back in {seconds} s", seconds = .1.0)]
    Busy(String, Seconds),
    /// It does not know this terminal.
    #[error("{0} does not accept this terminal's credential; enrol it anew")]
    Unknown(String),
    /// Its plan is not to be believed.
    #[error("the plan of {0} is refused: {1}")]
    Refused(String, String),
    /// Its answer makes no sense.
    #[error("{0} answered with something that is no answer: {1}")]
    Nonsense(String, String),
}

/// One source of orders: a server, a stick, the local page.
pub trait Source {
    /// Its name, as in orders and reports.
    fn name(&self) -> &Name;

    /// Whether asking it costs nothing but a look at this terminal itself; such a
    /// source is asked often while nothing else goes on.
    fn is_near(&self) -> bool {
        false
    }

    /// Says what this terminal is and hears what it should do.
    ///
    /// # Errors
    /// Nothing was heard; nothing changes.
    fn listen(&mut self, now: Now, me: &Heartbeat) -> Result<Heard, SourceError>;

    /// Delivers a report. It may arrive more than once.
    ///
    /// # Errors
    /// The report stays in the outbox.
    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError>;

    /// Delivers the log of an attempt that [`Source::deliver`] was asked for. It may
    /// arrive more than once.
    ///
    /// # Errors
    /// It is sent again later, as long as it is kept.
    fn tell(&mut self, _: AttemptId, _: &[Said]) -> Result<Delivered, SourceError> {
        Ok(Delivered::Yes)
    }
}
