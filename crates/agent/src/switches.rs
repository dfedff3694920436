//! What the owner and the operator decided on this terminal.

use serde::{Deserialize, Serialize};
use types::AttemptId;

/// The owner's switches. Stored as JSON in the document `switches`; the command
/// line changes it and wakes the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Nothing is fetched or written until it is resumed.
    pub paused: bool,
    /// Ask the sources by itself.
    pub automatic_check: bool,
    /// Install what is ordered without asking the owner.
    pub automatic_install: bool,
    /// The attempt that the owner agreed to.
    pub agreed: Option<AttemptId>,
    /// The attempt that the owner declined or cancelled.
    pub declined: Option<AttemptId>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            paused: false,
            automatic_check: true,
            automatic_install: true,
            agreed: None,
            declined: None,
        }
    }
}

impl Switches {
    /// The document's name in the store.
    pub const NAME: &'static str = "switches";
}
