//! What terminals ask.

mod answer;
pub(crate) mod artifact;
mod body;
pub(crate) mod native;
mod range;

#[cfg(test)]
mod tests;
