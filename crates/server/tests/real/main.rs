//! The real server, started as its users start it, on loopback.
//!
//! The modules say `cfg(test)` so that the lints know them as tests.

#[cfg(test)]
mod artifact;
#[cfg(test)]
mod deltas;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod maker;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod regions;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod support;
