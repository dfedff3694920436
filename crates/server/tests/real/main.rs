//! The real server, started as its users start it, on loopback.

mod artifact;
mod durability;
mod fleet;
mod maker;
mod publish;
mod strangers;
mod support;
