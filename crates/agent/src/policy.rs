//! What the gate is told: the owner's answer, and facts of the moment.

use crate::asked::Asked;
use crate::device::{Device, DeviceError};
use crate::edges::Encoding;
use crate::install::way_of;
use crate::owner;
use engine::policy::consent::{self, Ask, Consents};
use engine::policy::rules::{Conditions, From, Payload};
use engine::{Cursor, Facts, Gate, Hold, Reason, State, Task, gate};

impl Device {
    /// What the gate says now.
    pub(crate) fn gate(&mut self) -> Result<Gate, DeviceError> {
        if self.is_idle() {
            return Ok(Gate::Go);
        }
        let facts = self.facts()?;
        Ok(gate(&self.state, &facts, &self.options.rules))
    }

    /// Why it waits, if it does.
    pub(crate) fn reason(&mut self) -> Result<Option<Reason>, DeviceError> {
        Ok(match self.gate()? {
            Gate::Wait(reason) => Some(reason),
            Gate::Go | Gate::Refuse(_) => None,
        })
    }

    /// What the gate is told. The senses are asked only when it can wait for them.
    pub(crate) fn facts(&mut self) -> Result<Facts, DeviceError> {
        let paused = self.switches()?.paused;
        let may_wait = matches!(
            self.state,
            State::Ordered { .. }
                | State::Staging { .. }
                | State::Checking { .. }
                | State::Entering { .. }
                | State::Installing { .. }
                | State::Verifying { .. }
                | State::Activating { .. }
        );
        let around = if may_wait { self.edges.senses.sense() } else { Conditions::default() };
        Ok(Facts {
            consent: self.consents()?,
            hold: if paused { Hold::Paused } else { Hold::Off },
            order: self.standing(),
            rest: self.rest_left(),
            from: self.from(),
            payload: self.next_payload(),
            around,
            boot: self.boot_id()?,
            left: self.left()?,
        })
    }

    /// What the owner's answer to the attempt in progress comes to.
    fn consents(&mut self) -> Result<Consents, DeviceError> {
        let ask = self.ask_owner()?;
        let now = self.edges.clock.now().wall;
        Ok(consent::consents(&self.options.rules, &ask, now))
    }

    /// What is known about the owner's answer to the attempt in progress.
    pub(crate) fn ask_owner(&mut self) -> Result<Ask, DeviceError> {
        match self.state.attempt() {
            Some(attempt) => owner::ask(self.edges.store.as_ref(), attempt)
                .map_err(|e| DeviceError::Document(Asked::NAME, "read", e)),
            None => Ok(Ask::default()),
        }
    }

    /// Whether the package comes over the line.
    fn from(&self) -> From {
        let locator = match &self.state {
            State::Ordered { order, .. } => &order.locator,
            State::Staging { locator, .. }
            | State::Checking { locator, .. }
            | State::Entering { locator, .. }
            | State::Installing { locator, .. }
            | State::Verifying { locator, .. } => locator,
            _ => return From::Network,
        };
        match locator.as_str() {
            path if !path.starts_with('/') => From::Network,
            // Nobody can put it back: where it is gone, the update is over.
            path if self.is_stage(path) => From::File,
            path if self.edges.feeds.is_there(path) => From::File,
            _ => From::Nowhere,
        }
    }

    /// What the next bytes are of.
    fn next_payload(&mut self) -> Payload {
        let State::Installing { task, cursor, .. } = &self.state else { return Payload::Full };
        let (task, cursor): (Task, Cursor) = (task.clone(), *cursor);
        let way = self.job(&task).and_then(|job| {
            let part = job.parts.get(usize::from(cursor.component))?;
            way_of(part, cursor)
        });
        match way.map(|way| way.encoding) {
            None | Some(Encoding::Frames | Encoding::Plain) => Payload::Full,
            Some(Encoding::Delta { .. }) => Payload::Delta,
        }
    }
}
