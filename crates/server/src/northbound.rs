//! What operators ask.

mod convert;
pub(crate) mod devices;
pub(crate) mod export;
mod forecast;
pub(crate) mod health;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod metrics;
mod order;
pub(crate) mod plans;
pub(crate) mod products;
pub(crate) mod releases;
pub(crate) mod rollouts;
pub(crate) mod tokens;
