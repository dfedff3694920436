//! The owner's desk: what a front end for owners (the local page, D-Bus) reads of this
//! terminal and leaves for its agent.
//!
//! Such a front end is one more command line and nothing more: it reads the status that
//! the agent wrote, leaves documents for it and calls it. Deliberately absent: decisions,
//! the state machine, keys, and a look into packages.

use crate::edges::Store;
use crate::owner::{self, Word, WordError};
use crate::platform::clock::{self, Call};
use crate::platform::store::Directory;
use crate::status::Status;
use crate::switches::Switches;
use engine::policy::consent::{Answer, Ask};
use engine::policy::rules::Rules;
use serde::de::DeserializeOwned;
use std::io;
use std::path::PathBuf;
use types::{AttemptId, DeviceId, Timestamp, tree};

/// What a front end needs to know of its terminal.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Who this is.
    pub device: DeviceId,
    /// The rules by which the owner's words are understood.
    pub rules: Rules,
    /// The documents.
    pub store: Directory,
    /// Where the agent says what goes on.
    pub status: PathBuf,
    /// Where it listens to calls.
    pub wake: PathBuf,
    /// The time that has passed for certain.
    pub floor: Timestamp,
}

/// Why something cannot be done for an owner.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No agent listens.
    #[error("the agent cannot be called: {0}")]
    Call(io::Error),
    /// The documents cannot be written.
    #[error("this cannot be kept: {0}")]
    Keep(io::Error),
    /// What the words are about is not in progress, or has gone too far.
    #[error("this update is over, or activated already")]
    Over,
    /// The words have no effect.
    #[error(transparent)]
    Word(#[from] WordError),
}

impl Desk {
    /// What the agent said last.
    pub fn seen(&self) -> Option<Status> {
        let json = std::fs::read(&self.status).ok()?;
        tree::from_json(&json).ok()
    }

    /// A document; as new where it is missing or does not read.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let bytes = self.store.read(name).ok().flatten();
        bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default()
    }

    /// What is known about the owner's answer to `attempt`.
    pub fn ask(&self, attempt: Option<AttemptId>) -> Ask {
        let ask = attempt.and_then(|attempt| owner::ask(&self.store, attempt).ok());
        ask.unwrap_or_default()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        clock::wall(self.floor)
    }

    /// Calls the agent.
    ///
    /// # Errors
    /// None listens.
    pub fn call(&self, what: Call) -> Result<(), DeskError> {
        clock::call(&self.wake, what).map_err(DeskError::Call)
    }

    /// Changes the owner's switches.
    ///
    /// # Errors
    /// They cannot be kept.
    pub fn keep(&self, change: impl FnOnce(&mut Switches)) -> Result<(), DeskError> {
        self.store.clone().change(Switches::NAME, change).map_err(DeskError::Keep)
    }

    /// Changes the owner's switches and calls the agent.
    ///
    /// # Errors
    /// They cannot be kept, or none listens.
    pub fn change(&self, change: impl FnOnce(&mut Switches)) -> Result<(), DeskError> {
        self.keep(change)?;
        self.call(Call::Look)
    }

    /// The owner's words about `attempt` ([`Word::read`]); what they mean.
    ///
    /// # Errors
    /// The attempt is over, the words mean nothing, or the rules do not allow them.
    pub fn say(&self, attempt: AttemptId, words: &str) -> Result<Answer, DeskError> {
        let current = self.seen().filter(|seen| seen.attempt == Some(attempt));
        if !current.is_some_and(|seen| seen.can_be_answered()) {
            return Err(DeskError::Over);
        }
        let word = Word::read(words, &self.rules)?;
        let answer = word.answer(&self.rules, &self.ask(Some(attempt)), self.now())?;
        self.change(|switches| switches.say(attempt, answer))?;
        Ok(answer)
    }
}
