//! What terminals ask.

mod answer;
pub(crate) mod artifact;
mod body;
mod deltas;
pub(crate) mod native;
pub(crate) mod plan;
mod range;

#[cfg(test)]
mod tests;
