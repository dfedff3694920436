//! The fake world: a clock, flash that tears and forgets, a bootloader, lost replies,
//! and kills and power cuts before, inside and after each effect.
//!
//! It runs the agent's *own* loop with fakes at its edges, never a copy of it. What
//! the world holds after each crash is judged by `oracle`.

pub mod chance;
pub mod defects;
pub mod edges;
pub mod medium;
pub mod oracle;
pub mod release;
pub mod run;
pub mod scenario;
pub mod sweep;
pub mod weather;
pub mod world;
