//! What terminals ask.

pub(crate) mod answer;
pub(crate) mod artifact;
mod body;
mod deltas;
pub(crate) mod native;
pub(crate) mod plan;
mod range;

pub(crate) use artifact::Granted;

#[cfg(test)]
mod tests;
