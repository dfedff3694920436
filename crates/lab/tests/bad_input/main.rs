//! Bad input, with the real programs: each case ends with a numbered outcome and a
//! sentence, and the terminal runs what it ran.
//!
//! The modules say `cfg(test)` so that the lints know them as tests.

#[cfg(test)]
mod archive;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod deltas;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod misfits;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod owner;
#[cfg(test)]
mod records;
#[cfg(test)]
mod static_plan;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod warehouse;
#[cfg(test)]
mod world;
