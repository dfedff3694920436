//! What operators ask.

mod convert;
pub(crate) mod devices;
pub(crate) mod export;
mod forecast;
pub(crate) mod health;
pub(crate) mod jobs;
mod order;
pub(crate) mod plans;
pub(crate) mod releases;
pub(crate) mod rollouts;
pub(crate) mod tokens;
