//! The operator's side: rollouts, waves, halting, and what changes them.
//!
//! A server keeps [`Rollout`]s and [`Tally`]s, asks these functions what follows,
//! and compiles the result into a [`Plan`](crate::Plan).

mod compile;
mod cost;
mod deltas;
mod dry_run;
mod moment;
mod outlook;
mod path;
mod rollout;
mod tend;

pub use compile::{Draft, asks, compile};
pub use cost::{Cost, Payloads, Piece};
pub use deltas::{
    CLASSES, Census, DeltaPlan, Kept, LeftOut, Limits, PAYS_PERCENT, Part, Tried, Wanted, class,
    evict, plan_deltas, unprofitable,
};
pub use dry_run::{Crowd, DryRun, EXAMPLES_LIMIT, Forecast, WaveForecast};
pub use moment::{MomentError, moment};
pub use outlook::outlook;
pub use path::{STEPS_LIMIT, Step, Stranded, path};
pub use rollout::{Allowance, Halt, Opens, Rollout, Size, State, Tally, Wave};
pub use tend::{Change, EVEN_AUDIENCE, allowance, exposure_limit, halted, overdue, tend, track};
