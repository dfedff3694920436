//! What terminals ask.

mod answer;
pub(crate) mod artifact;
mod body;
mod deltas;
pub(crate) mod native;
mod range;

#[cfg(test)]
mod tests;
