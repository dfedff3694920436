//! What the moment is like: battery, line, room, temperature, people, time.

use engine::policy::rules::Conditions;

/// The device's senses. Only asked while an order waits to be carried on.
pub trait Senses {
    /// What is so now. What cannot be found out is `Unknown`, never a guess.
    fn sense(&mut self) -> Conditions;
}
