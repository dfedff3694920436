//! The device: where orders come from, the edges of the outside world, and the
//! loop that carries one update through.
//!
//! Deliberately absent without the feature `cli`: network, files, command line.

pub mod edges;
