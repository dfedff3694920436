//! Suites that every implementation of an edge has to pass, the simulator's fakes
//! and a porter's own alike. They panic with the rule that was broken.
#![expect(clippy::panic, reason = "a suite reports to a test by panicking")]
