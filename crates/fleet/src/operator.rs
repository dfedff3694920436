//! The operator's side: rollouts, waves, halting, and what changes them.
//!
//! A server keeps [`Rollout`]s and [`Tally`]s, asks these functions what follows,
//! and compiles the result into a [`Plan`](crate::Plan).

mod rollout;
mod tend;

pub use rollout::{Halt, Opens, Rollout, Size, State, Tally, Wave};
pub use tend::{Change, EVEN_AUDIENCE, exposure_limit, halted, overdue, tend, track};
