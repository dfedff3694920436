//! The gate: may the next command be performed now, and if not, why.

use crate::State;
use core::fmt;
use types::{Outcome, Seconds};

/// What the gate is told. Facts are read fresh before each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Who may start an install.
    pub consent: Consent,
    /// The owner or operator paused updates on this terminal.
    pub hold: Hold,
    /// The order in progress was withdrawn.
    pub order: Standing,
    /// How long to rest after failures before the network is asked again.
    pub rest: Seconds,
}

/// The owner's answer to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// Installs need no question, or this one was agreed to.
    #[default]
    Given,
    /// The owner has not answered yet.
    Awaited,
    /// The owner said no.
    Denied,
}

/// Whether updates are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Not paused.
    #[default]
    Off,
    /// Paused until resumed.
    Paused,
}

/// Whether the source still wants what it ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It does, as far as is known.
    #[default]
    Stands,
    /// It does not.
    Withdrawn,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Perform the command.
    Go,
    /// Not now; ask again later.
    Wait(Reason),
    /// Not at all.
    Refuse(Outcome),
}

/// Why a terminal waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The owner or operator paused updates.
    Paused,
    /// The owner has to agree first.
    AwaitingConsent,
    /// The last try failed; the next one is due in so many seconds.
    Resting(Seconds),
    /// Before the release is activated, its source must say that it still stands.
    AwaitingSource,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("updates are paused; `resume` continues"),
            Self::AwaitingConsent => {
                f.write_str("the owner has to agree first; automatic install is switched off")
            }
            Self::Resting(Seconds(s)) => write!(f, "the last try failed; the next is due in {s} s"),
            Self::AwaitingSource => {
                f.write_str("whoever ordered the update must first say that it still stands")
            }
        }
    }
}

/// Decides whether the command of `state` may be performed now.
///
/// Nothing stops a terminal between activation and report: it must reach one
/// release or the other.
pub fn gate(state: &State, facts: &Facts) -> Gate {
    match state {
        State::Idle { .. } | State::Reporting { .. } => Gate::Go,
        State::Ordered { .. } => before_activation(facts, facts.consent),
        State::Installing { .. } | State::Verifying { .. } => {
            // Consent is asked for once, but can be taken back.
            if facts.consent == Consent::Denied {
                return Gate::Refuse(Outcome::Cancelled);
            }
            before_activation(facts, Consent::Given)
        }
        State::Activating { .. } | State::Committing { .. } if facts.rest > Seconds(0) => {
            Gate::Wait(Reason::Resting(facts.rest))
        }
        _ => Gate::Go,
    }
}

fn before_activation(facts: &Facts, consent: Consent) -> Gate {
    match (facts.order, facts.hold, consent) {
        (Standing::Withdrawn, _, _) => Gate::Refuse(Outcome::Cancelled),
        (_, _, Consent::Denied) => Gate::Refuse(Outcome::Declined),
        (_, Hold::Paused, _) => Gate::Wait(Reason::Paused),
        (_, _, Consent::Awaited) => Gate::Wait(Reason::AwaitingConsent),
        _ if facts.rest > Seconds(0) => Gate::Wait(Reason::Resting(facts.rest)),
        _ => Gate::Go,
    }
}
